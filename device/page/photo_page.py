"""``/photos/…/boxes``: a photo with what was counted in it, and where a person corrects that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import TypeAdapter, ValidationError

from device.errors import InputError
from device.hand_factors import review_doubt
from device.orchards import find_block
from device.page.context import Context, OpenedStore, PageContext
from device.page.failures import unknown_is_404
from device.page.forms import Fields, read_count
from device.photo_views import PhotoView, get_photo
from device.queries import TreeSummary, VisitSummary, get_visit, list_trees
from device.reviewing import (
    BoxChanges,
    Corners,
    ReviewedMeanwhileError,
    Seen,
    review_photo,
    review_trees,
    take_back_photo,
    take_back_trees,
)
from device.sampled_visits import find_visit
from device.store import Store

router = APIRouter(prefix="/photos/{sha256}")

REVIEWER_COOKIE = "pomona-reviewer"
_A_YEAR_S = 365 * 86_400
_CORNERS = TypeAdapter(tuple[Corners, ...])


@dataclass(frozen=True)
class Box:
    """A box as SVG draws it.

    Attributes:
        x: left edge in pixels.
        y: upper edge.
        width: pixels across.
        height: pixels down.
        kind: index of its label.
        state: ``kept`` and ``removed`` are the model's, ``added`` a person's; ``other`` is not what the visit counts.
    """

    x: int
    y: int
    width: int
    height: int
    kind: int
    state: Literal["kept", "removed", "added", "other"]


@router.get("/boxes")
def photo(request: Request, sha256: str, store: OpenedStore, context: Context, saved: str = "") -> Response:
    """A photo with what was counted in it."""
    return _page(request, store, context, sha256, saved=saved)


@router.post("/boxes")
def review_boxes(request: Request, sha256: str, fields: Fields, store: OpenedStore) -> Response:
    """Take what a person made of the boxes; the answer is the same photo, or the next one."""
    with unknown_is_404():
        get_photo(store, sha256)
    changes = BoxChanges(_corners(fields, "removed"), _corners(fields, "added"))
    revision = fields.get("revision", "")
    if not (revision.isdecimal() and len(revision) < 10):
        raise HTTPException(422, "The request was not understood; check revision.")
    seen = Seen(fields.get("model", ""), int(revision))
    try:
        review_photo(store, sha256, changes, seen=seen, reviewer=fields.get("reviewer"))
    except ReviewedMeanwhileError as error:
        raise HTTPException(409, str(error)) from error
    following = _order(store, sha256).following if fields.get("then") == "next" else None
    target = f"/photos/{following}/boxes?review=1&saved={sha256}" if following else _shown(sha256)
    return _remembering(request, fields, RedirectResponse(target, status_code=303))


@router.post("/take-back")
def take_back_boxes(sha256: str, store: OpenedStore) -> Response:
    """Let the photo count again as the model counted it."""
    take_back_photo(store, sha256)
    return RedirectResponse(_shown(sha256), status_code=303)


@router.post("/tree")
def review_tree(request: Request, sha256: str, fields: Fields, store: OpenedStore, context: Context) -> Response:
    """Set the count of the photo's tree, or let it follow from its photos again."""
    with unknown_is_404():
        found = get_photo(store, sha256)
    visit = get_visit(store, found.visit)
    block = find_block(store, visit.block)
    sampled = find_visit(store, block, visit.day, visit.stage)
    try:
        if "take-back" in fields:
            take_back_trees(store, block, sampled, [found.tree])
        else:
            count, seen = read_count(fields, "count", "the tree's count"), read_count(fields, "seen", "what you saw")
            review_trees(
                store, block, sampled, {found.tree: count}, seen={found.tree: seen}, reviewer=fields.get("reviewer")
            )
    except ReviewedMeanwhileError as error:
        return _page(request, store, context, sha256, status=409, problem=str(error), typed=fields.get("count"))
    except InputError as error:
        return _page(request, store, context, sha256, status=400, problem=str(error), typed=fields.get("count"))
    return _remembering(request, fields, RedirectResponse(_shown(sha256), status_code=303))


