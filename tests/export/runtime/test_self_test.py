"""A bundle that is tried before it counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.runtime.bundle import Bundle, open_any_bundle, sha256_of
from export.runtime.errors import BundleError
from export.runtime.self_test import try_bundle
from tests.disc_bundle import make_disc_bundle, write_manifest
from tests.drawing import save_photo
from tests.export.fitted_models import drawn_bundle, spoil_sample


def with_photo(folder: Path, told: int) -> Path:
    """A bundle that brings a photo of three discs, and says that it counts so many."""
    make_disc_bundle(folder)
    save_photo(folder / "test.jpg", 3)
    files = {name: sha256_of(folder / name) for name in ("model.onnx", "test.jpg")}
    write_manifest(folder, files=files, self_test={"test.jpg": {"apple": told}})
    return folder


def test_one_that_counts_what_it_says_passes(disc_bundle: Bundle, tmp_path: Path) -> None:
    try_bundle(disc_bundle.folder)
    try_bundle(with_photo(tmp_path / "told", 3))


def test_one_that_counts_something_else_does_not(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"it counts 3 apple in test\.jpg, and its manifest says 7"):
        try_bundle(with_photo(tmp_path / "told", 7))


def test_a_graph_that_does_not_run_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    make_disc_bundle(folder)
    (folder / "model.onnx").write_bytes(b"no graph")
    write_manifest(folder)
    with pytest.raises(BundleError, match="it failed when it was tried"):
        try_bundle(folder)


def test_one_that_predicts_otherwise_than_where_it_was_built_is_refused(tmp_path: Path) -> None:
    """Every graph computes its parity sample, also those of seasons that have only begun."""
    folder = drawn_bundle(tmp_path / "yields", "Ridge", 6).folder
    try_bundle(folder)
    spoil_sample(folder, "model-06")
    with pytest.raises(BundleError, match=r"model-06\.onnx predicts otherwise here than where it was built"):
        try_bundle(folder)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (None, "cannot be read"),
        ("[]", "install the bundle again"),
        ('{"task": "dance"}', "task: Input should be"),
    ],
)
def test_what_is_no_bundle_or_of_an_unknown_task_is_said(tmp_path: Path, manifest: str | None, said: str) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(BundleError, match=said):
        open_any_bundle(tmp_path)
