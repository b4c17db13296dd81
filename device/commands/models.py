"""``pomona models``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from device.commands.common import bundle_option, default_engines

if TYPE_CHECKING:
    from export.runtime.bundle import Bundle
    from export.runtime.engine_cache import CachedEngine, Precision


@click.group()
def models() -> None:
    """Show the models of this device and build their TensorRT engines."""


@models.command("build")
@bundle_option
@click.option(
    "--precision",
    type=click.Choice(("fp32", "fp16", "int8")),
    help="Lowest precision allowed.  [default: fp16; with TensorRT 11, which takes it from the graph, fp32]",
)
@click.option(
    "--workspace-mib",
    type=click.IntRange(16, 65536),
    default=1024,
    show_default=True,
    help="Cap of the memory layers work in; lower it where building is killed.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Minutes after which building is stopped.",
)
def build(bundle: Path | None, precision: str | None, workspace_mib: int, time_limit: float) -> None:
    """Build the TensorRT engine of a bundle on this device, minutes of work, and count with it from then on.

    Needs an NVIDIA GPU, TensorRT and cuda-python. Counting may go on meanwhile. An engine that is there is not built
    again; it becomes the one that counts.

    \b
    Examples:
      pomona models build
      pomona models build --precision int8 --workspace-mib 512
    """
    from device.errors import StoreError
    from export.runtime.bundle import open_bundle
    from export.runtime.tensorrt_build import BuildSettings, build_engine

    opened = open_bundle(bundle)
    settings = BuildSettings(cast("Precision | None", precision), workspace_mib, time_limit)
    folder = default_engines()
    try:
        with _waiting(f"Building the engine of {opened.identity}, at most {time_limit:g} minutes"):
            built = build_engine(opened, folder, settings)
    except OSError as error:
        raise StoreError(
            f"{folder}: {error.strerror or error}; free some space, or let this user write there"
        ) from error
    record = built.record
    how = f"built in {record.seconds:.0f} s" if built.anew else "there already"
    click.echo(f"{record.recipe.bundle} in {record.recipe.precision} for {record.recipe.gpu}: {how}, and counts now.")


@models.command("list")
@bundle_option
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def list_(bundle: Path | None, as_json: bool) -> None:
    """List the bundle and the TensorRT engines on this device, and say what counts and why.

    \b
    Example:
      pomona models list
    """
    from export.runtime.bundle import open_bundle
    from export.runtime.engine_cache import EngineCache

    opened = open_bundle(bundle)
    engines = EngineCache(default_engines()).engines()
    serving, reason = _what_counts(opened, engines)
    states = {engine.key: engine.damage or ("counts" if engine.key == serving else "kept") for engine in engines}
    if as_json:
        listed = [_as_dict(engine, states[engine.key]) for engine in engines]
        answer = {"bundle": opened.identity, "counts_with": "tensorrt" if serving else "onnxruntime", "reason": reason}
        click.echo(json.dumps({**answer, "engines": listed}, ensure_ascii=False, indent=2))
        return
    click.echo(f"{opened.identity} counts with {'TensorRT' if serving else f'ONNX Runtime: {reason}'}.")
    if engines:
        _print_table(engines, states)


def _what_counts(bundle: Bundle, engines: list[CachedEngine]) -> tuple[str | None, str | None]:
    """Key of the engine that counts with ``auto``, or None and why there is none."""
    from export.runtime.engine_decision import build_command, decide, model_of
    from export.runtime.errors import EngineError, MissingPartError
    from export.runtime.gpu import this_machine

    try:
        decision = decide(this_machine(), model_of(bundle), engines)
    except (EngineError, MissingPartError) as error:
        return None, str(error)
    if decision.engine is None:
        return None, f"{decision.rebuild}; run: {build_command(bundle)}"
    return decision.engine.recipe.key, None


def _as_dict(engine: CachedEngine, state: str) -> dict[str, object]:
    record = engine.record
    told: dict[str, object] = {"key": engine.key, "state": state}
    if record is not None:
        told |= {**record.recipe.model_dump(), "size_bytes": record.size_bytes, "seconds": record.seconds}
    return told


def _print_table(engines: list[CachedEngine], states: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("engine of", "precision", "GPU", "TensorRT", "MiB", "state")
    for engine in engines:
        cells = ("", "", "", "", "")
        if engine.record is not None:
            recipe = engine.record.recipe
            size = f"{engine.record.size_bytes / 2**20:.1f}"
            cells = (recipe.bundle, recipe.precision, recipe.gpu, recipe.tensorrt, size)
        table.add_row(*map(Text, (*cells, states[engine.key])))
    Console().print(table)


@contextlib.contextmanager
def _waiting(what: str) -> Iterator[None]:
    """Something that turns on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
