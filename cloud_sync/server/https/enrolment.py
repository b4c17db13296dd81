"""Routes for enrolment: for a device that has an invitation only, and for one that has a certificate."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import PlainTextResponse

from cloud_sync.enrolment import AUTHORITY, ENROLMENT, RENEWAL, Enrolment, EnrolmentRequest, RenewalRequest
from cloud_sync.errors import IdentityError
from cloud_sync.server.enrolling import enroll_by_invitation, renewal_of, standing_of
from cloud_sync.server.https.context import Caller, site_of
from cloud_sync.server.invitations import InvitationError
from cloud_sync.server.rotation import note_trusting

_Fingerprints = Annotated[str, Query(pattern="^[0-9a-f]{32}(,[0-9a-f]{32}){0,7}$")]

router = APIRouter()
_log = logging.getLogger(__name__)


@router.get(AUTHORITY)
def authority(request: Request) -> PlainTextResponse:
    """The authority's certificate, which a device holds against the fingerprint in its invitation."""
    folder = site_of(request).folder
    with folder.explained():
        return PlainTextResponse(folder.root_certificate.read_text(encoding="ascii"))


@router.post(ENROLMENT)
def enroll(request: Request, asked: EnrolmentRequest) -> Enrolment:
    """Enrol a device that has an invitation."""
    site = site_of(request)
    address = request.client.host if request.client else ""
    if wait_s := site.tries.wait_s(address):
        raise HTTPException(429, f"too many wrong invitations; wait {wait_s} s", {"Retry-After": str(wait_s)})
    try:
        enrolment = enroll_by_invitation(site.folder, asked.request.encode(), bytes.fromhex(asked.secret))
    except (InvitationError, IdentityError) as error:
        site.tries.note_wrong(address)
        _log.warning("a device at %s was not enrolled: %s", address, error)
        raise HTTPException(403, str(error)) from error
    _log.info("%s is enrolled, by invitation, from %s", enrolment.device, address)
    return enrolment


@router.get(ENROLMENT)
def standing(request: Request, caller: Caller, trusts: _Fingerprints = "") -> Enrolment:
    """What a device should know by now: the time, whom to trust, where to connect, whether to renew."""
    folder = site_of(request).folder
    if trusts:
        note_trusting(folder, caller.device, trusts.split(","))
    return standing_of(folder, caller.certificate)


@router.post(RENEWAL)
def renew(request: Request, caller: Caller, asked: RenewalRequest) -> Enrolment:
    """Sign a device's new key."""
    try:
        enrolment = renewal_of(site_of(request).folder, asked.request.encode(), caller.certificate)
    except IdentityError as error:
        _log.warning("the certificate of %s was not renewed: %s", caller.device, error)
        raise HTTPException(403, str(error)) from error
    _log.info("%s has a new certificate", caller.device)
    return enrolment
