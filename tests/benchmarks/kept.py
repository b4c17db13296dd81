"""What a benchmark has done and does not do again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def keep(file: Path, found: Mapping[str, object]) -> None:
    """Write a result as JSON, whole or not at all; several processes may do so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.replace(file)
