"""What can go wrong while maps are made; ``exit_code`` is what the command line ends with."""

from __future__ import annotations


class MapError(ValueError):
    """Points, rasters or settings that cannot make a map; the message names them and the remedy."""

    exit_code = 2
