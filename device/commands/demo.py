"""``pomona demo``."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from cloud_sync.messages import STAGES, Stage
from device.commands.common import make_counter, model_options, opened_store, progress_bar, warn

if TYPE_CHECKING:
    from device.demo.story import Truth
    from device.queries import VisitSummary, YieldView
    from device.store import Store


@click.command()
@click.option("--photos", type=click.Path(path_type=Path), help="Folder with your own tree photos.  [default: drawn]")
@click.option("--trees", default=30, show_default=True, type=click.IntRange(2, 400), help="Trees to draw.")
@click.option(
    "--stage", default="ripening", show_default=True, type=click.Choice(STAGES[1:]), help="Stage of --photos."
)
@click.option(
    "--folder",
    default=Path("demo-orchard"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where everything is put.",
)
@model_options
def demo(
    photos: Path | None, trees: int, stage: str, folder: Path, bundle: Path | None, engine: str | None, threads: int
) -> int:
    """Run the whole loop on this machine: count, estimate, correct, sync.

    Starts a broker, a server and a device on loopback, brings in a block of sampled trees, counts, estimates, syncs,
    and shows the manager's summary beside what the server now holds. Without --photos it draws an orchard of its own,
    so that counted stands beside true.

    \b
    Examples:
      pomona demo
      pomona demo --photos my-trees/
    """
    from device.demo import processes, story
    from device.errors import InputError

    clock = _Clock()
    if photos is not None and not photos.is_dir():
        raise InputError(f"{photos} is no folder; name the folder that holds the photos")
    story.clean_folder(folder)
    device, server = folder / "device", folder / "server"
    truth = None
    if photos is None:
        with clock.step(f"draw {trees} trees") as progress:
            truth = story.draw(folder / "drawn", trees, progress)
        photos, stage = folder / "drawn" / "photos", truth.stage
    with contextlib.ExitStack() as running:
        with clock.step("start broker and server"):
            port = story.make_server(server)
            running.enter_context(processes.broker(server / "broker" / "mosquitto.conf", port, folder / "broker.log"))
            running.enter_context(processes.server(server, folder / "server.log"))
        with clock.step("enrol the device"):
            story.enrol(device, server)
        with opened_store(device, create=True) as store:
            story.register(store, truth)
            with clock.step("count the photos") as progress:
                counter = make_counter(bundle, threads, engine=engine)
                report = story.bring_in(store, counter, photos, cast("Stage", stage), progress)
            for failure in report.failed:
                warn(f"Error: {failure.path}: {failure.reason}")
            by_hand = 0 if truth is None else story.count_by_hand(store, truth)
            with clock.step("estimate the yield"):
                predictions = story.write_predictions(folder, trees, drawn=truth is not None)
                story.make_estimate(store, predictions)
            with clock.step("sync to the server"):
                story.send(store, device)
                held = json.loads(processes.pomona("server", "holdings", "--folder", server, "--json"))
            before, learned, released = story.visit_of(store).estimate, "", False
            if truth is not None and story.can_learn():
                with clock.step("learn and release"):
                    learned, released = story.learn(folder, server)
            if released:
                with clock.step("install, estimate, sync"):
                    story.install(device)
                    story.make_estimate(store, predictions)
                    story.send(store, device)
                    held = json.loads(processes.pomona("server", "holdings", "--folder", server, "--json"))
            with clock.step("draw the overlays") as progress:
                story.draw_overlays(store, story.visit_of(store), folder / "overlays", progress)
            _show(store, held, truth, folder, by_hand)
            if learned and before is not None:
                _print_loop(before, story.visit_of(store).estimate, learned, released=released)
            elif truth is not None:
                click.echo("To see the server learn from this orchard: pip install '.[yields]', and run it again.")
    return 2 if report.failed else 0


class _Clock:
    """Says each step and how long it took."""

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Time one step; yields its progress."""
        started = time.perf_counter()
        with progress_bar(name.capitalize()) as progress:
            yield progress
        click.echo(f"{name:<26} {time.perf_counter() - started:6.1f} s")


