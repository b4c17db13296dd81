"""Which code trains."""

from __future__ import annotations

import subprocess
from pathlib import Path


def code_commit() -> str:
    """The commit that is checked out here, ``-dirty`` behind it where files were changed since; or ``unknown``."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():  # installed without its history, maybe inside another repository
        return "unknown"
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (git, on ourselves)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
