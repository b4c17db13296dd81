"""``pomona models prior``, and what estimates make of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from device.orchards import Block
from device.store import Store
from tests.conftest import Pomona
from tests.device.fitted_prior import write_prior
from tests.device.planning.counted import count
from tests.device.visiting import queued

TOLD = "Prior of the correction factor, from 24 blocks of 2023, 2024 in Qixia, Zhaoyuan; blocks differ by"


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    return write_prior(tmp_path / "prior.json")


@pytest.fixture
def predictions(store: Store, block: Block, tmp_path: Path) -> Path:
    count(store, block, "2024-09-20", {"T1": 80, "T2": 90, "T3": 130})
    path = tmp_path / "predictions.csv"
    path.write_text("area,predicted_yield,unit\norchard,1200,kg/mu\nsampling_area,1100,kg/mu\n")
    return path


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_prior_is_taken_over_and_shown(run_pomona: Pomona, home: Path, prior: Path) -> None:
    """Also on a device that holds no records yet."""
    assert run_pomona("models", "prior").out == (
        "No prior of the correction factor is kept. Take one over: pomona models prior FILE\n"
    )
    done = run_pomona("models", "prior", prior)
    assert (done.exit_code, done.err) == (0, "")
    assert done.out.startswith(TOLD)
    assert done.out.endswith("North farm lies in Zhaoyuan.\n")
    prior.unlink()
    assert run_pomona("models", "prior").out == done.out


def test_a_wrong_prior_is_named_and_the_code_is_two(run_pomona: Pomona, prior: Path) -> None:
    run_pomona("models", "prior", prior)
    write_prior(prior, effects=None)
    done = run_pomona("models", "prior", prior)
    assert (done.exit_code, done.out) == (2, "")
    assert "prior.json: the prior of the correction factor holds no 'effects'; fetch it again" in done.err
    assert run_pomona("models", "prior").out.startswith(TOLD)


def test_estimates_then_say_what_other_blocks_add(
    run_pomona: Pomona, store: Store, predictions: Path, prior: Path
) -> None:
    alone = run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    assert "Together with" not in alone.out
    run_pomona("models", "prior", prior)
    done = run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    assert (done.exit_code, done.err) == (0, "")
    assert done.out.startswith(alone.out)
    added = words(done.out[len(alone.out) :])
    assert re.match(r"Together with 24 other blocks correction factor 1\.\d\d \(\d\.\d\d to \d\.\d\d\)", added)
    assert re.search(r"this block 1,\d\d\d \([\d,]+ to [\d,]+\) kg/mu share of its own trees in this \d\d %", added)
    assert "Note: other blocks say less of block B1, whose variety is not known; set it: pomona block add B1" in added
    assert queued(store, "estimate") == ["estimate"]


def test_a_prior_that_is_no_use_does_not_spoil_an_estimate(
    run_pomona: Pomona, store: Store, predictions: Path, prior: Path
) -> None:
    run_pomona("models", "prior", prior)
    (kept,) = (store.folder / "documents").iterdir()
    kept.write_text("{")
    done = run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    assert done.exit_code == 0
    assert re.match(r"Note: other blocks were not drawn in: prior .*factor-prior\.json is no JSON", done.err)
    assert queued(store, "estimate") == ["estimate"]