def _show(store: Store, held: dict[str, Any], truth: Truth | None, folder: Path, by_hand: int) -> None:
    from device.commands.estimate import print_summary
    from device.demo.story import visit_of
    from device.queries import summarise

    click.echo()
    print_summary(summarise(store))
    visit = visit_of(store)
    _print_server(store, visit, held)
    if truth is not None:
        _print_truth(store, visit, truth, by_hand)
    else:
        click.echo(
            "The predicted yields are the apple framework paper's, for show: replace predictions.csv by your own."
        )
    click.echo(f"Photos with boxes: {folder / 'overlays'}")
    click.echo(f"The pages:         pomona page --home {folder / 'device'}")


def _print_server(store: Store, visit: VisitSummary, held: dict[str, Any]) -> None:
    """What the device sent beside what the server holds."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    (block,) = held["blocks"]
    table = Table(title="At the device and at the server", title_justify="left", box=box.SIMPLE)
    table.add_column("")
    table.add_column("device", justify="right")
    table.add_column("server", justify="right")
    server_estimate = block["estimate"] or {}
    corrected = server_estimate.get("corrected_kg_per_ha")
    (own,) = store.db.query("SELECT body FROM estimate")
    rows = (
        ("trees", visit.trees, block["records"].get("tree", 0)),
        ("photos", visit.photos, block["records"].get("photo", 0)),
        ("fruit counted", visit.fruit, block["counts"].get(visit.label, 0)),
        (
            "corrected yield, kg/ha",
            round(json.loads(own["body"])["corrected_kg_per_ha"]),
            corrected and round(corrected),
        ),
        ("still to be sent", store.outbox.state().waiting, ""),
        ("refused", store.outbox.state().rejected, held["dead_letters"]),
    )
    for name, here, there in rows:
        table.add_row(name, f"{here:,}", f"{there:,}" if isinstance(there, int) else str(there))
    Console().print(table)


def _print_truth(store: Store, visit: VisitSummary, truth: Truth, by_hand: int) -> None:
    """Counted beside true, for drawn trees only."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from calibration.units import yield_from_kg_per_ha
    from device.demo.story import UNIT
    from device.queries import list_trees

    counted = {tree.tree: tree.fruit for tree in list_trees(store, visit)}
    visible, total = sum(truth.visible.values()), sum(truth.total.values())
    errors = [
        abs(counted[tree] - number) / number for tree, number in truth.visible.items() if number and tree in counted
    ]
    view = visit.estimate
    assert view is not None  # the demo has just made it
    true_yield = yield_from_kg_per_ha(truth.block_kg_per_ha, UNIT)
    table = Table(title="Counted and true, on drawn trees", title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("fruit on the trees", f"{total:,}"),
        ("of these visible", f"{visible:,} ({100 * visible / max(1, total):.0f} %)"),
        ("counted", f"{visit.fruit:,}"),
        ("mean error a tree, of visible", f"{100 * sum(errors) / len(errors):.0f} %" if errors else ""),
        ("true yield of the block", f"{true_yield:,.0f} {UNIT}"),
        ("predicted", f"{view.predicted_orchard:,.0f} {UNIT} ({_off(view.predicted_orchard, true_yield)})"),
        ("corrected", f"{view.corrected:,.0f} {UNIT} ({_off(view.corrected, true_yield)})"),
    ):
        table.add_row(name, value)
    Console().print(table)
    if not by_hand:
        click.echo("Counted is what the photos show; fruit hidden behind leaves is missing from the corrected yield.")
        return
    click.echo(
        f"Counted is what the photos show. {by_hand} trees were counted by hand too: they say how many fruit hang for\n"
        "each one seen, and the corrected yield holds those that leaves hide."
    )


def _print_loop(before: YieldView, after: YieldView | None, learned: str, *, released: bool) -> None:
    """The closed loop: what the orchard taught the server's model, and what that makes of the orchard."""
    from device.demo.story import UNIT

    assert after is not None  # the demo has just made it
    click.echo()
    click.echo("The server learned from its statistics and this orchard, and the gate compared both models:")
    click.echo(f"  {learned}")
    if not released:
        click.echo("The gate kept the model in use.")
        return
    for name, view in (("before", before), ("after", after)):
        click.echo(
            f"{name + ':':<8} predicted {view.predicted_orchard:,.0f} {UNIT}, counted trees say x "
            f"{view.correction_factor:.2f}, corrected {view.corrected:,.0f} {UNIT}"
        )


def _off(value: float, truth: float) -> str:
    """Difference from the truth in per cent, with its sign."""
    return f"{round(100 * (value / truth - 1)):+d} %"