def _page(
    request: Request,
    store: Store,
    context: PageContext,
    sha256: str,
    *,
    status: int = 200,
    saved: str = "",
    problem: str | None = None,
    typed: str | None = None,
) -> Response:
    with unknown_is_404():
        found = get_photo(store, sha256)
    visit = get_visit(store, found.visit)
    order = _order(store, sha256)
    return context.templates.page(
        "photo",
        status,
        photo=found,
        visit=visit,
        tree=_tree_of(found, order.trees),
        boxes=_boxes(found),
        previous=order.previous,
        next=order.following,
        saved=_saved(store, saved, visit),
        problem=problem,
        typed=typed,
        reviewer=unquote(request.cookies.get(REVIEWER_COOKIE, "")),
    )


@dataclass(frozen=True)
class _Order:
    """The trees of a photo's visit, and the photos before and after it there."""

    trees: list[TreeSummary]
    previous: str | None
    following: str | None


def _order(store: Store, sha256: str) -> _Order:
    trees = list_trees(store, get_visit(store, get_photo(store, sha256).visit))
    order = [name for tree in trees for name in tree.photos]
    place = order.index(sha256) if sha256 in order else 0
    following = order[place + 1] if place + 1 < len(order) else None
    return _Order(trees, order[place - 1] if place else None, following)


@dataclass(frozen=True)
class _Saved:
    """What a review that was just saved came to.

    Attributes:
        photo: the photo it is of, or whose tree's count it is.
        tree: its tree.
        doubt: what to know before going on like that.
    """

    photo: PhotoView
    tree: TreeSummary
    doubt: str | None


def _saved(store: Store, sha256: str, visit: VisitSummary) -> _Saved | None:
    """None where nothing was saved, or the address says what cannot be."""
    try:
        found = get_photo(store, sha256)
    except InputError:
        return None
    tree = _tree_of(found, list_trees(store, visit))
    if tree is None or found.visit != visit.id:
        return None
    sampled = find_visit(store, find_block(store, visit.block), visit.day, visit.stage)
    return _Saved(found, tree, review_doubt(store, sampled))


def _shown(sha256: str) -> str:
    return f"/photos/{sha256}/boxes?saved={sha256}"


def _remembering(request: Request, fields: Mapping[str, str], response: Response) -> Response:
    """Spare whoever reviews hundreds of photos from typing their name each time."""
    name = quote(fields.get("reviewer", "").strip()[:200])
    response.set_cookie(
        REVIEWER_COOKIE,
        name,
        max_age=_A_YEAR_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def _corners(fields: Mapping[str, str], field: str) -> tuple[Corners, ...]:
    try:
        return _CORNERS.validate_json(fields.get(field, "[]"), strict=True)
    except ValidationError as error:
        raise HTTPException(422, f"The request was not understood; check {field}.") from error


def _boxes(photo: PhotoView) -> list[Box]:
    found, review = photo.detections, photo.review
    removed = set() if review is None else {tuple(box) for box in review.removed["box"].tolist()}
    boxes = []
    for corners, kind in zip(found.boxes.round().astype(int).tolist(), found.classes.tolist(), strict=True):
        if found.labels[kind] != photo.label:
            boxes.append(_box(corners, kind, "other"))
        else:
            boxes.append(_box(corners, kind, "removed" if tuple(corners) in removed else "kept"))
    if review is not None:
        boxes += [_box(row["box"].tolist(), int(row["label"]), "added") for row in review.added]
    return boxes


def _box(corners: list[Any], kind: int, state: Literal["kept", "removed", "added", "other"]) -> Box:
    x1, y1, x2, y2 = corners
    return Box(x1, y1, x2 - x1, y2 - y1, kind, state)


def _tree_of(photo: PhotoView, trees: list[TreeSummary]) -> TreeSummary | None:
    """The tree's count in the visit; None where its newest model has not counted this photo's tree yet."""
    return next((tree for tree in trees if tree.tree == photo.tree), None)
