"""What can be wrong with a request for a virtual orchard; ``exit_code`` is what the command line ends with."""

from __future__ import annotations


class OrchardSettingsError(ValueError):
    """A setting that describes no orchard that can be drawn, or a folder that holds another one."""

    exit_code = 2
