"""Where a bundle is built: beside its place, so that what fails leaves one that is there as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export.runtime.manifest import MANIFEST


@contextmanager
def bundle_place(output: Path, suffixes: frozenset[str] = frozenset({".onnx"})) -> Iterator[Path]:
    """An empty folder that takes the place of an earlier bundle once nothing has failed.

    Args:
        output: the place.
        suffixes: of a bundle's files beside its manifest.

    Raises:
        ValueError: something else than a bundle is there.
    """
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is no folder; choose another place for the bundle")
    others = [path for path in output.glob("*") if path.suffix not in suffixes and path.name != MANIFEST]
    if others:
        raise ValueError(f"{output} also holds {others[0].name}; choose an empty folder or that of an earlier bundle")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".bundle-") as beside:
        built, before = Path(beside) / "built", Path(beside) / "before"
        built.mkdir()
        yield built
        if output.exists():
            output.rename(before)
        built.rename(output)
