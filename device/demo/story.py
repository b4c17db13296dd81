"""The steps of the demo, each doing what a person would do with the command line."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cloud_sync.enrolling import enroll
from cloud_sync.identity import read_identity
from cloud_sync.invitation import parse_invitation
from cloud_sync.messages import Stage
from cloud_sync.uplink import Uplink, UplinkResult
from device.by_hand import HandCounted, record_hand_counts
from device.demo.processes import free_ports, pomona
from device.errors import InputError
from device.estimates import estimate
from device.model_predictions import predictions_for
from device.orchard_places import OrchardPlace, set_place
from device.orchards import BlockSettings, find_block, register_block
from device.photo_naming import name_trees
from device.photo_views import get_photo
from device.queries import VisitSummary, list_trees, summarise
from device.recording import Visit
from device.sampled_visits import find_visit
from device.store import Store
from device.virtual_orchard.season import county, season_document
from device.virtual_orchard.settings import OrchardSettings
from device.visits import ImportReport, day_of, import_photos
from export.runtime.bundle import BUNDLES
from export.runtime.counter import Counter, PhotoCount
from export.runtime.overlay import write_overlay
from export.runtime.photos import find_photos, read_photo

ORCHARD, BLOCK, DEVICE = "Demo orchard", "B1", "demo-device"
UNIT = "kg/mu"
_PAPER_PREDICTIONS = {"orchard": 1346.87, "sampling_area": 1302.08}
# what a planting of 4 m by 1.8 m has; said where nobody gave a density
_TREES_PER_HA = 1389.0
# trees counted by hand: one more than it takes to learn what photos hide
_BY_HAND = 6
_MARK = ".pomona-demo"
_FILES = ("predictions.csv", "season.json", "counties.parquet", "broker.log", "server.log")
# The statistics of the demo's server, of the same simulated counties as the model that comes with Pomona but of more
# years, and what models are judged on: years that this model has not learned from either.
_STATISTICS = ("--first-year", "2003", "--years", "22")
_EVALUATION_YEARS = ("2010", "2011", "2012", "2013", "2014", "2015", "2016", "2017", "2024")
SHIPPED_MODEL = BUNDLES / "apple-yield-simulated"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Truth:
    """What is true of the drawn block.

    Attributes:
        total: fruit on each tree by code.
        visible: fruit a person could count in each tree's photo, by code.
        fruit_weight_g: mean weight of a fruit.
        sampled_kg_per_ha: yield of the photographed trees.
        block_kg_per_ha: yield of the whole block.
        area_m2: ground of the whole block.
        trees: trees of the whole block.
        stage: growth stage.
    """

    total: dict[str, int]
    visible: dict[str, int]
    fruit_weight_g: float
    sampled_kg_per_ha: float
    block_kg_per_ha: float
    area_m2: float
    trees: int
    stage: Stage


def clean_folder(folder: Path) -> Path:
    """The demo's folder, emptied of what an earlier demo left there.

    Raises:
        InputError: the folder holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name another folder with --folder")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise InputError(f"{folder} is not empty and no demo's; name another folder with --folder")
        for name in ("device", "server", "overlays", *_FILES):
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()
    return folder


def draw(folder: Path, trees: int, progress: Progress) -> Truth:
    """Draw a virtual orchard, unless the folder already holds this one."""
    from device.virtual_orchard import draw_orchard  # noqa: PLC0415  (only without own photos)

    description = folder / "orchard.json"
    known = json.loads(description.read_text(encoding="utf-8")) if description.exists() else {}
    if known.get("sampled_trees") != trees:
        shutil.rmtree(folder, ignore_errors=True)
        draw_orchard(OrchardSettings(trees=trees, block=BLOCK), folder, progress=progress)
        known = json.loads(description.read_text(encoding="utf-8"))
    with (folder / "truth.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Truth(
        total={row["tree"]: int(row["fruit_total"]) for row in rows},
        visible={row["tree"]: int(row["fruit_visible"]) for row in rows},
        fruit_weight_g=known["single_fruit_weight_g"],
        sampled_kg_per_ha=known["sampled_yield_kg_per_ha"],
        block_kg_per_ha=known["true_yield_kg_per_ha"],
        area_m2=known["block_area_m2"],
        trees=known["block_trees"],
        stage=known["stage"],
    )


def make_server(folder: Path) -> int:
    """Make the server's folder for a broker and HTTPS on loopback; returns the broker's port."""
    port, https_port = free_ports(2)
    ports = ("--port", str(port), "--https-port", str(https_port))
    pomona("server", "init", folder, "--host", "127.0.0.1", *ports, "--bind", "127.0.0.1")
    pomona("server", "release", "init", "--folder", folder)
    return port


