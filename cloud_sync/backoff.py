"""How long to wait before connecting again."""

from __future__ import annotations

import random


class Backoff:
    """Waits that double up to a limit, each drawn at random.

    All devices of an orchard come back at the same moment after a power cut, so also the first wait is random.

    Args:
        least_s: upper end of the first wait.
        most_s: upper end of the longest.
    """

    def __init__(self, least_s: float, most_s: float) -> None:
        self._least_s = least_s
        self._most_s = most_s
        self._failures = 0

    def reset(self) -> None:
        """Begin with short waits again."""
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait before the next attempt."""
        longest = min(self._least_s * 2 ** min(self._failures, 30), self._most_s)
        self._failures += 1
        return random.uniform(longest / 2, longest) if self._failures > 1 else random.uniform(0, longest)
