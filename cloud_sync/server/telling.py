"""Answers to devices from a command, beside the processes that receive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from cloud_sync import topics
from cloud_sync.connection import Connection, Terms
from cloud_sync.errors import BrokerError
from cloud_sync.identity import Identity
from cloud_sync.messages import Answer
from cloud_sync.server.storing import Reply
from cloud_sync.server.worker import portions

_TIMEOUT_S = 15.0


def tell(identity: Identity, replies: Iterable[Reply]) -> None:
    """Publish answers; a device that is away gets them from the broker when it comes, or asks again.

    Args:
        identity: the commands' own client of the broker.
        replies: devices and what they are told.

    Raises:
        BrokerError: the broker cannot be reached, or does not take them in time.
    """
    by_device: dict[str, list[Answer]] = defaultdict(list)
    for device, answer in replies:
        by_device[device].append(answer)
    # it has to read something; what is meant for this name nobody sends
    own = [topics.acknowledgements(identity.name)]
    connection = Connection(identity, Terms(session_expiry_s=0), subscriptions=own, on_message=lambda _message: None)
    try:
        connection.begin(threaded=True)
        connection.wait_open(_TIMEOUT_S)
        sent = [
            connection.client.publish(
                topics.acknowledgements(device), portion.model_dump_json(exclude_defaults=True).encode(), qos=1
            )
            for device, answers in by_device.items()
            for portion in portions(answers)
        ]
        for message in sent:
            message.wait_for_publish(_TIMEOUT_S)
        if not all(message.is_published() for message in sent):
            raise BrokerError(f"{connection.where} has not taken all answers within {_TIMEOUT_S:.0f} s")
        connection.end()
    finally:
        connection.abandon()
