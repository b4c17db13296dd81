"""Hostile messages through a real broker into a real server."""

from __future__ import annotations

import pytest

from tests.hostile.broker import campaign
from tests.system.conftest import Site


def test_hostile_messages_are_dead_letters_and_the_others_are_stored(site: Site) -> None:
    """SYNC-045, SYNC-047, SYNC-048: a short form of `python -m tests.hostile broker`."""
    site.start_broker()
    server = site.start_server()
    told = campaign(site, seed=3, messages=300)
    assert told["honest"] == 30
    assert int(str(told["dead_letters"])) > 100
    assert site.stop(server)[0] == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_thousand_hostile_messages(site: Site) -> None:
    """SYNC-045, SYNC-047, SYNC-048."""
    site.start_broker()
    server = site.start_server()
    assert campaign(site, seed=4, messages=20_000)["honest"] == 2000
    assert site.stop(server)[0] == 0
