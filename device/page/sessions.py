"""Who has signed in."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from cloud_sync.pages.access import PassPhrase, digest

LIFETIME_S = 12 * 3600.0
_MOST_SESSIONS = 500


class Sessions:
    """Signed-in browsers, known by a random token each; forgotten when the process ends.

    Args:
        pass_phrase: what people sign in with.
        clock: seconds that never go back.
    """

    def __init__(self, pass_phrase: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.pass_phrase = PassPhrase(pass_phrase)
        self._clock = clock
        self._lock = threading.Lock()
        self._expiry: dict[bytes, float] = {}

    def sign_in(self, pass_phrase: str) -> str | None:
        """A new token for the right pass phrase, None for a wrong one; both take equally long."""
        if not self.pass_phrase.matches(pass_phrase):
            return None
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._expiry = {key: expiry for key, expiry in self._expiry.items() if expiry > now}
            while len(self._expiry) >= _MOST_SESSIONS:
                del self._expiry[next(iter(self._expiry))]  # the oldest
            self._expiry[digest(token)] = now + LIFETIME_S
        return token

    def is_valid(self, token: str | None) -> bool:
        """Whether a browser with this token is signed in."""
        if not token:
            return False
        with self._lock:
            return self._expiry.get(digest(token), 0.0) > self._clock()

    def sign_out(self, token: str | None) -> None:
        """Forget a token."""
        with self._lock:
            self._expiry.pop(digest(token or ""), None)
