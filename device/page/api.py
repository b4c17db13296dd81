"""``/api/…``: the same answers as JSON, for other programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from device.orchard_summary import summarise_orchards
from device.orchards import find_block
from device.page.context import OpenedStore
from device.page.failures import unknown_is_404
from device.photo_views import PhotoView, get_photo
from device.queries import (
    TreeSummary,
    VisitSummary,
    get_visit,
    list_trees,
    list_visits,
    summaries_as_dict,
    summarise,
)
from device.reviews import BoxReview

router = APIRouter(prefix="/api")


@router.get("/summary")
def summary(store: OpenedStore) -> JSONResponse:
    """Orchards of several blocks, and every block with its latest visit, as ``pomona summary --json`` prints them."""
    return JSONResponse(summaries_as_dict(summarise(store), summarise_orchards(store)))


@router.get("/blocks/{name:path}/visits")
def visits(name: str, store: OpenedStore) -> JSONResponse:
    """The visits of a block, latest first."""
    with unknown_is_404():
        block = find_block(store, name)
    return JSONResponse([visit_as_dict(item) for item in list_visits(store, block)])


@router.get("/visits/{identifier}/trees")
def trees(identifier: str, store: OpenedStore) -> JSONResponse:
    """The trees of a visit, by code."""
    with unknown_is_404():
        visit = get_visit(store, identifier)
    return JSONResponse([tree_as_dict(item) for item in list_trees(store, visit)])


@router.get("/photos/{sha256}")
def photo(sha256: str, store: OpenedStore) -> JSONResponse:
    """A photo with its boxes."""
    with unknown_is_404():
        found = get_photo(store, sha256)
    return JSONResponse(photo_as_dict(found))


def visit_as_dict(visit: VisitSummary) -> dict[str, Any]:
    """A visit as plain values."""
    return {**asdict(visit), "day": visit.day.isoformat(), "fruit_per_tree": visit.fruit_per_tree}


def tree_as_dict(tree: TreeSummary) -> dict[str, Any]:
    """A tree in a visit as plain values."""
    return {**asdict(tree), "fruit": tree.fruit}


def photo_as_dict(photo: PhotoView) -> dict[str, Any]:
    """A photo as plain values; where its file lies on the device is nobody else's business."""
    values = {
        name: getattr(photo, name)
        for name in PhotoView.__dataclass_fields__
        if name not in ("path", "taken_at", "detections", "review")
    }
    found = photo.detections
    return {
        **values,
        "taken_at": photo.taken_at.isoformat() if photo.taken_at else None,
        "counts": photo.counts,
        "detections": [
            {"label": found.labels[kind], "score": round(float(score), 4), "box": [float(corner) for corner in box]}
            for kind, score, box in zip(found.classes, found.scores, found.boxes, strict=True)
        ],
        "review": None if photo.review is None else review_as_dict(photo.review),
    }


def review_as_dict(review: BoxReview) -> dict[str, Any]:
    """What a person made of a photo's boxes as plain values."""
    return {
        "reviewer": review.reviewer,
        "reviewed_at": review.reviewed_at.isoformat(),
        "revision": review.revision,
        "removed": review.removed["box"].tolist(),
        "added": review.added["box"].tolist(),
    }
