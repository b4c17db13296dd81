"""Who may see pages that are open to a network: whoever knows their pass phrase."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cloud_sync.pages.errors import PagesError

SHORTEST_PASS_PHRASE = 8


def read_pass_phrase(variable: str, credential: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The pass phrase from the environment, else from systemd's credentials; None where neither has one.

    Args:
        variable: name of the environment variable.
        credential: name of the credential.
        environment: the environment.

    Raises:
        PagesError: the credential is there and cannot be read, or is empty.
    """
    if given := environment.get(variable, "").strip():
        return given
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    path = Path(folder) / credential
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PagesError(f"the pass phrase {path} cannot be read: {error}") from error
    if not text:
        raise PagesError(f"the pass phrase {path} is empty; write one of {SHORTEST_PASS_PHRASE} characters or more")
    return text


class PassPhrase:
    """A pass phrase that can be compared and not be shown.

    Args:
        text: the pass phrase.

    Raises:
        PagesError: it is too short.
    """

    def __init__(self, text: str) -> None:
        if len(text) < SHORTEST_PASS_PHRASE:
            raise PagesError(
                f"the pass phrase has {len(text)} characters; choose one of {SHORTEST_PASS_PHRASE} or more"
            )
        self._digest = digest(text)

    def matches(self, text: str) -> bool:
        """Whether this is it; a wrong one takes as long as the right one."""
        return hmac.compare_digest(digest(text.strip()), self._digest)


def digest(text: str) -> bytes:
    """SHA-256: of equal length for comparisons, and of no use to whoever reads it in a memory dump."""
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
