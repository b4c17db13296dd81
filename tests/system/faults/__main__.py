"""Campaigns of faults: ``python -m tests.system.faults kills --rounds 1000 --seed 7``.

The seed is printed first. The same seed does the same things at the same moments; what a processor makes of a moment
is its own, so a failing seed may have to be run more than once. The folder of a failed run is kept, with all logs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.system.faults.apart import go_apart, is_apart
from tests.system.faults.campaign import Plan, run
from tests.system.faults.cut_device import cut_device_power
from tests.system.faults.cut_page import cut_page_power
from tests.system.faults.cut_server import cut_server_power
from tests.system.faults.worlds import NEED_RIGHTS, WORLDS

_CUTS = {"device-cuts": cut_device_power, "page-cuts": cut_page_power, "server-cuts": cut_server_power}


def main() -> None:
    """Run one campaign."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.faults", description=__doc__)
    parser.add_argument("campaign", choices=[*WORLDS, *_CUTS])
    parser.add_argument("--rounds", type=int, default=100, help="rounds of faults, or number of power cuts")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--records", type=int, default=10_000, help="records the device makes in all")
    parser.add_argument("--check-every", type=int, default=100, help="rounds between comparisons")
    asked = parser.parse_args()
    if asked.campaign in NEED_RIGHTS and not is_apart():
        go_apart(["-m", "tests.system.faults", *sys.argv[1:]])
    os.environ["PATH"] += os.pathsep + "/usr/sbin"  # where Debian puts the broker, not in every user's path
    folder = Path(tempfile.mkdtemp(prefix=f"pomona-{asked.campaign}-"))
    if asked.campaign in _CUTS:
        print(f"seed {asked.seed}", flush=True)
        print(_CUTS[asked.campaign](folder, asked.rounds, asked.seed))
    else:
        plan = Plan(asked.rounds, asked.seed, asked.check_every)
        with WORLDS[asked.campaign](folder / "world", asked.records) as (world, fault):
            print(run(world, fault, plan, partial(print, flush=True)))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
