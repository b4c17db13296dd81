"""A bundle as one file, to be sent: an uncompressed ZIP archive of its folder's files."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from export.runtime.bundle import Bundle, ModelBundle, YieldBundle, open_any_bundle
from export.runtime.errors import BundleError
from export.runtime.manifest import MANIFEST

# far above any bundle that a device could run
_MOST_BYTES = 1024**3
_MOST_FILES = 32
# the same bundle gives the same archive
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def pack_bundle(bundle: ModelBundle, archive: Path) -> None:
    """Write a bundle's manifest and the files it lists into an archive; graphs are hardly compressible.

    Raises:
        OSError: it cannot be written.
    """
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for name in (MANIFEST, *sorted(bundle.manifest.files)):
            with (bundle.folder / name).open("rb") as file, packed.open(zipfile.ZipInfo(name, _NO_DATE), "w") as entry:
                shutil.copyfileobj(file, entry)


def unpack_bundle(archive: Path, folder: Path) -> Bundle | YieldBundle:
    """Unpack a bundle into an empty or new folder, and check each of its files against the manifest.

    Raises:
        BundleError: it is no such archive, has other files than its own at its top, or one that was altered.
        OSError: the folder cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = packed.infolist()
            _check(archive, entries)
            folder.mkdir(parents=True, exist_ok=True)
            for entry in entries:
                with packed.open(entry) as file, (folder / entry.filename).open("wb") as out:
                    shutil.copyfileobj(file, out)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise BundleError(f"{archive} is no archive of a bundle ({error}); fetch it again") from error
    bundle = open_any_bundle(folder)
    if unlisted := {entry.filename for entry in entries} - {MANIFEST, *bundle.manifest.files}:
        raise BundleError(f"{archive} holds {min(unlisted)}, which its manifest does not list; fetch it again")
    return bundle


def _check(archive: Path, entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names) or len(names) > _MOST_FILES:
        raise BundleError(f"{archive} holds {len(names)} files or one of them twice; fetch it again")
    for entry in entries:
        if Path(entry.filename).name != entry.filename or entry.is_dir() or "\\" in entry.filename:
            raise BundleError(f"{archive} holds {entry.filename!r}, which would lie beside the bundle; fetch it again")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise BundleError(f"{archive} is compressed, and bundles are sent as they are; fetch it again")
    if sum(entry.file_size for entry in entries) > _MOST_BYTES:
        raise BundleError(f"{archive} unfolds to more than {_MOST_BYTES >> 20} MiB; fetch it again")
