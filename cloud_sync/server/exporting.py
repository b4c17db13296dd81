"""Records as Parquet files, one a type of record, with a typed column for each field."""

from __future__ import annotations

import json
import os
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud_sync.errors import MessageError
from cloud_sync.files import sync_folder
from cloud_sync.messages import BODIES, Body, Envelope, decode_body
from cloud_sync.server.database import Database, Record
from cloud_sync.server.errors import FolderError

_MOMENT = pa.timestamp("us", tz="UTC")
# what is known of every record besides its body, by column
_OWN: dict[str, pa.DataType] = {
    "device": pa.string(),
    "record": pa.string(),
    "revision": pa.int64(),
    "message": pa.string(),
    "natural_key": pa.string(),
    "store": pa.string(),
    "sequence": pa.int64(),
    "boot": pa.string(),
    "recorded_at": _MOMENT,
    "clock_synchronised": pa.bool_(),
    "received_at": _MOMENT,
}
_OTHER = "other"
_PLAIN: dict[Any, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    date: pa.date32(),
    datetime: pa.timestamp("us"),
    AwareDatetime: _MOMENT,
}
_ROWS = 20_000


@dataclass(frozen=True)
class Exported:
    """One file.

    Attributes:
        type: type of the records in it.
        file: where it is.
        records: how many.
        skipped: records that this Pomona cannot read.
    """

    type: str
    file: Path
    records: int
    skipped: int


def export(database: Database, folder: Path, since: datetime | None = None) -> Iterator[Exported]:
    """Write a file for each type of which there are records, all as they were at one moment.

    Args:
        database: where they are.
        folder: made where missing; a file that is there is replaced once its successor is whole.
        since: only records received at this moment or later.

    Yields:
        Each file when it is whole.

    Raises:
        FolderError: the folder cannot be written.
        DatabaseError: the database cannot be read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with database.read() as session:
            for kind in sorted(session.scalars(select(Record.type).distinct())):
                if kind in BODIES:
                    yield _write(session, BODIES[kind], folder, since)
        sync_folder(folder)
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror or error}; choose another folder") from error


def schema_of(body: type[Body]) -> pa.Schema:
    """The columns of a type's file; a field that is called like one of those all records have gets `body_` before it.

    What a newer device said beyond the known fields is JSON in the column ``other``.
    """
    fields = [pa.field(name, kind) for name, kind in _OWN.items()]
    fields += [
        pa.field(
            _column(name), _arrow_type(info.annotation, info.metadata), metadata={"meaning": info.description or ""}
        )
        for name, info in body.model_fields.items()
    ]
    return pa.schema([*fields, pa.field(_OTHER, pa.string())], metadata={"pomona_version": str(body.VERSION)})


def _column(name: str) -> str:
    return f"body_{name}" if name in _OWN or name == _OTHER else name


def _arrow_type(annotation: Any, metadata: typing.Sequence[Any] = ()) -> pa.DataType:  # noqa: PLR0911  (a kind a line)
    if AwareDatetime in metadata:
        return _MOMENT
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Annotated:
        return _arrow_type(arguments[0], arguments[1:])
    if origin in {Union, types.UnionType}:
        (one,) = [argument for argument in arguments if argument is not type(None)]
        return _arrow_type(one, metadata)
    if origin is Literal:
        return _arrow_type(type(arguments[0]))
    if origin in {tuple, list}:
        return pa.list_(_arrow_type(arguments[0]))
    if origin is dict:
        return pa.map_(pa.string(), _arrow_type(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return pa.struct([pa.field(name, _arrow_type(info.annotation, info.metadata)) for name, info in fields])
    raise TypeError(f"no column for {annotation}")


def _write(session: Session, body: type[Body], folder: Path, since: datetime | None) -> Exported:
    file = folder / f"{body.TYPE}.parquet"
    fresh = file.with_name(f".{file.name}.new")
    schema = schema_of(body)
    chosen = select(Record).where(Record.type == body.TYPE).order_by(Record.device, Record.record)
    if since is not None:
        chosen = chosen.where(Record.received_at >= since)
    records = session.scalars(chosen.execution_options(yield_per=1000))
    written = skipped = 0
    with fresh.open("wb") as out:
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            while portion := list(islice(records, _ROWS)):
                rows = [row for record in portion if (row := _row(record)) is not None]
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                written += len(rows)
                skipped += len(portion) - len(rows)
                session.expunge_all()
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
    return Exported(body.TYPE, file, written, skipped)


def _row(record: Record) -> Mapping[str, Any] | None:
    """A record's columns; None when a newer Pomona stored it, which this one cannot read."""
    envelope = Envelope.model_construct(type=record.type, version=record.version, body=record.body)
    try:
        body = decode_body(envelope)
    except MessageError:
        return None
    row = {name: getattr(record, name) for name in _OWN}
    row |= {_column(name): _value(getattr(body, name)) for name in type(body).model_fields}
    row[_OTHER] = json.dumps(body.model_extra, ensure_ascii=False) if body.model_extra else None
    return row


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, tuple):
        return [_value(each) for each in value]
    return value.model_dump() if isinstance(value, BaseModel) else value
