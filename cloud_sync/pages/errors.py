"""What can go wrong before pages are served; ``exit_code`` is what the command line ends with."""

from __future__ import annotations


class PagesError(ValueError):
    """An address that cannot be listened on, or a pass phrase that is missing or cannot be used."""

    exit_code = 2
