"""The yields that devices have observed, from their estimates in the server's database."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud_sync.errors import MessageError
from cloud_sync.messages import Envelope, EstimateBody, decode_body, unpack_series
from cloud_sync.server.database import Record
from models.yields.labels import Label

# fruit that hangs when it is ripe is the harvest; what hangs earlier is not yet
_STAGE, _LABEL = "ripening", "apple"
_Z = 1.96  # half an interval of 95 % in standard deviations


@dataclass(frozen=True)
class Read:
    """What was found.

    Attributes:
        labels: one an orchard's block and year: the newest visit's, at its highest revision.
        passed_over: estimates without a model of the device's, without interval, or of another stage.
    """

    labels: tuple[Label, ...]
    passed_over: int


def read_labels(session: Session) -> Read:
    """Read all estimates that a device's own model has predicted.

    The database keeps the highest revision of a record, so a count that was reviewed has replaced what it was before.

    Args:
        session: a view of the database.
    """
    newest: dict[tuple[str, int], tuple[tuple[object, ...], Label]] = {}
    passed_over = 0
    for record in session.scalars(select(Record).where(Record.type == EstimateBody.TYPE).order_by(Record.record)):
        envelope = Envelope.model_construct(type=record.type, version=record.version, body=record.body)
        try:
            body = decode_body(envelope)
        except MessageError:  # of a newer Pomona
            passed_over += 1
            continue
        label = _label(record, body) if isinstance(body, EstimateBody) else None
        if label is None or not isinstance(body, EstimateBody):
            passed_over += 1
            continue
        order = (body.day, record.recorded_at, record.device, record.record)
        key = (label.orchard, label.year)
        if key not in newest or newest[key][0] < order:
            newest[key] = order, label
    return Read(tuple(label for _, label in newest.values()), passed_over)


def _label(record: Record, body: EstimateBody) -> Label | None:
    told, low, high = body.prediction, body.block_low_kg_per_ha, body.block_high_kg_per_ha
    observed = body.block_kg_per_ha
    if told is None or observed is None or low is None or high is None:
        return None
    if body.stage != _STAGE or body.label != _LABEL or not 0 < low < high:
        return None
    season = unpack_series(told.series, len(told.months), len(told.features))
    return Label(
        key=(record.device, record.record, record.revision),
        orchard=f"{body.orchard} / {body.block}",
        county=told.county or "",
        year=told.year,
        months=told.months,
        features=told.features,
        season=np.array(season, dtype=np.float64),
        area_ha=told.area_ha,
        kg_per_ha=observed,
        standard_error_kg_per_ha=observed * math.log(high / low) / (2 * _Z),
    )
