"""A bundle as one file."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import pytest

from export.runtime.bundle import Bundle
from export.runtime.bundle_archive import pack_bundle, unpack_bundle
from export.runtime.errors import BundleError


def test_what_was_packed_comes_out_again(tmp_path: Path, disc_bundle: Bundle) -> None:
    archive = tmp_path / "bundle.zip"
    pack_bundle(disc_bundle, archive)
    unpacked = unpack_bundle(archive, tmp_path / "bundle")
    assert unpacked.identity == disc_bundle.identity
    assert unpacked.model.read_bytes() == disc_bundle.model.read_bytes()


def test_the_same_bundle_gives_the_same_archive(tmp_path: Path, disc_bundle: Bundle) -> None:
    archives = [tmp_path / "one.zip", tmp_path / "other.zip"]
    for archive in archives:
        pack_bundle(disc_bundle, archive)
    assert archives[0].read_bytes() == archives[1].read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("../manifest.json", b"{}", "would lie beside the bundle"),
        ("/etc/passwd", b"{}", "would lie beside the bundle"),
        ("more/", b"", "would lie beside the bundle"),
        ("more.txt", b"more", r"holds more\.txt, which its manifest does not list"),
        ("manifest.json", b"{}", "one of them twice"),
    ],
)
def test_other_files_than_its_own_are_refused(
    tmp_path: Path, disc_bundle: Bundle, name: str, content: bytes, said: str
) -> None:
    archive = tmp_path / "bundle.zip"
    pack_bundle(disc_bundle, archive)
    with warnings.catch_warnings(), zipfile.ZipFile(archive, "a") as packed:
        warnings.simplefilter("ignore")  # that a name comes twice
        packed.writestr(name, content)
    with pytest.raises(BundleError, match=said):
        unpack_bundle(archive, tmp_path / "bundle")
    assert not (tmp_path / "manifest.json").exists()


def test_one_that_was_cut_short_or_altered_is_refused(tmp_path: Path, disc_bundle: Bundle) -> None:
    archive = tmp_path / "bundle.zip"
    pack_bundle(disc_bundle, archive)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="is no archive of a bundle"):
        unpack_bundle(archive, tmp_path / "half")
    middle = whole.index(b"model.onnx") + 500
    archive.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(BundleError, match=r"no archive of a bundle|was altered"):
        unpack_bundle(archive, tmp_path / "altered")


def test_a_compressed_one_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("model.onnx", bytes(1_000_000))
    with pytest.raises(BundleError, match="is compressed"):
        unpack_bundle(archive, tmp_path / "bundle")
