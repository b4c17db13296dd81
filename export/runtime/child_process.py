"""Work in a process of its own: with a time limit, first to die for want of memory, and never outliving its parent.

The parent writes one line, the request, and keeps the pipe open. The child works and ends with 0; or it writes one
line of JSON that says what is wrong, and ends with another code. Whatever else it says is kept for the message.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from export.runtime.errors import EngineError

_REFUSED = 3
_MOST_SAID = 2000
# gives way to counting and to the pages
_NICER = 10


def run_child(module: str, request: Mapping[str, object], time_limit_s: float) -> None:
    """Have a module do something in a process of its own, and wait for it.

    Args:
        module: name of a module whose ``__main__`` calls :func:`serve`.
        request: what it shall do, as JSON takes it.
        time_limit_s: the process is killed after this long.

    Raises:
        EngineError: it refused, died, or took too long.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603  (this Python and a module of ours)
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT
        )
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError):  # it died already, which its exit code says
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            code = process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            raise EngineError(
                f"stopped after {time_limit_s / 60:.3g} minutes; raise --time-limit, or end other programs"
            ) from None
        finally:
            process.kill()
            process.wait()
            with suppress(BrokenPipeError):
                process.stdin.close()
        if code != 0:
            raise EngineError(_what_happened(code, said))


def serve(work: Callable[[dict[str, object]], None]) -> None:
    """Be the child: read the request, do it, end the process.

    Args:
        work: does what the request says; errors of ours are told to the parent.
    """
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(_NICER)
    with suppress(OSError):  # only Linux has it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        work(request)
    except Exception as error:
        if getattr(error, "exit_code", None) is None and not isinstance(error, OSError):
            raise  # a mistake in the code keeps its traceback
        sys.stdout.write(f"\n{json.dumps({'error': str(error)})}\n")
        sys.exit(_REFUSED)


def _end_with_parent() -> None:
    """End at once when the pipe closes: the parent is gone, and with it whoever wanted the work."""
    os.read(sys.stdin.fileno(), 1)  # a buffered read would hold a lock that Python wants when it ends
    os._exit(1)


def _what_happened(code: int, said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    if code == _REFUSED and lines:
        with suppress(ValueError, KeyError, TypeError):
            return str(json.loads(lines[-1])["error"])
    if code == -signal.SIGKILL:
        return "it was killed, most likely for want of memory; lower --workspace-mib, and end other programs"
    how = f"signal {-code} ended it" if code < 0 else f"it ended with code {code}"
    return f"{how}; it said last: {' / '.join(lines)[-_MOST_SAID:] or 'nothing'}"
