"""Whom this device believes about releases: the root it was given, followed by python-tuf to what is released now."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile
from tuf.api.serialization import DeserializationError
from tuf.ngclient import Updater

from cloud_sync.errors import HttpsError
from cloud_sync.files import identity_folder, make_folder, sync_folder, write_whole
from cloud_sync.identity import release_root_file
from cloud_sync.messages.decoding import first_problem
from cloud_sync.releases import METADATA, TARGETS, root_fingerprint
from cloud_sync.timekeeping import Reading, Timekeeper
from device.errors import InputError, ReleaseError, unreadable
from device.releases.source import Source, SourceFetcher


class Told(BaseModel):
    """What a repository says of a release; signed, and still only said until the bundle is there."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(max_length=200)
    version: str = Field(max_length=50)
    task: str = Field(max_length=50)
    crop: str = Field(max_length=200)
    region: str = Field(max_length=200)
    target: str = Field(max_length=200)
    identity: str = Field(pattern=r"^[a-z0-9][a-z0-9.+-]{0,199}$")
    number: int = Field(ge=1)
    files: Mapping[str, str] = Field(default_factory=dict, exclude=True)


class Offered(BaseModel):
    """A release that may be installed.

    Attributes:
        path: its name in the repository.
        sha256: hash of its archive.
        size_bytes: size of its archive.
        told: what is said of it.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    sha256: str
    size_bytes: int
    told: Told

    @property
    def name(self) -> str:
        """Name and version."""
        return self.path.removesuffix(".zip")

    @property
    def file(self) -> str:
        """Where its archive lies in the source."""
        return f"{TARGETS}/{self.sha256}.{self.path}"


def trust_root(home: Path, file: Path) -> str:
    """Trust a root from now on, and say its fingerprint; to be called where a person has asked for it.

    Raises:
        InputError: the file is no root, or this device trusts another.
        ReleaseError: it cannot be kept.
    """
    try:
        content = file.read_bytes()
        read: Metadata[Any] = Metadata.from_bytes(content)
        if not isinstance(read.signed, Root):
            raise InputError(f"{file} is no root of releases; name the server's N.root.json")
        read.signed.verify_delegate("root", read.signed_bytes, read.signatures)
    except OSError as error:
        raise unreadable(f"root {file}", error) from error
    except (DeserializationError, RepositoryError) as error:
        raise InputError(f"{file} is no root of releases; name the server's N.root.json") from error
    kept = release_root_file(home)
    if kept.exists() and kept.read_bytes() != content:
        raise InputError(
            f"this device trusts another root already, {root_fingerprint(kept.read_bytes())}; to trust that of {file} "
            f"instead, delete {kept} first"
        )
    try:
        make_folder(kept.parent, 0o700)
        write_whole(kept, content)
    except OSError as error:
        raise ReleaseError(f"{kept}: {error.strerror}; check its permissions and disk") from error
    return root_fingerprint(content)


def offered(home: Path, source: Source) -> list[Offered]:
    """What a source has released, verified, in the order of release.

    Raises:
        InputError: this device trusts no root yet.
        ReleaseError: it is not signed by whom this device trusts, is older than what was seen before, or has ended.
        HttpsError: the server cannot be reached, or says no.
    """
    root = release_root_file(home)
    if not root.exists():
        raise InputError(
            "this device trusts nobody's releases yet; enrol it at a server that has some, or name the root once: "
            "--root FILE"
        )
    folder = home / "releases" / METADATA
    time = Timekeeper(identity_folder(home)).read()
    try:
        make_folder(folder)
        updater = Updater(str(folder), METADATA, TARGETS, fetcher=SourceFetcher(source), bootstrap=root.read_bytes())
        # what has ended is judged by the time as this device knows it, and not by a clock that may say 1970
        updater._trusted_set.reference_time = time.at
        updater.refresh()
        listed = updater._trusted_set.targets.targets
        _sync(folder)
    except ExpiredMetadataError as error:
        raise ReleaseError(_ended(source, error, time)) from error
    except (RepositoryError, DeserializationError) as error:
        raise ReleaseError(
            f"the releases of {source.where} are not what this device trusts ({error}); nothing was installed"
        ) from error
    except DownloadError as error:
        raise ReleaseError(f"the releases of {source.where} cannot be read ({error}); check the source") from error
    except HttpsError:
        raise
    except OSError as error:
        raise ReleaseError(f"{error.filename or folder}: {error.strerror}; check its permissions and disk") from error
    return sorted((_offer(source, path, info) for path, info in listed.items()), key=lambda item: item.told.number)


def _offer(source: Source, path: str, info: TargetFile) -> Offered:
    try:
        told = Told.model_validate(info.custom)
        return Offered(path=path, sha256=info.hashes["sha256"], size_bytes=info.length, told=told)
    except (KeyError, ValidationError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else "it has no SHA-256"
        raise ReleaseError(f"{path} of {source.where} is described wrongly: {problem}; release it again") from error


def _ended(source: Source, error: ExpiredMetadataError, time: Reading) -> str:
    told = f"the releases of {source.where} have ended ({error}): somebody may hold newer ones back"
    if time.is_known:
        return f"{told}; on the server run: pomona server release renew"
    return (
        f"{told}; or the clock of this device is wrong, which says {time.at:%Y-%m-%d} and which nobody vouches for: "
        "run pomona sync, or on the server pomona server release renew"
    )


def _sync(folder: Path) -> None:
    """Bring what was seen to the disk: after a power cut nothing older shall be believed."""
    for path in (*folder.glob("*.json"), *folder.glob("root_history/*.json")):
        descriptor = os.open(path, os.O_RDONLY)
        with contextlib.closing(os.fdopen(descriptor)):
            os.fsync(descriptor)
    sync_folder(folder)
