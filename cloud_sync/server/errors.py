"""What can go wrong on the server; ``exit_code`` is what the command line ends with."""

from __future__ import annotations


class FolderError(ValueError):
    """The server's folder is missing, incomplete or cannot be written; the message names it and the remedy."""

    exit_code = 2


class DatabaseError(RuntimeError):
    """The server's database cannot be opened, read or written."""

    exit_code = 1


class MissingDatabaseError(DatabaseError):
    """There is no database where one was named, or it is none of a Pomona server."""

    exit_code = 2


class DocumentError(ValueError):
    """A document for devices that cannot be published or is not there."""

    exit_code = 2


class ReleaseError(ValueError):
    """A release that cannot be made, or a repository of releases that is not there or not whole."""

    exit_code = 2


class PhotoRequestError(ValueError):
    """Photos that cannot be asked of devices."""

    exit_code = 2


class OffsetError(RuntimeError):
    """A chunk that does not go on where the part ends.

    Args:
        there: where it ends.
    """

    def __init__(self, there: int) -> None:
        super().__init__(f"the part ends at {there}")
        self.there = there


class FullDiskError(RuntimeError):
    """The server's disk has no room for a photo."""


class WrongPhotoError(RuntimeError):
    """A photo that is another than was asked for."""


class IngestError(RuntimeError):
    """A process that receives ended before it had begun.

    Args:
        text: what it said.
        exit_code: what it ended with.
    """

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class MissingPyArrowError(RuntimeError):
    """PyArrow, which only the export needs, is not installed."""

    exit_code = 1


class RetrainError(ValueError):
    """A model that is not trained anew; says why, and what to do."""

    exit_code = 2
