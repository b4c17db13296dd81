"""Releasing a model: only with a decision of the gate that lets it pass, or a reason that somebody answers for."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cloud_sync.files import make_folder, write_whole
from cloud_sync.server.errors import ReleaseError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.releases.keys import KeyFolders
from cloud_sync.server.releases.repository import ReleaseRepository
from export.runtime.bundle import ModelBundle, open_any_bundle
from export.runtime.bundle_archive import pack_bundle
from models.gate import Decision


@dataclass(frozen=True)
class Release:
    """What is released.

    Attributes:
        name: name and version of the bundle.
        size_bytes: size of its archive.
        sha256: SHA-256 of its archive.
        told: what the repository says of it: task, crop, region, target, identity, decision or reason.
    """

    name: str
    size_bytes: int
    sha256: str
    told: Mapping[str, Any]


def repository_of(
    folder: ServerFolder, offline_keys: Path | None = None, pass_phrase: Callable[[], str] | None = None
) -> ReleaseRepository:
    """The repository of a server.

    Args:
        folder: the server's folder.
        offline_keys: where the keys of root and targets lie; None where the others do.
        pass_phrase: asks for what they are encrypted with.
    """
    online = folder.releases / "keys"
    return ReleaseRepository(folder.releases / "repository", KeyFolders(online, offline_keys or online, pass_phrase))


def record_decision(folder: ServerFolder, decision: Decision) -> Path:
    """Keep a decision of the gate, whichever it is, and say where.

    Raises:
        FolderError: the server's folder cannot be written.
    """
    moment = datetime.now(timezone.utc)
    record = {"decided_at": moment.isoformat(timespec="seconds"), **decision.as_dict()}
    name = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in decision.challenger)
    path = folder.releases / "decisions" / f"{moment:%Y%m%dT%H%M%S%f}-{name}.json"
    with folder.explained():
        make_folder(path.parent, 0o700)
        write_whole(path, json.dumps(record, ensure_ascii=False, indent=2).encode() + b"\n")
    return path


def read_decision(path: Path) -> Decision:
    """A decision of the gate.

    Raises:
        ReleaseError: the file cannot be read, is none, or contradicts itself.
    """
    try:
        return Decision.from_dict(json.loads(path.read_bytes()))
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error.strerror}; check the path") from error
    except ValueError as error:
        raise ReleaseError(f"{path}: {error}") from error


def release(
    repository: ReleaseRepository, bundle: Path, decision: Decision | None = None, ungated: str | None = None
) -> Release:
    """Release a bundle that passed the gate.

    Args:
        repository: the server's repository.
        bundle: the bundle's folder.
        decision: of the gate; its challenger is this bundle, by identity or by name and version.
        ungated: why it is released without; kept in the repository for all to see.

    Raises:
        ReleaseError: the gate did not let it pass, the decision is about another bundle, neither or both are given, or
            the repository cannot be changed.
        BundleError: the bundle is incomplete or altered.
    """
    opened = open_any_bundle(bundle)
    name = f"{opened.manifest.name}-{opened.manifest.version}"
    _require_leave(opened, name, decision, ungated)
    manifest = opened.manifest
    told: dict[str, Any] = {
        field: getattr(manifest, field) for field in ("name", "version", "task", "crop", "region", "target")
    }
    told |= {
        "identity": opened.identity,
        "released_at": repository.now().isoformat(),
        "number": 1 + max((item.told.get("number", 0) for item in releases(repository)), default=0),
        # as text: what TUF signs has no numbers with a point
        "decision": None if decision is None else json.dumps(decision.as_dict(), ensure_ascii=False),
        "ungated": ungated,
    }
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "bundle.zip"
        pack_bundle(opened, archive)
        repository.add(f"{name}.zip", archive.read_bytes(), told)
    return next(item for item in releases(repository) if item.name == name)


def releases(repository: ReleaseRepository) -> list[Release]:
    """What is released, the first release first.

    Raises:
        ReleaseError: there is no repository, or it is damaged.
    """
    found = [
        Release(path.removesuffix(".zip"), info.length, info.hashes["sha256"], _told(info.custom or {}))
        for path, info in repository.listed().items()
    ]
    return sorted(found, key=lambda item: item.told.get("number", 0))


def _told(custom: Mapping[str, Any]) -> dict[str, Any]:
    decision = custom.get("decision")
    return {**custom, "decision": None if decision is None else json.loads(decision)}


def withdraw(repository: ReleaseRepository, name: str) -> None:
    """Release something no longer.

    Raises:
        ReleaseError: it is not released, or the repository cannot be changed.
    """
    repository.remove(f"{name}.zip")


def _require_leave(bundle: ModelBundle, name: str, decision: Decision | None, ungated: str | None) -> None:
    if (decision is None) == (ungated is None):
        raise ReleaseError("a release needs the gate's decision, or a reason to do without; give one of them")
    if ungated is not None and len(ungated.strip()) < 10:
        raise ReleaseError("say in a sentence why this is released without the gate's decision")
    if decision is None:
        return
    if decision.challenger not in {bundle.identity, name}:
        raise ReleaseError(f"the decision is about {decision.challenger}, not about {bundle.identity}")
    if not decision.released:
        raise ReleaseError(f"the gate did not let {name} pass: {decision.reason}")
