"""How often somebody may be wrong."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque

_MOST_WRONG = 20
_WITHIN_S = 60.0
_MOST_CALLERS = 10_000


class Tries:
    """Counts wrong tries by the caller's address, an IPv6 network as one, for a minute.

    With 64 random bits there is nothing to be guessed; this keeps those who try from keeping the server busy.
    """

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Seconds this caller has to wait before the next try; 0 for none."""
        times = self._wrong.get(_caller(address))
        if times is None or len(times) < _MOST_WRONG:
            return 0
        return max(0, int(times[0] + _WITHIN_S - time.monotonic() + 1))

    def note_wrong(self, address: str) -> None:
        """Count a wrong try."""
        caller = _caller(address)
        self._wrong.setdefault(caller, deque(maxlen=_MOST_WRONG)).append(time.monotonic())
        self._wrong.move_to_end(caller)
        if len(self._wrong) > _MOST_CALLERS:
            self._wrong.popitem(last=False)


def _caller(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        # a listener on all addresses sees IPv4 callers as IPv6 ones
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return address
