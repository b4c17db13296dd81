"""Putting a fetched document to use, by its kind."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cloud_sync.documents import Notice, PlanDocument, RegistryDocument
from cloud_sync.files import sync_folder
from cloud_sync.messages.decoding import first_problem
from device.documents.registry import apply_registry
from device.documents.shelf import in_use
from device.errors import InputError, unreadable
from device.factor_prior import keep_prior
from device.model_state import note_candidate
from device.season_cells import SeasonCells, has_series, parse_season_cells
from device.season_file import YIELD, parse_season_file
from device.store import Store
from export.runtime.bundle_archive import unpack_bundle
from export.runtime.errors import BundleError

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
        StoreError: it cannot be kept.
    """
    known: dict[str, Callable[[], object]] = {
        "registry": lambda: apply_registry(store, _parse_registry(file)),
        "plan": lambda: read_plan(file),
        "season": lambda: _check_season(_json(file), notice.name),
        "prior": lambda: keep_prior(store.folder, file),
        "release": lambda: _keep_release(store, notice, file),
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


def releases_folder(home: Path) -> Path:
    """Where model bundles lie that the server sent, each in a folder named by its identity."""
    return home / "bundles"


def _keep_release(store: Store, notice: Notice, file: Path) -> None:
    folder = releases_folder(store.folder)
    fresh = folder / ".new"
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        bundle = unpack_bundle(file, fresh)
        target = folder / bundle.identity
        if target.exists():
            shutil.rmtree(fresh)
        else:
            for path in (*fresh.iterdir(), fresh):
                _sync(path)
            fresh.replace(target)
            sync_folder(folder)
        note_candidate(store, bundle.identity)
    except BundleError as error:
        note_candidate(store, f"{notice.name} {notice.version}", str(error))
        raise InputError(str(error)) from error
    except OSError as error:
        raise InputError(f"release {file.name} cannot be kept: {error.strerror}; free some space") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
