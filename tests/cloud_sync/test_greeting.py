"""The server's greeting, and refused messages that are offered to a server that has learned."""

from __future__ import annotations

import pytest

from cloud_sync.greeting import Greeting
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, messages_of, tree

KNOWN = Greeting(version="0.9.10", accepts={"tree": 1, "count": 2})


@pytest.mark.parametrize(
    ("version", "accepts", "learned"),
    [
        ("0.9.10", {"tree": 1, "count": 2}, False),
        ("0.9.11", {"tree": 1, "count": 2}, True),
        ("0.10.0", {"tree": 1, "count": 2}, True),
        ("1.0.0rc1+local.7", {"tree": 1, "count": 2}, True),
        ("0.9.9", {"tree": 1, "count": 2}, False),
        ("0.9.10+build.5", {"tree": 1, "count": 2}, False),
        ("unknown", {}, False),
        ("0.9.10", {"tree": 2, "count": 2}, True),
        ("0.9.10", {"tree": 1, "count": 2, "weather": 1}, True),
        ("0.9.10", {"tree": 1}, False),
    ],
)
def test_a_server_has_learned_when_its_version_or_what_it_accepts_has_risen(
    version: str, accepts: dict[str, int], learned: bool
) -> None:
    """SYNC-106."""
    assert Greeting(version=version, accepts=accepts).knows_more_than(KNOWN) is learned


def test_refused_messages_are_queued_again_by_themselves_when_the_server_has_learned(store: Store) -> None:
    """SYNC-027, SYNC-106."""
    outbox = store.outbox
    assert outbox.greeted(KNOWN) == 0
    enqueue(store, [tree("1"), tree("2")])
    for message in messages_of(outbox):
        outbox.rejected(message, "too new")
    assert outbox.greeted(KNOWN) == 0
    newer = KNOWN.model_copy(update={"version": "0.9.11"})
    assert outbox.greeted(newer) == 2
    assert len(messages_of(outbox)) == 2


def test_a_server_that_was_set_back_and_upgraded_again_has_learned_again(store: Store) -> None:
    """SYNC-106: what it refused in between is offered to it."""
    newer = KNOWN.model_copy(update={"version": "1.0.0"})
    store.outbox.greeted(newer)
    assert store.outbox.greeted(KNOWN) == 0
    enqueue(store, [tree("1")])
    store.outbox.rejected(messages_of(store.outbox)[0], "too new")
    assert store.outbox.greeted(newer) == 1


def test_what_is_known_of_the_server_survives_the_process(store: Store) -> None:
    """SYNC-106: the upgrade may come while the device is off."""
    store.outbox.greeted(KNOWN)
    again = Store(store.folder)
    enqueue(again, [tree("1")])
    again.outbox.rejected(messages_of(again.outbox)[0], "too new")
    assert again.outbox.greeted(KNOWN) == 0
    assert again.outbox.greeted(KNOWN.model_copy(update={"accepts": {"tree": 2}})) == 1
    again.close()
