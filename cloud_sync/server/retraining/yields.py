"""``pomona server retrain apyieldnet``: statistics and labels in, the gate's decision and maybe a release out."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cloud_sync.files import make_folder, write_whole
from cloud_sync.server.database import Database
from cloud_sync.server.errors import RetrainError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.releases.releasing import Release, record_decision, release, releases, repository_of
from cloud_sync.server.releases.repository import ReleaseRepository
from cloud_sync.server.retraining.reading import read_labels
from export.build.yields import YieldRecipe, build_yield_bundle
from export.runtime.bundle import YieldBundle, open_yield_bundle
from export.runtime.bundle_archive import unpack_bundle
from export.runtime.yield_model import YieldModel
from models.code_commit import code_commit
from models.gate import Decision, Errors, decide
from models.yields.conformal import half_width
from models.yields.fitted import FittedModel, fit_season, fitted_model
from models.yields.labels import SOURCE, Label, implausible, row_names, rows_of, rows_to_learn_from, unusable
from models.yields.lineup import MODELS, lineup
from models.yields.samples import samples_of
from models.yields.search import Tuned, tune, untuned
from models.yields.table import FloatArray, TableError, YieldTable
from models.yields.table_file import read_table, write_table

_EVALUATION, _FROZEN, _LEARNED = "evaluation.parquet", "frozen.json", "learned.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Retraining:
    """What a retraining is made of.

    Attributes:
        table: file of the statistics.
        evaluation_years: frozen at the first retraining; may be empty afterwards.
        champion: bundle in use where none is released yet.
        model: name in :data:`models.yields.lineup.MODELS`; None takes the champion's kind.
        name: of the bundle; None takes the champion's.
        trials: settings that the search tries.
        members: networks in a network's mean.
        without: devices whose labels are left out.
        seed: of everything.
    """

    table: Path
    evaluation_years: tuple[int, ...] = ()
    champion: Path | None = None
    model: str | None = None
    name: str | None = None
    trials: int = 8
    members: int = 3
    without: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Retrained:
    """What came of it.

    Attributes:
        labels: orchard rows that were learned from.
        decision: the gate's.
        record: file of the decision.
        released: the release; None where the gate did not let it pass.
    """

    labels: int
    decision: Decision
    record: Path
    released: Release | None


def retrain(home: ServerFolder, database: Database, retraining: Retraining, say: Say, newest_year: int) -> Retrained:
    """Train a challenger, judge it and the champion on the same frozen rows, and release it if the gate lets it pass.

    Args:
        home: the server's folder.
        database: what devices have sent.
        retraining: see there.
        say: told each step.
        newest_year: that a harvest may be of.

    Raises:
        RetrainError: there is nothing new to learn from, a label cannot be true, the champion has learned from the
            evaluation, or there is none.
        TableError: the table cannot be used, or a row of the evaluation would be learned from.
        ReleaseError: there is no repository of releases.
    """
    repository = repository_of(home)
    known = releases(repository)
    folder = home.path / "retraining" / "yields"
    with home.explained():
        make_folder(folder, 0o700)
    table = read_table(retraining.table)
    evaluation = _frozen(folder, table, retraining.evaluation_years)
    labels = _labels(database, table, retraining, say, newest_year, evaluation.years)
    _require_news(folder, labels)
    with tempfile.TemporaryDirectory() as temporary:
        champion = _champion(repository, known, retraining, Path(temporary))
        _require_unseen(champion, evaluation)
        name, version = retraining.name or champion.manifest.name, _next_version(champion)
        fitted = _challenger(table, labels, evaluation, retraining, champion, say)
        judged = f"{name}-{version}"
        decision = decide(
            Errors(judged, row_names(evaluation), _errors(fitted.predict(samples_of(evaluation)), evaluation)),
            Errors(champion.identity, row_names(evaluation), _errors(_predicted(champion, evaluation), evaluation)),
            evaluation.year.tolist(),
            seed=retraining.seed,
        )
        record = record_decision(home, decision)
        made = None
        if decision.released:
            bundle = build_yield_bundle(fitted, Path(temporary) / "bundle", YieldRecipe(name, version), say)
            made = release(repository, bundle.folder, decision)
    with home.explained():
        write_whole(folder / _LEARNED, json.dumps(_keys(labels)).encode())
    return Retrained(len(labels), decision, record, made)


def _frozen(folder: Path, table: YieldTable, years: Collection[int]) -> YieldTable:
    """The evaluation rows: those of the first retraining, whatever the table says now."""
    file, told = folder / _EVALUATION, folder / _FROZEN
    if told.is_file():
        frozen = json.loads(told.read_text(encoding="utf-8"))
        if years and sorted(years) != frozen["years"]:
            raise RetrainError(
                f"the evaluation is frozen to {_list(frozen['years'])}; models are compared on the same rows, so leave "
                f"--evaluation-year away, or delete {folder} to begin anew"
            )
        if hashlib.sha256(file.read_bytes()).hexdigest() != frozen["sha256"]:
            raise RetrainError(f"{file} was altered since it was frozen; restore it, or delete {folder} to begin anew")
        evaluation = read_table(file)
        if (evaluation.months, evaluation.features) != (table.months, table.features):
            raise RetrainError(
                f"the table has other months or features than the frozen evaluation; give it the same ones, or delete "
                f"{folder} to begin anew"
            )
        return evaluation
    if not years:
        raise RetrainError("say which years models are judged on: --evaluation-year 2025; they are never learned from")
    if absent := sorted(set(years) - set(table.years)):
        raise RetrainError(f"the table has no year {_list(absent)}; its years are {_list(table.years)}")
    evaluation = table.take(np.isin(table.year, sorted(years)) & np.isfinite(table.yield_kg_per_ha))
    write_table(evaluation, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    write_whole(told, json.dumps({"years": sorted(years), "sha256": digest}).encode())
    return read_table(file)


def _labels(
    database: Database,
    table: YieldTable,
    retraining: Retraining,
    say: Say,
    newest_year: int,
    held_out: Collection[int],
) -> list[Label]:
    """What devices have sent that can be learned from."""
    with database.read() as session:
        read = read_labels(session)
    if read.passed_over:
        say(f"passed over: {read.passed_over} estimates without a model of the device's, or not of ripe apples")
    usable = []
    for label in read.labels:
        device = label.key[0]
        if device in retraining.without:
            continue
        reason = unusable(label, table)
        if reason is None and label.year in held_out:
            reason = f"{label.year} is a year of the evaluation"
        if reason is not None:
            say(f"left out: {label.orchard} {label.year}: {reason}")
            continue
        if wrong := implausible(label, table, newest_year):
            raise RetrainError(
                f"{label.orchard} {label.year} from device {device} cannot be true: {wrong}. Mend it at the device, or "
                f"leave that device's labels out: --without {device}"
            )
        usable.append(label)
    return usable


def _require_news(folder: Path, labels: list[Label]) -> None:
    if not labels:
        raise RetrainError("no device has sent a label to learn from; the model in use stays")
    file = folder / _LEARNED
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) == _keys(labels):
        raise RetrainError(f"the {len(labels)} labels have been learned from already; the model in use stays")


def _champion(
    repository: ReleaseRepository, known: list[Release], retraining: Retraining, temporary: Path
) -> YieldBundle:
    """The newest released bundle that predicts yields, or the one that was named."""
    ours = [item for item in known if item.told["task"] == "yield" and retraining.name in {None, item.told["name"]}]
    if ours:
        newest = ours[-1]
        unpack_bundle(repository.targets / f"{newest.sha256}.{newest.name}.zip", temporary / "champion")
        return open_yield_bundle(temporary / "champion")
    if retraining.champion is None:
        raise RetrainError("no model of yields is released yet; name the one in use with --champion BUNDLE")
    return open_yield_bundle(retraining.champion)


def _require_unseen(champion: YieldBundle, evaluation: YieldTable) -> None:
    if seen := sorted(set(champion.manifest.training_years) & set(evaluation.years)):
        raise RetrainError(
            f"{champion.identity} was trained on {_list(seen)}, so it cannot be judged on it; choose years that no "
            "model learns from, or train the model in use with --hold-out"
        )


def _challenger(
    table: YieldTable,
    labels: list[Label],
    evaluation: YieldTable,
    retraining: Retraining,
    champion: YieldBundle,
    say: Say,
) -> FittedModel:
    name = retraining.model or _kind(champion)
    candidate = lineup(table, retraining.members)[name]
    statistics = rows_to_learn_from(table, None, evaluation, evaluation.years)
    effects = lineup(table, 1)["county-effects"]
    spread = untuned(effects, samples_of(statistics), effects.default, retraining.seed).rmse
    rows = rows_of(labels, table, spread)
    learned = rows_to_learn_from(table, rows, evaluation, evaluation.years)
    shown = ", ".join(f"{weight:.2f}" for weight in rows.weight[:10])
    say(f"learning {MODELS[name]} from {len(statistics)} statistics and {len(labels)} labels (weights {shown})")
    found: Tuned = tune(candidate, samples_of(learned), retraining.trials, retraining.seed)
    season = fit_season(
        candidate,
        learned,
        found.parameters,
        half_width_kg_per_ha=half_width(found.left_out - learned.yield_kg_per_ha, learned.year),
        metrics={"rmse_kg_per_ha": found.rmse},
        seed=retraining.seed,
    )
    manifest = champion.manifest
    simulated = bool((table.source == "simulated").all())
    return fitted_model(
        learned,
        [season],
        training_data=f"{len(statistics)} yields of {retraining.table.name} and {len(labels)} from {SOURCE}",
        simulated=simulated,
        licence=manifest.licence,
        attribution=manifest.attribution,
        commit=code_commit(),
    )


def _kind(champion: YieldBundle) -> str:
    kind = champion.manifest.seasons[0].model
    found = [name for name, title in MODELS.items() if title == kind]
    if not found:
        raise RetrainError(f"{champion.identity} is a {kind}, which is not known here; name a model with --model")
    return found[0]


def _predicted(champion: YieldBundle, evaluation: YieldTable) -> FloatArray:
    manifest = champion.manifest
    names = [feature.name for feature in evaluation.features]
    if lacking := [name for name in manifest.names if name not in names]:
        raise TableError(
            f"the evaluation has no {_list(lacking)}, which {champion.identity} needs; add it to the table"
        )
    if manifest.months != evaluation.months:
        raise TableError(f"{champion.identity} takes other months than the evaluation has; give it the same season")
    season = evaluation.season[:, :, [names.index(name) for name in manifest.names]]
    counties = [str(county) for county in evaluation.county]
    return YieldModel(champion).predict(season, counties, evaluation.year, evaluation.area_ha).kg_per_ha


def _errors(predicted: FloatArray, evaluation: YieldTable) -> FloatArray:
    return np.asarray(predicted - evaluation.yield_kg_per_ha)


def _next_version(champion: YieldBundle) -> str:
    major, minor, _ = champion.manifest.version.split(".")
    return f"{major}.{int(minor) + 1}.0"


def _keys(labels: list[Label]) -> list[list[Any]]:
    return sorted([*label.key] for label in labels)


def _list(values: Collection[object]) -> str:
    return ", ".join(str(value) for value in values)
