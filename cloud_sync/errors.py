"""What can go wrong on the wire; ``exit_code`` is what the command line ends with."""

from __future__ import annotations


class MessageError(ValueError):
    """A message that does not follow the contract; its text is the reason sent back to the device."""

    exit_code = 2


class IdentityError(ValueError):
    """A device name, key, request or certificate that is missing, malformed or not ours."""

    exit_code = 2


class BrokerError(RuntimeError):
    """The broker cannot be reached or refuses this device."""

    exit_code = 1


class HttpsError(RuntimeError):
    """The server's HTTPS cannot be reached, or does not do what this device asks."""

    exit_code = 1


class FetchError(RuntimeError):
    """A document cannot be fetched from the server now."""

    exit_code = 1


class SendError(RuntimeError):
    """The server does not take a photo of this device."""

    exit_code = 1


class WrongContentError(FetchError):
    """What the server gives is not the document it announced."""
