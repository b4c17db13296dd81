"""What both ends know of releases: where they are, and how people compare the root that is trusted."""

from __future__ import annotations

import hashlib

# a TUF repository: metadata and targets below it
RELEASES = "/v1/releases"
METADATA, TARGETS = "metadata", "targets"


def root_fingerprint(root: bytes) -> str:
    """SHA-256 of a root's file, in groups that people can compare."""
    digest = hashlib.sha256(root).hexdigest()[:32]
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))