def enrol(device: Path, server: Path) -> None:
    """Have the server invite the device, which makes its key and has it signed."""
    enroll(device, parse_invitation(pomona("server", "invite", DEVICE, "--folder", server).strip()))


def register(store: Store, truth: Truth | None) -> None:
    """Register the block, with what is known of it."""
    settings = BlockSettings(trees_per_ha=_TREES_PER_HA)
    if truth is not None:
        settings = BlockSettings(area_m2=truth.area_m2, trees=truth.trees, fruit_weight_g=truth.fruit_weight_g)
    register_block(store, BLOCK, ORCHARD, settings, UNIT)
    if truth is not None:
        home = county()
        set_place(store, ORCHARD, OrchardPlace(home.region, home.name, home.area_ha))


def bring_in(store: Store, counter: Counter, photos: Path, stage: Stage, progress: Progress) -> ImportReport:
    """Import and count the photos as one visit."""
    named = name_trees(photos, list(find_photos([photos])))
    visit = Visit(find_block(store, BLOCK), day_of([item.path for item in named]), stage)
    return import_photos(store, counter, visit, named, progress)


def count_by_hand(store: Store, truth: Truth) -> int:
    """Enter all fruit of a few trees, as somebody would who walked round them; how many trees, 0 of a small orchard."""
    if len(truth.total) < _BY_HAND:
        return 0
    trees = sorted(truth.total)[:: max(1, len(truth.total) // _BY_HAND)][:_BY_HAND]
    block = find_block(store, BLOCK)
    counted = {tree: HandCounted(by_hand=truth.total[tree]) for tree in trees}
    record_hand_counts(store, block, find_visit(store, block), counted)
    return len(trees)


def write_predictions(folder: Path, trees: int, *, drawn: bool) -> Path:
    """What predicts: for a drawn orchard its season file, for own photos the paper's own yields."""
    if drawn:
        path = folder / "season.json"
        path.write_bytes(season_document(OrchardSettings(trees=trees, block=BLOCK), ORCHARD))
        return path
    path = folder / "predictions.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("area", "predicted_yield", "unit"))
        writer.writerows((area, f"{value:.2f}", UNIT) for area, value in _PAPER_PREDICTIONS.items())
    return path


def make_estimate(store: Store, predictions: Path) -> None:
    """Estimate the visit from a season file, by the model that serves, or from predictions."""
    block = find_block(store, BLOCK)
    visit = find_visit(store, block)
    estimate(store, block, visit, predictions_for(store, block, visit, predictions))


def can_learn() -> bool:
    """Whether what trains networks is installed here."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "optuna", "pytorch_lightning", "onnx"))


def learn(folder: Path, server: Path) -> tuple[str, bool]:
    """Have the server learn from its statistics and the device's orchard; what the gate said, and if it released."""
    table = folder / "counties.parquet"
    pomona("yields", "simulate", "--out", table, *_STATISTICS)
    years = [word for year in _EVALUATION_YEARS for word in ("--evaluation-year", year)]
    how = ("--champion", SHIPPED_MODEL, "--model", "lasso", "--trials", "6")
    said = pomona("server", "retrain", "apyieldnet", "--table", table, *years, *how, "--folder", server)
    return next(line for line in said.splitlines() if " against " in line), "Not released" not in said


def install(device: Path) -> None:
    """Have the device install what its server has released."""
    pomona("models", "install", "--home", device)


def send(store: Store, device: Path, limit_s: float = 60.0) -> UplinkResult:
    """Send everything and wait for the server's answers."""
    return Uplink(store.outbox, read_identity(device)).run(threading.Event(), until_empty=True, time_limit_s=limit_s)


def draw_overlays(store: Store, visit: VisitSummary, folder: Path, progress: Progress) -> None:
    """The photos of a visit with their counted boxes."""
    folder.mkdir(exist_ok=True)
    photos = [(tree.tree, sha256) for tree in list_trees(store, visit) for sha256 in tree.photos]
    for number, (tree, sha256) in enumerate(photos, start=1):
        view = get_photo(store, sha256)
        count = PhotoCount(view.detections, np.ones(len(view.detections), dtype=np.bool_), view.milliseconds)
        write_overlay(folder / f"{tree}_{view.side}.jpg", read_photo(view.path), count)
        progress(number, len(photos))


def visit_of(store: Store) -> VisitSummary:
    """The demo's visit."""
    (summary,) = summarise(store)
    assert summary.latest is not None  # the demo has just made it
    return summary.latest
