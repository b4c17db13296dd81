"""What a person can do about a disk that refuses."""

from __future__ import annotations

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)


def remedy_for(error: OSError) -> str:
    """The remedy for a file or folder that cannot be read or written; more space only where that is what is short."""
    return "free some space" if error.errno in _FULL else "check the folder's permissions and the disk"
