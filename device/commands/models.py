"""``pomona models``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from device.commands.common import bundle_option, default_engines, home_option, opened_store
from device.commands.installing import activate, install, rollback

if TYPE_CHECKING:
    from device.factor_prior import FactorPriorDocument
    from export.runtime.bundle import Bundle
    from export.runtime.engine_cache import CachedEngine, Precision


@click.group()
def models() -> None:
    """Install the models of this device, show them, build their TensorRT engines, take over what other blocks teach."""


for _command in (install, activate, rollback):
    models.add_command(_command)


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
@home_option
def build(bundle: Path | None, precision: str | None, workspace_mib: int, time_limit: float, home: Path) -> None:
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

    opened = open_bundle(bundle or _active_detector(home))
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
@home_option
def list_(bundle: Path | None, as_json: bool, home: Path) -> None:
    """List the models and the TensorRT engines on this device, and say what counts and why.

    \b
    Example:
      pomona models list
    """
    from export.runtime.bundle import open_bundle
    from export.runtime.engine_cache import EngineCache

    opened = open_bundle(bundle or _active_detector(home))
    engines = EngineCache(default_engines()).engines()
    serving, reason = _what_counts(opened, engines)
    states = {engine.key: engine.damage or ("counts" if engine.key == serving else "kept") for engine in engines}
    there = _models(home)
    if as_json:
        listed = [_as_dict(engine, states[engine.key]) for engine in engines]
        answer = {"bundle": opened.identity, "counts_with": "tensorrt" if serving else "onnxruntime", "reason": reason}
        click.echo(json.dumps({**answer, "models": there, "engines": listed}, ensure_ascii=False, indent=2))
        return
    click.echo(f"{opened.identity} counts with {'TensorRT' if serving else f'ONNX Runtime: {reason}'}.")
    if there:
        _print_models(there)
    if engines:
        _print_table(engines, states)


def _active_detector(home: Path) -> Path | None:
    """Folder of the installed bundle that counts; None for the one that comes with Pomona."""
    from device.releases.active import DETECTION, folder_of, read_active
    from device.store import FILE_NAME

    if not (home / FILE_NAME).exists():
        return None
    with opened_store(home) as store:
        return folder_of(store, read_active(store, DETECTION).bundle)


def _models(home: Path) -> list[dict[str, str]]:
    """Every installed model with its state, the active ones first."""
    from device.releases.active import installed, read_all_active
    from device.store import FILE_NAME

    if not (home / FILE_NAME).exists():
        return []
    with opened_store(home) as store:
        active = read_all_active(store)
        there = {item.identity: item.manifest.task for item in installed(store)}
    found = []
    for one in active:
        found.append({"task": one.task, "bundle": one.bundle, "state": "active", "since": one.since, "why": one.reason})
        if one.previous is not None:
            found.append({"task": one.task, "bundle": one.previous, "state": "previous", "since": "", "why": ""})
    named = {model["bundle"] for model in found}
    for identity, task in there.items():
        if identity not in named:
            found.append({"task": task, "bundle": identity, "state": "installed", "since": "", "why": ""})
    return found


def _print_models(there: list[dict[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    # whole, for `pomona models activate` asks for it
    table = Table(Column("model", overflow="fold"), "task", "state", "since", "why")
    for model in there:
        cells = (model["bundle"] or "what comes with Pomona", model["task"], model["state"], model["since"][:10])
        table.add_row(*map(Text, (*cells, model["why"])))
    Console().print(table)


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


@models.command("prior")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@home_option
def prior(file: Path | None, home: Path) -> None:
    """Take over from FILE what blocks measured before say of the correction factor; without FILE, show it.

    The server fits it and leaves out what it shall be weighed against. From then on estimates also say what a block's
    own trees and the other blocks say together, which tells a block of few trees most.

    \b
    Examples:
      pomona models prior factor-prior.json
      pomona models prior
    """
    from device.factor_prior import keep_prior, kept_prior

    document = kept_prior(home) if file is None else keep_prior(home, file)
    if document is None:
        click.echo("No prior of the correction factor is kept. Take one over: pomona models prior FILE")
    else:
        _print_prior(document)


def _print_prior(document: FactorPriorDocument) -> None:
    from math import sqrt

    from calibration.pooling import BLOCK

    years, regions = document.levels("year"), document.levels("region")
    told = document.prior
    click.echo(
        f"Prior of the correction factor, from {told.blocks} block{'s' * (told.blocks != 1)} of {', '.join(years)} in "
        f"{', '.join(regions)}; blocks differ by {sqrt(told.spread[BLOCK].variance) * 100:.0f} %."
    )
    for orchard, region in document.regions.items():
        click.echo(f"{orchard} lies in {region}.")
