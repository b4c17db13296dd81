"""What can go wrong on a device; ``exit_code`` is what the command line ends with."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave is missing, unknown or wrong; the message names it and the remedy."""

    exit_code = 2


class StoreError(RuntimeError):
    """The store cannot be opened or written."""

    exit_code = 1


class MissingPartError(RuntimeError):
    """An optional program or library that is not installed; the message says what to install."""

    exit_code = 1


class ReleaseError(RuntimeError):
    """Releases that cannot be had now, or are not what this device may trust; what counts goes on."""

    exit_code = 1


class DemoError(RuntimeError):
    """A step of the demo failed."""

    exit_code = 1


def unreadable(what: str, error: Exception) -> InputError:
    """What to tell of a text file that the user named and that cannot be read; ``what`` names it."""
    if isinstance(error, UnicodeDecodeError):
        return InputError(f"{what} cannot be read: it is not written in UTF-8; save it again in UTF-8")
    if isinstance(error, OSError):
        return InputError(f"{what} cannot be read: {error.strerror or error}; check the path")
    return InputError(f"{what} cannot be read as CSV: {error}; save it again as CSV")
