"""TensorRT engines kept on this device: a file with the engine, and one beside it that says what it belongs to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export.runtime.bundle import Bundle, sha256_of
from export.runtime.errors import BundleError
from export.runtime.gpu import Machine
from export.runtime.manifest import Sha256

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
# another way of building makes another engine of the same graph; raised with it
_BUILDER = 1
# engines of the models before the current one let a device go back without building again
_MOST_KEPT = 4
# what was taken for a whole file before its writer died
_UNFINISHED = ".new"


def graph_file(precision: Precision) -> str:
    """Name of the bundle's graph that an engine of this precision is built from."""
    return "model.int8.qdq.onnx" if precision == "int8" else "model.onnx"


def graph_of(bundle: Bundle, precision: Precision) -> Path:
    """The graph that an engine of this precision is built from.

    Raises:
        BundleError: the bundle has none.
    """
    name = graph_file(precision)
    if name not in bundle.manifest.files:
        raise BundleError(
            f"{bundle.identity} has no {name}, the graph with explicit quantisation that TensorRT takes for int8; "
            "build with --precision fp16, or install a bundle that has it"
        )
    return bundle.folder / name


class Recipe(BaseModel):
    """All that decides what an engine becomes; two builds of one recipe can stand for each other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpu: str = Field(description="name and multiprocessors of the GPU")
    compute_capability: str = Field(description="its compute capability")
    tensorrt: str = Field(description="version of TensorRT")
    bundle: str = Field(description="identity of the bundle")
    graph: Sha256 = Field(description="SHA-256 of the graph")
    precision: Precision = Field(description="lowest precision that was allowed")
    workspace_mib: int = Field(ge=1, description="cap of the working memory")
    builder: int = Field(default=_BUILDER, description="version of the way of building")

    @property
    def machine(self) -> Machine:
        """Where the engine runs."""
        return Machine(self.gpu, self.compute_capability, self.tensorrt)

    @property
    def key(self) -> str:
        """Name of the engine's files. The bundle's name is left out: one graph under two names is one engine."""
        return _key(self.model_dump(exclude={"bundle"}))


class EngineRecord(BaseModel):
    """What lies beside an engine; its being there makes the engine count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    recipe: Recipe
    file: str = Field(pattern=r"^[0-9a-f-]+\.engine$", description="the engine's file, in the same folder")
    sha256: Sha256 = Field(description="SHA-256 of that file")
    size_bytes: int = Field(ge=1, description="its size")
    seconds: float = Field(ge=0, description="how long building took")
    order: int = Field(
        ge=1, description="rises with every engine that is asked for: of two that fit, the higher serves"
    )


@dataclass(frozen=True)
class CachedEngine:
    """An engine in the cache.

    Attributes:
        key: name of its files.
        record: what lies beside it; None where that cannot be read.
        damage: what is wrong with its files; None when they are whole.
    """

    key: str
    record: EngineRecord | None
    damage: str | None


class EngineCache:
    """The engines in a folder.

    Whatever dies while one is written, readers find the old engine or the new one: the record is replaced last, and
    names the engine's file, which has its hash in its name.

    Args:
        folder: where they lie; made with the first engine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def engines(self) -> list[CachedEngine]:
        """Every engine, checked against its record, the last that was asked for first."""
        found = [self._check(path) for path in sorted(self.folder.glob("*.json"))]
        return sorted(found, key=lambda engine: -(engine.record.order if engine.record else 0))

    def read(self, record: EngineRecord) -> bytes:
        """An engine's content.

        Raises:
            OSError: it cannot be read.
        """
        return (self.folder / record.file).read_bytes()

    def put(self, recipe: Recipe, engine: bytes, seconds: float) -> EngineRecord:
        """Keep an engine, and make it the one that serves.

        Args:
            recipe: what it was built by.
            engine: its content.
            seconds: how long building took.

        Raises:
            OSError: the folder or disk does not take it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        sha256 = hashlib.sha256(engine).hexdigest()
        name = f"{recipe.key}-{sha256[:12]}.engine"
        _write_whole(self.folder / name, engine)
        record = EngineRecord(
            recipe=recipe,
            file=name,
            sha256=sha256,
            size_bytes=len(engine),
            seconds=round(seconds, 1),
            order=self._next_order(),
        )
        self._write(record)
        self.tidy()
        return record

    def prefer(self, record: EngineRecord) -> EngineRecord:
        """Make an engine that is there the one that serves.

        Raises:
            OSError: the folder or disk does not take it.
        """
        preferred = record.model_copy(update={"order": self._next_order()})
        self._write(preferred)
        return preferred

    def tidy(self) -> None:
        """Drop what nobody will use: what a dead writer left, damaged engines, and all but the latest few.

        Only the process that builds may do this.
        """
        engines = self.engines()
        kept = [engine.record for engine in engines if engine.record and not engine.damage][:_MOST_KEPT]
        names = {record.file for record in kept} | {f"{record.recipe.key}.json" for record in kept}
        for path in self.folder.glob("*"):
            if path.suffix in {".engine", ".json", _UNFINISHED} and path.name not in names:
                path.unlink(missing_ok=True)

    def timings(self, machine: Machine) -> bytes:
        """What TensorRT measured while it built earlier engines on this machine; empty where nothing is known."""
        with contextlib.suppress(OSError):
            return self._timings_path(machine).read_bytes()
        return b""

    def put_timings(self, machine: Machine, timings: bytes) -> None:
        """Keep what TensorRT measured.

        Raises:
            OSError: the folder or disk does not take it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_whole(self._timings_path(machine), timings)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Keep other builders out; yields whether nobody else builds here.

        Raises:
            OSError: the folder cannot be made or written.
        """
        import fcntl  # noqa: PLC0415  (only Linux builds engines; counting runs elsewhere too)

        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _timings_path(self, machine: Machine) -> Path:
        return self.folder / f"{_key(vars(machine))}.timings"

    def _next_order(self) -> int:
        return 1 + max((engine.record.order for engine in self.engines() if engine.record), default=0)

    def _write(self, record: EngineRecord) -> None:
        _write_whole(self.folder / f"{record.recipe.key}.json", record.model_dump_json(indent=2).encode())

    def _check(self, path: Path) -> CachedEngine:
        try:
            record = EngineRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return CachedEngine(path.stem, None, f"{path.name} cannot be read")
        return CachedEngine(path.stem, record, self._damage(path, record))

    def _damage(self, path: Path, record: EngineRecord) -> str | None:
        file = self.folder / record.file
        try:
            size = file.stat().st_size
            if size != record.size_bytes:
                return f"{record.file} has {size} of {record.size_bytes} bytes"
            if sha256_of(file) != record.sha256:
                return f"{record.file} was altered"
        except OSError as error:
            return f"{record.file} cannot be read ({error.strerror})"
        return None if path.stem == record.recipe.key else f"{path.name} is not its record"


def _key(facts: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _write_whole(path: Path, content: bytes) -> None:
    """Replace a file so that a reader, also one after a power cut, sees the old content or the new."""
    fresh = path.with_name(f".{path.name}{_UNFINISHED}")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
