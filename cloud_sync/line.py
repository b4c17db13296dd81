"""What was handed to the connection and is not confirmed by the broker: little, since nothing can overtake it there."""

from __future__ import annotations

from paho.mqtt.reasoncodes import ReasonCode

from cloud_sync.packets import Packet

# It is held in memory and goes out in order: little enough to be through within seconds on a slow line, and enough to
# fill a fast one.
_MOST_BYTES = 48 * 1024
_MOST_PACKETS = 20


class Line:
    """The packets on their way to the broker."""

    def __init__(self) -> None:
        self._packets: dict[int, Packet] = {}
        self._pubacks: list[tuple[int, ReasonCode]] = []
        self._most_packets = _MOST_PACKETS

    def attach(self, receive_maximum: int | None) -> None:
        """Begin with a new connection.

        Args:
            receive_maximum: most unconfirmed packets the broker takes, None when it names no limit.
        """
        self._most_packets = min(_MOST_PACKETS, receive_maximum or _MOST_PACKETS)
        self._packets.clear()
        self._pubacks.clear()

    @property
    def is_free(self) -> bool:
        """Whether another packet may be handed over; one that is longer than all the room goes when it is empty."""
        on_way = sum(len(packet.payload) for packet in self._packets.values())
        return len(self._packets) < self._most_packets and on_way < _MOST_BYTES

    def put(self, number: int, packet: Packet) -> None:
        """Note a packet that was handed over.

        Args:
            number: its packet id.
            packet: what it carries.
        """
        self._packets[number] = packet

    def note_puback(self, number: int, reason: ReasonCode) -> None:
        """Note what the broker said to a packet."""
        self._pubacks.append((number, reason))

    def confirmed(self) -> list[tuple[Packet | None, ReasonCode]]:
        """The packets the broker has spoken of since the last call, None for one that was not noted."""
        pubacks, self._pubacks = self._pubacks, []
        return [(self._packets.pop(number, None), reason) for number, reason in pubacks]
