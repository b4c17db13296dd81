"""Python in a process of its own: to see what it imports, to take libraries away, to kill it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
_BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def run_python(code: str, *arguments: object, blocked: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, without the blocked libraries."""
    program = _BLOCKER.format(blocked=tuple(blocked)) + code
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_pomona_process(*arguments: object, blocked: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, without the blocked libraries."""
    code = "import sys, pomona\nsys.argv[0] = 'pomona'\npomona.main()"
    return run_python(code, *arguments, blocked=blocked)
