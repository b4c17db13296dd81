"""Whatever dies, is parted or is full: each record is at the server once, in order, unaltered.

The long forms are the bars; ``python -m tests.system.faults CAMPAIGN --seed N`` runs one alone.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgresql import need_postgresql
from tests.processes import ROOT
from tests.system.faults.apart import need_apart
from tests.system.faults.kills import EVERYTHING, WITH_POSTGRESQL
from tests.system.faults.worlds import NEED_RIGHTS

# a few rounds that kill, part and fill something once or twice; brokers are killed among everything else
SHORT = {"kills": 5, "postgresql": 2, "partitions": 4, "packets": 2, "disks": 2, "restores": 4}
SHORT_RECORDS = 40
LONG = {
    "kills": 1000,
    "postgresql": 200,
    "brokers": 200,
    "partitions": 200,
    "packets": 200,
    "disks": 200,
    "restores": 100,
}


# what hardly any long run does without
DOES = {
    "kills": [f"killed {victim}" for victim in EVERYTHING],
    "postgresql": [f"killed {victim}" for victim in WITH_POSTGRESQL],
    "brokers": ["killed broker"],
    "partitions": [f"{end} {what}" for end in ("device", "server") for what in ("cut", "refused", "stalled", "slowed")],
    "packets": [f"{end} {what}" for end in ("device", "server") for what in ("parted", "badly linked")],
    "disks": ["filled store", "filled photos", "filled server", "import ended 1", "killed server"],
    "restores": ["backed the server up", "restored the server"],
}


def run(campaign: str, rounds: int, records: int, temporary: Path) -> str:
    if campaign in NEED_RIGHTS:
        need_apart()
    if campaign == "postgresql":
        need_postgresql()
    seed = random.randrange(10**6)
    # PostgreSQL does not run as root, and others may not enter pytest's folder
    folder = {} if campaign == "postgresql" else {"TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "tests.system.faults", campaign, f"--rounds={rounds}", f"--records={records}"]
    done = subprocess.run(
        [*command, f"--seed={seed}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **folder},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("campaign", SHORT)
def test_a_few_rounds_lose_and_double_nothing(mosquitto: None, campaign: str, tmp_path: Path) -> None:
    """SYNC-021, SYNC-022, SYNC-026, SYNC-041, SYNC-046."""
    assert f"{SHORT[campaign]} rounds" in run(campaign, SHORT[campaign], SHORT_RECORDS, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("campaign", LONG)
def test_ten_thousand_records_survive(mosquitto: None, campaign: str, tmp_path: Path) -> None:
    """SYNC-021, SYNC-022, SYNC-026, SYNC-041, SYNC-046."""
    said = run(campaign, LONG[campaign], 10_000, tmp_path)
    assert f"{LONG[campaign]} rounds" in said
    assert [what for what in DOES[campaign] if what not in said] == []
