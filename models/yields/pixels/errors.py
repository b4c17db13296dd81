"""What can go wrong with yield maps; ``exit_code`` is what the command line ends with."""

from __future__ import annotations


class YieldMapError(ValueError):
    """Scenes, points or settings that cannot make a map or a training; the message names them and the remedy."""

    exit_code = 2
