"""Who has signed in, and who has tried too often."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable

LIFETIME_S = 12 * 3600.0
_MOST_SESSIONS = 500


class Sessions:
    """Signed-in browsers, known by a random token each; forgotten when the process ends.

    Args:
        pass_phrase: what people sign in with.
        clock: seconds that never go back.
    """

    def __init__(self, pass_phrase: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._pass_phrase = _digest(pass_phrase)
        self._clock = clock
        self._lock = threading.Lock()
        self._expiry: dict[bytes, float] = {}

    def sign_in(self, pass_phrase: str) -> str | None:
        """A new token for the right pass phrase, None for a wrong one; both take equally long."""
        if not hmac.compare_digest(_digest(pass_phrase.strip()), self._pass_phrase):
            return None
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._expiry = {key: expiry for key, expiry in self._expiry.items() if expiry > now}
            while len(self._expiry) >= _MOST_SESSIONS:
                del self._expiry[next(iter(self._expiry))]  # the oldest
            self._expiry[_digest(token)] = now + LIFETIME_S
        return token

    def is_valid(self, token: str | None) -> bool:
        """Whether a browser with this token is signed in."""
        if not token:
            return False
        with self._lock:
            return self._expiry.get(_digest(token), 0.0) > self._clock()

    def sign_out(self, token: str | None) -> None:
        """Forget a token."""
        with self._lock:
            self._expiry.pop(_digest(token or ""), None)


def _digest(text: str) -> bytes:
    # equal lengths for the comparison, and no usable token in a memory dump
    return hashlib.sha256(text.encode()).digest()


class Attempts:
    """Counts attempts to sign in, by client and in all, and says when to wait.

    Args:
        clock: seconds that never go back.
    """

    WINDOW_S = 300.0
    MOST_BY_CLIENT, MOST_IN_ALL = 5, 100

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._made: list[tuple[float, str]] = []

    def begin(self, client: str) -> float:
        """Note an attempt before it is judged, so that many at once get no further than one after another.

        Returns:
            0 when it may go on, else the seconds to wait; a refused attempt is not noted.
        """
        with self._lock:
            now = self._clock()
            self._made = [(when, who) for when, who in self._made if when > now - self.WINDOW_S]
            own = [when for when, who in self._made if who == client]
            everyone = [when for when, _who in self._made]
            for times, most in ((own, self.MOST_BY_CLIENT), (everyone, self.MOST_IN_ALL)):
                if len(times) >= most:
                    return times[0] + self.WINDOW_S - now
            self._made.append((now, client))
            return 0.0

    def forgive(self, client: str) -> None:
        """Forget a client's attempts, once it has signed in."""
        with self._lock:
            self._made = [(when, who) for when, who in self._made if who != client]
