"""OpenVINO as an engine, in a process of its own.

Beside the other libraries of a whole test run, OpenVINO 2026.4 ends the process at times (SIGSEGV).
"""

from __future__ import annotations

from pathlib import Path

from export.runtime.bundle import Bundle
from tests.processes import run_python

CHECKS = Path(__file__).with_name("openvino_checks.py")
START = """
import os, sys
from pathlib import Path
os.environ["HOME"] = sys.argv[2]
from export.runtime.bundle import open_bundle
from export.runtime.engines.openvino import OpenVinoEngine
from export.runtime.errors import MissingPartError
try:
    OpenVinoEngine(open_bundle(Path(sys.argv[1])))
except MissingPartError as error:
    print(error)
"""


def test_its_checks_pass() -> None:
    done = run_python(
        "import pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '--durations=8', sys.argv[1]]))", CHECKS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_without_the_library_the_error_says_what_to_install(disc_bundle: Bundle, tmp_path: Path) -> None:
    done = run_python(START, disc_bundle.folder, tmp_path, blocked=["openvino"])
    assert done.stdout.strip() == "openvino is missing; pip install '.[openvino]' in Pomona's folder"


def test_nothing_is_reported_to_the_makers_of_the_library(disc_bundle: Bundle, tmp_path: Path) -> None:
    """It would keep an identity for it under the user's home."""
    done = run_python(START, disc_bundle.folder, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == []
