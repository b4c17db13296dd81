"""The route for documents: each device gets those it should have, whole or from any byte on."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as PathPart
from starlette.responses import FileResponse

from cloud_sync.documents import DOCUMENTS
from cloud_sync.server.documents import file_for
from cloud_sync.server.errors import DocumentError
from cloud_sync.server.https.context import Caller, site_of

_Sha256 = Annotated[str, PathPart(pattern="^[0-9a-f]{64}$")]

router = APIRouter()
_log = logging.getLogger(__name__)


@router.get(f"{DOCUMENTS}/{{sha256}}", response_class=FileResponse)
def document(request: Request, caller: Caller, sha256: _Sha256) -> FileResponse:
    """A document that this device should have; what the others should have it is not told."""
    site = site_of(request)
    try:
        with site.database.read() as session:
            path = file_for(session, site.folder, caller.device, sha256)
    except DocumentError as error:
        _log.error("%s wants a document that is not whole: %s", caller.device, error)
        raise HTTPException(503, "the server has lost this document; it has to be published again") from error
    if path is None:
        raise HTTPException(404, "no document of this hash is published for this device")
    # the hash never means other content, so that a part of it can be gone on with at any time
    headers = {"ETag": f'"{sha256}"', "Cache-Control": "private, immutable"}
    return FileResponse(path, headers=headers, media_type="application/octet-stream")
