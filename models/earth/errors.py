"""What can go wrong with satellite and weather data; ``exit_code`` is what the command line ends with."""

from __future__ import annotations


class EarthInputError(ValueError):
    """Something the user gave is missing, unknown or wrong; the message names it and the remedy."""

    exit_code = 2


class CatalogueError(RuntimeError):
    """A catalogue cannot be reached or does not answer as a catalogue does."""

    exit_code = 1


class SceneError(RuntimeError):
    """A scene that cannot be used; the message names the scene, what is wrong with it and the remedy."""

    exit_code = 1


class CloudedSceneError(SceneError):
    """A scene of which nothing is clear here: its date counts among the acquisitions, and it adds nothing else."""


class MissingMonthError(RuntimeError):
    """A month nothing is known of, where a number would have to be invented."""

    exit_code = 1
