"""A TUF repository in a folder: root, targets, snapshot, timestamp, and the packed bundles they vouch for.

Files are named by their version or hash and never change; ``timestamp.json`` alone does, and is replaced last. So
whoever reads sees the repository before a change or after it, also when the writer dies in between.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from cloud_sync.files import make_folder, write_whole
from cloud_sync.releases import METADATA, TARGETS
from cloud_sync.server.errors import ReleaseError
from cloud_sync.server.releases.keys import OFFLINE_ROLES, ONLINE_ROLES, ROLES, KeyFolders

_SIGNED = TypeVar("_SIGNED", Root, Targets, Snapshot, Timestamp)
# how long devices take each for new. A timestamp that has ended keeps devices from installing, not from counting
VALID_DAYS: Mapping[str, int] = {"root": 730, "targets": 730, "snapshot": 90, "timestamp": 30}


def _utc_now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


@dataclass(frozen=True)
class ReleaseRepository:
    """A repository.

    Attributes:
        folder: holds ``metadata`` and ``targets``, which may be copied and served as they are.
        keys: what signs.
        now: tells the time.
    """

    folder: Path
    keys: KeyFolders
    now: Callable[[], datetime] = _utc_now

    @property
    def metadata(self) -> Path:
        """What is signed."""
        return self.folder / METADATA

    @property
    def targets(self) -> Path:
        """The packed bundles."""
        return self.folder / TARGETS

    @property
    def exists(self) -> bool:
        """Whether it was made; until there is a timestamp it was not."""
        return (self.metadata / "timestamp.json").exists()

    def make(self, pass_phrase: str | None = None) -> None:
        """Make it, with new keys; keys that a death has left are used.

        Args:
            pass_phrase: encrypts the keys of root and targets.

        Raises:
            ReleaseError: there is one, or the folder cannot be written.
        """
        with self._changing():
            if self.exists:
                raise ReleaseError(f"{self.folder} has releases already; see `pomona server release list`")
            root = Root(version=1, expires=self._expires("root"), consistent_snapshot=True)
            for role in ROLES:
                if not self.keys.path(role).exists():
                    secret = pass_phrase if role in OFFLINE_ROLES else None
                    self.keys.write(role, CryptoSigner.generate_ed25519(), secret)
                root.add_key(self.keys.read(role).public_key, role)
            make_folder(self.metadata)
            make_folder(self.targets)
            self._write(root, self.keys.read("root"))
            self._write(Targets(version=1, expires=self._expires("targets")), self.keys.read("targets"))
            self._publish(targets=1)

    def newest_root(self) -> bytes:
        """The root that a device is to trust.

        Raises:
            ReleaseError: there is none.
        """
        with self._explained():
            return (self.metadata / f"{self._root_version()}.root.json").read_bytes()

    def expiries(self) -> dict[str, datetime]:
        """When each role ends.

        Raises:
            ReleaseError: there is no repository, or it is damaged.
        """
        read = (self._root(), self._targets().signed, self._snapshot(), self._timestamp())
        return {signed.type: signed.expires for signed in read}

    def key_ids(self) -> dict[str, str]:
        """Id of each role's key.

        Raises:
            ReleaseError: there is no repository, or it is damaged.
        """
        roles = self._root().roles
        return {role: ", ".join(sorted(roles[role].keyids)) for role in ROLES}

    def listed(self) -> dict[str, TargetFile]:
        """What is released, by its name.

        Raises:
            ReleaseError: there is no repository, or it is damaged.
        """
        return dict(self._targets().signed.targets)

    def add(self, name: str, content: bytes, custom: Mapping[str, Any]) -> None:
        """Release a file.

        Args:
            name: its name, which nothing else had before.
            content: the file.
            custom: what is said of it, as JSON takes it.

        Raises:
            ReleaseError: the name is taken, a key is not there, or the folder cannot be written.
        """
        with self._changing():
            known = self._targets().signed
            if name in known.targets:
                raise ReleaseError(f"{name} is released already; give the bundle another version")
            info = TargetFile.from_data(name, content, ["sha256"])
            info.unrecognized_fields["custom"] = dict(custom)
            known.targets[name] = info
            make_folder(self.targets)
            write_whole(self.targets / f"{hashlib.sha256(content).hexdigest()}.{name}", content)
            self._publish(self._write_next(known))

    def remove(self, name: str) -> None:
        """Release a file no longer; devices that have it keep it.

        Raises:
            ReleaseError: it is not released, a key is not there, or the folder cannot be written.
        """
        with self._changing():
            known = self._targets().signed
            if known.targets.pop(name, None) is None:
                raise ReleaseError(f"{name} is not released; see `pomona server release list`")
            self._publish(self._write_next(known))

    def renew(self, *, offline: bool = False) -> None:
        """Sign snapshot and timestamp for their whole time again, lest devices think that somebody holds news back.

        What a change of keys that died has left unsigned is signed too.

        Args:
            offline: root and targets as well.

        Raises:
            ReleaseError: a key is not there, or the folder cannot be written.
        """
        with self._changing():
            if offline:
                self._write_next(self._root())
            known = self._targets()
            with contextlib.suppress(UnsignedMetadataError):
                self._root().verify_delegate("targets", known.signed_bytes, known.signatures)
                if not offline:
                    self._publish(known.signed.version)
                    return
            self._publish(self._write_next(known.signed))

    def renew_in_time(self) -> bool:
        """Renew once half of the time of snapshot or timestamp is over, and say whether that was so.

        Raises:
            ReleaseError: there is no repository, a key is not there, or the folder cannot be written.
        """
        ends = self.expiries()
        if all(ends[role] - self.now() > timedelta(days=VALID_DAYS[role] / 2) for role in ONLINE_ROLES):
            return False
        self.renew()
        return True

    def rotate(self, role: str) -> str:
        """Give a role a new key. A new root is signed with its former key too, by which devices follow.

        Returns:
            Id of the new key.

        Raises:
            ReleaseError: a key is not there, or the folder cannot be written.
        """
        with self._changing():
            root, former = self._root(), self._signer("root")
            targets = self._targets().signed
            for name in ROLES[1:]:
                self._signer(name)  # what is missing is said before anything is changed
            new = self.keys.renewed(role)
            for keyid in list(root.roles[role].keyids):
                root.revoke_key(keyid, role)
            root.add_key(new.public_key, role)
            # from here on the new key counts, and whoever goes on after a death finds it beside the former
            self._write_next(root, former, *([new] if role == "root" else []))
            self.keys.promote(role)
            self._publish(self._write_next(targets) if role == "targets" else targets.version)
            return str(new.public_key.keyid)

    def _publish(self, targets: int) -> None:
        """Make a version of targets what devices see."""
        snapshot = Snapshot(expires=self._expires("snapshot"))
        timestamp = Timestamp(expires=self._expires("timestamp"))
        if self.exists:
            snapshot.version = self._snapshot().version + 1
            timestamp.version = self._timestamp().version + 1
        snapshot.meta["targets.json"] = MetaFile(version=targets)
        timestamp.snapshot_meta = MetaFile(version=snapshot.version)
        self._write(snapshot, self._signer("snapshot"))
        self._write(timestamp, self._signer("timestamp"))

    def _write_next(self, signed: Root | Targets, *signers: CryptoSigner) -> int:
        """Write the version after this one, and say which it is."""
        signed.version += 1
        signed.expires = self._expires(signed.type)
        self._write(signed, *(signers or [self._signer(signed.type)]))
        return signed.version

    def _write(self, signed: Root | Targets | Snapshot | Timestamp, *signers: CryptoSigner) -> None:
        whole: Metadata[Any] = Metadata(signed)
        for signer in signers:
            whole.sign(signer, append=True)
        name = "timestamp.json" if isinstance(signed, Timestamp) else f"{signed.version}.{signed.type}.json"
        write_whole(self.metadata / name, whole.to_bytes())

    def _signer(self, role: str) -> CryptoSigner:
        """The key that root names for a role; one that a death has left beside the former is put in its place."""
        trusted = self._root().roles[role].keyids
        if self.keys.path(role, ".next").exists():
            if self.keys.read(role, ".next").public_key.keyid in trusted:
                self.keys.promote(role)
            else:
                self.keys.path(role, ".next").unlink()
        signer = self.keys.read(role)
        if signer.public_key.keyid not in trusted:
            raise ReleaseError(f"{self.keys.path(role)} is not the key that devices trust; name another with --keys")
        return signer

    def _expires(self, role: str) -> datetime:
        return self.now() + timedelta(days=VALID_DAYS[role])

    def _root_version(self) -> int:
        found = (re.fullmatch(r"(\d+)\.root\.json", path.name) for path in self.metadata.glob("*.root.json"))
        versions = [int(match[1]) for match in found if match]
        if not versions:
            raise ReleaseError(f"{self.folder} has no releases yet; begin with `pomona server release init`")
        return max(versions)

    def _root(self) -> Root:
        return self._read(Root, f"{self._root_version()}.root.json").signed

    def _targets(self) -> Metadata[Targets]:
        version = self._snapshot().meta["targets.json"].version
        return self._read(Targets, f"{version}.targets.json")

    def _snapshot(self) -> Snapshot:
        return self._read(Snapshot, f"{self._timestamp().snapshot_meta.version}.snapshot.json").signed

    def _timestamp(self) -> Timestamp:
        return self._read(Timestamp, "timestamp.json").signed

    def _read(self, kind: type[_SIGNED], name: str) -> Metadata[_SIGNED]:
        path = self.metadata / name
        try:
            read: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
        except FileNotFoundError as error:
            if not self.exists:
                raise ReleaseError(
                    f"{self.folder} has no releases yet; begin with `pomona server release init`"
                ) from error
            raise ReleaseError(f"{path} is missing; restore the folder from a backup") from error
        except OSError as error:
            raise ReleaseError(f"{path} cannot be read: {error.strerror}; check its permissions") from error
        except (DeserializationError, RepositoryError) as error:
            raise ReleaseError(f"{path} is damaged; restore the folder from a backup") from error
        if not isinstance(read.signed, kind):
            raise ReleaseError(f"{path} is damaged; restore the folder from a backup")
        return read

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep other writers out, and say what the file system says."""
        with self._explained():
            make_folder(self.folder)
            with (self.folder / ".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ReleaseError(
                f"{error.filename or self.folder}: {error.strerror or error}; check its permissions and disk"
            ) from error
