"""Whether this machine's connection is paid for by the byte, as NetworkManager knows it."""

from __future__ import annotations

import subprocess

# The properties of the daemon itself speak of the connection that carries the default route.
_NAME = "org.freedesktop.NetworkManager"
_COMMAND = ["busctl", "--system", "get-property", _NAME, f"/{_NAME.replace('.', '/')}", _NAME, "Metered"]
_YES, _GUESSED_YES = 1, 3
_TIMEOUT_S = 5.0


def is_metered() -> bool:
    """Whether NetworkManager says or guesses so; false where there is none, or it does not know."""
    try:
        said = subprocess.run(  # noqa: S603  (our own command)
            _COMMAND, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        ).stdout
        return int(said.split()[-1]) in {_YES, _GUESSED_YES}
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return False
