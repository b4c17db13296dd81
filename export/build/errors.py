"""What can go wrong while a bundle is built."""

from __future__ import annotations


class ParityError(RuntimeError):
    """The exported graph does not compute what the network computes."""

    exit_code = 1
