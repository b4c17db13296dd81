"""Hostile messages through the decoder and the screening: each is accepted rightly or refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.judging import hostile_message, judge, run
from tests.hostile.mutations import Hostile, recorded


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_comes_is_accepted_rightly_or_refused_with_a_reason(number: int) -> None:
    """SYNC-045, SYNC-047: a short form of `python -m tests.hostile screening`."""
    judge(hostile_message(0, number, recorded()))


def test_the_messages_are_hostile_and_some_pass_all_the_same() -> None:
    """SYNC-047: what is refused at the first look alone would try nothing."""
    tally = run(seed=1, inputs=400)
    assert tally["Accepted"] > 40
    assert tally["Refused"] > 200


def test_the_recorded_messages_survive_the_way_through_bytes() -> None:
    for message in recorded():
        assert Hostile.from_bytes(message.as_bytes()) == message


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_hostile_messages() -> None:
    """SYNC-047."""
    assert run(seed=2, inputs=100_000)["Refused"] > 50_000
