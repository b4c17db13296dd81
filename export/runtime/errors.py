"""What can go wrong while a bundle is read or run; ``exit_code`` is what the command line ends with."""

from __future__ import annotations


class PhotoError(ValueError):
    """A photo that is missing, broken, too small or of an unknown kind."""

    exit_code = 2


class BundleError(ValueError):
    """A model bundle that is incomplete, altered or made for something else."""

    exit_code = 2


class SeasonError(ValueError):
    """A season that a yield model cannot be given: another number of months or features, or a value that is none."""

    exit_code = 2


class EngineError(RuntimeError):
    """An inference engine that does not start or fails while running."""

    exit_code = 1


class MissingPartError(RuntimeError):
    """An optional library that is not installed; the message says what to install."""

    exit_code = 1
