"""Putting a fetched document to use, by its kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cloud_sync.documents import RELEASE_SCHEMA, Notice, PlanDocument, RegistryDocument
from cloud_sync.messages.decoding import first_problem
from device.documents.registry import apply_registry
from device.documents.shelf import in_use
from device.errors import InputError, unreadable
from device.factor_prior import keep_prior
from device.releases.installing import Wanted, install
from device.releases.source import open_source
from device.season_cells import SeasonCells, has_series, parse_season_cells
from device.season_file import YIELD, parse_season_file
from device.store import Store

# where an orchard is planted as usual: only tells whether a season file can be read at all
_ANY_TREES_PER_HA = 1000.0


def apply(store: Store, notice: Notice, file: Path) -> None:
    """Check a document and put it to use. What replaces it is whole or not there, also when the power is cut.

    Args:
        store: the device's records.
        notice: what the server says of it.
        file: the fetched file.

    Raises:
        InputError: it is of an unknown kind or schema, wrong in itself, or contradicts what this device knows.
        ReleaseError: a release cannot be trusted now.
        FetchError: it cannot be fetched now.
        HttpsError: the server cannot be reached, or says no.
        StoreError: it cannot be kept.
    """
    known: dict[str, Callable[[], object]] = {
        "registry": lambda: apply_registry(store, _parse_registry(file)),
        "plan": lambda: read_plan(file),
        "season": lambda: _check_season(_json(file), notice.name),
        "prior": lambda: keep_prior(store.folder, file),
        "release": lambda: _install_release(store, notice, file),
    }
    if notice.kind not in known:
        raise InputError(f"documents of kind {notice.kind!r} are unknown here; upgrade Pomona")
    known[notice.kind]()


def _check_season(content: dict[str, Any], name: str) -> None:
    """Refuse a season file that could not be read later; it holds predicted yields, what the satellite saw, or both."""
    if has_series(content):
        parse_season_cells(content, name)
    if not has_series(content) or YIELD in content.get("variables", {}):
        parse_season_file(content, name, _ANY_TREES_PER_HA)


def read_plan(file: Path) -> PlanDocument:
    """Read a sampling plan.

    Raises:
        InputError: it is none.
    """
    try:
        return PlanDocument.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(f"plan {file.name}: {first_problem(error)}") from error


def sent_season(store: Store, orchard: str) -> SeasonCells:
    """What the satellite saw of an orchard, by the season file that the server has sent.

    Raises:
        InputError: there is none, or it has predicted yields alone.
    """
    file = in_use(store, "season", orchard)
    if file is None:
        raise InputError(f"the server has sent no season file of {orchard}; name one with --season-file FILE")
    return parse_season_cells(_json(file), f"of {orchard}")


def read_season_cells(file: Path, name: str) -> SeasonCells:
    """What the satellite saw, by a season file.

    Raises:
        InputError: it cannot be read or is none.
    """
    try:
        return parse_season_cells(_json(file), name)
    except OSError as error:
        raise unreadable(f"season file {name}", error) from error


def _parse_registry(file: Path) -> RegistryDocument:
    try:
        return RegistryDocument.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(f"registry {file.name}: {first_problem(error)}") from error


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise InputError(f"{file.name} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file.name} is no JSON object")
    return content


def _install_release(store: Store, notice: Notice, file: Path) -> None:
    """Install the release that the server names: fetched from it and verified as any other."""
    content = _json(file)
    name = content.get("release")
    if content.get("schema") != RELEASE_SCHEMA or not isinstance(name, str):
        raise InputError(f"release {notice.name!r} names no release; publish it again: pomona server publish release")
    install(store, open_source(store.folder, None), Wanted(name))
