"""The pages that show what is known: summary, block, visit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from fastapi import APIRouter
from fastapi.responses import Response

from device.orchard_summary import OrchardView, summarise_orchards
from device.orchards import find_block
from device.page.context import Context, OpenedStore
from device.page.failures import unknown_is_404
from device.page.outlook import Outlook, outlook_of, pooled_of, season_of_block
from device.pooled_factor import pooled_lines, pooled_title
from device.queries import (
    BlockSummary,
    get_visit,
    list_trees,
    list_visits,
    summarise,
)
from device.seasons.telling import harvest_lines, interval_note, season_lines

router = APIRouter()


@dataclass(frozen=True)
class OrchardCards:
    """An orchard on the summary.

    Attributes:
        name: its name.
        together: its yield; None where it has one block only, or too little is known of them.
        blocks: its blocks, each with what is known beyond its latest visit.
    """

    name: str
    together: OrchardView | None
    blocks: list[tuple[BlockSummary, Outlook]]


@router.get("/")
def summary(store: OpenedStore, context: Context) -> Response:
    """Each orchard as a whole, its blocks with their latest visit, and how much waits to be sent."""
    blocks = [(item, outlook_of(store, item.block, item.latest)) for item in summarise(store)]
    together = {view.orchard: view for view in summarise_orchards(store)}
    orchards = [
        OrchardCards(name, together.get(name), list(of_orchard))
        for name, of_orchard in groupby(blocks, key=lambda told: told[0].block.orchard)
    ]
    return context.templates.page("summary", orchards=orchards, outbox=store.outbox.state(health=False))


@router.get("/blocks/{name:path}")
def block(name: str, store: OpenedStore, context: Context) -> Response:
    """A block and its visits."""
    with unknown_is_404():
        found = find_block(store, name)
    season, problem = season_of_block(store, found)
    return context.templates.page(
        "block",
        block=found,
        visits=list_visits(store, found),
        season=season,
        harvest_lines=harvest_lines(season) if season else [],
        season_lines=season_lines(season) if season else [],
        interval_note=interval_note(),
        problem=problem,
    )


@router.get("/visits/{identifier}")
def visit(identifier: str, store: OpenedStore, context: Context) -> Response:
    """A visit and its trees."""
    with unknown_is_404():
        found = get_visit(store, identifier)
    block = find_block(store, found.block)
    pooled, problem = pooled_of(store, block, found)
    return context.templates.page(
        "visit",
        visit=found,
        trees=list_trees(store, found),
        pooled=pooled,
        pooled_title=pooled_title(pooled) if pooled else "",
        pooled_lines=pooled_lines(block, pooled) if pooled else [],
        problem=problem,
    )
