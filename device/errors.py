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


class DemoError(RuntimeError):
    """A step of the demo failed."""

    exit_code = 1


def reason(error: Exception) -> str:
    """What went wrong in reading a file, without the number and the path that the system says too."""
    return getattr(error, "strerror", None) or str(error)
