"""The route for releases: what the repository's folder holds, for any device; nothing of it is secret to devices."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as PathPart
from starlette.responses import FileResponse

from cloud_sync.releases import METADATA, RELEASES
from cloud_sync.server.https.context import Caller, site_of

# a name begins with a digit or letter, and so leads nowhere else
_Name = Annotated[str, PathPart(pattern=r"^[a-z0-9][a-zA-Z0-9._+-]{0,255}$")]

router = APIRouter()


@router.get(f"{RELEASES}/{{part}}/{{name}}", response_class=FileResponse)
def release(request: Request, caller: Caller, part: Literal["metadata", "targets"], name: _Name) -> FileResponse:
    """A file of the repository, whole or from a byte on; what makes it good is its signature."""
    del caller  # any device
    path = site_of(request).folder.releases / "repository" / part / name
    if not path.is_file():
        raise HTTPException(404, "no such release")
    lasting = "no-store" if part == METADATA else "private, immutable"
    return FileResponse(path, headers={"Cache-Control": lasting}, media_type="application/octet-stream")
