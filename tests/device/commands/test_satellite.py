"""``pomona satellite``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device.orchards import Block
from device.store import Store
from tests.conftest import Pomona
from tests.device.test_season_cells import at, season


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(season()))
    return path


def test_places_and_months_are_shown(run_pomona: Pomona, file: Path) -> None:
    place = [str(number) for number in at(2, 3)]
    done = run_pomona("satellite", "--season-file", str(file), "--at", *place)
    assert (done.exit_code, done.err) == (0, "")
    rows = {line.split("  ")[0].strip(): line.split()[-2:] for line in done.out.splitlines() if line.strip()}
    assert rows["B08"] == ["0.11", "0.23"]
    assert rows["air, °C"] == ["11.9", "17.4"]
    assert rows["clear, %"] == ["50.0", "100"]
    assert "3 acquisitions from 2026-04-02 to 2026-05-02" in done.out


def test_the_whole_orchard_as_json(run_pomona: Pomona, file: Path) -> None:
    done = run_pomona("satellite", "--season-file", str(file), "--json")
    told = json.loads(done.out)
    assert told["months"] == [4, 5]
    assert told["values"]["B08"] == {"unit": "1", "values": [0.05, 0.17]}
    assert told["values"]["Tair_f_tavg"] == {"unit": "K", "values": [285.0, 290.5]}


def test_without_a_file_or_a_block_it_says_what_to_give(run_pomona: Pomona) -> None:
    done = run_pomona("satellite")
    assert done.exit_code == 2
    assert "name a block whose orchard's season file the server sent, or a file with --season-file" in done.err


def test_a_block_without_a_season_file_says_so(run_pomona: Pomona, store: Store, block: Block) -> None:
    done = run_pomona("satellite", "--block", block.name)
    assert done.exit_code == 2
    assert f"the server has sent no season file of {block.orchard}; name one with --season-file" in done.err


def test_a_file_that_is_none_is_named(run_pomona: Pomona, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("[]")
    for name in ("s.json", "gone.json"):
        done = run_pomona("satellite", "--season-file", str(tmp_path / name))
        assert done.exit_code == 2
        assert name in done.err
