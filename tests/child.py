"""A child of :func:`export.runtime.child_process.run_child` that does what it is asked: end well, refuse, die, last."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from export.runtime.child_process import serve
from export.runtime.errors import BundleError


def work(request: dict[str, object]) -> None:
    """Do ``what``; ``file`` is written first, with this process's number."""
    if "file" in request:
        Path(str(request["file"])).write_text(str(os.getpid()))
    sys.stdout.write("a library talks\n" * int(str(request.get("lines", 1))))
    match request["what"]:
        case "refuse":
            raise BundleError("the graph has no nodes; install the bundle again")
        case "fill the disk":
            raise OSError(28, "No space left on device", "/engines/0.engine")
        case "mistake":
            raise ZeroDivisionError
        case "exit":
            sys.exit(7)
        case "be killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "last":
            time.sleep(60)
        case "manners":
            score = Path("/proc/self/oom_score_adj").read_text().strip()
            raise BundleError(f"{os.nice(0)} {score}")


if __name__ == "__main__":
    serve(work)
