"""A bundle that predicts yields, of a fitted model: a graph for the whole season and for each of its beginnings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper
from torch import Tensor

from export.build.errors import ParityError
from export.build.operators import OPSET, check_operators
from export.build.placing import bundle_place
from export.runtime.bundle import YieldBundle, open_yield_bundle, sha256_of
from export.runtime.manifest import MANIFEST, SCHEMA, Metrics
from export.runtime.yield_manifest import GRAPH, SAMPLE, FeatureEntry, SeasonEntry, YieldManifest
from export.runtime.yield_model import INPUTS, OUTPUT, YieldModel, header, relative_difference
from models.yields.fitted import FittedModel, FittedSeason
from models.yields.graphs import export_form

MOST_PARITY = 1e-5
_COMPARED, _KEPT = 256, 8
_FILES = frozenset({".onnx", ".npz"})
_YEAR = "calendar year of the harvest, such as 2024; what the model makes of it is part of the graph"
_Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class YieldRecipe:
    """What a bundle is called.

    Attributes:
        name: of the bundle, lower case.
        version: such as ``1.0.0``.
    """

    name: str
    version: str


def build_yield_bundle(
    fitted: FittedModel, output: Path, recipe: YieldRecipe, say: Callable[[str], None] = lambda _: None
) -> YieldBundle:
    """Export every graph of a fitted model, compare it with its network, write the manifest.

    Args:
        fitted: the model.
        output: folder of the bundle; takes the place of an earlier one.
        recipe: name and version.
        say: told each step.

    Raises:
        ParityError: a graph and its network differ by more than :data:`MOST_PARITY` of the yield.
        UnsupportedGraphError: a graph uses what not every runtime has.
        ValueError: something else than a bundle is in the folder, or the name is none.
    """
    with bundle_place(output, _FILES) as folder:
        entries = []
        for number, season in enumerate(fitted.seasons):
            ending = "" if number == 0 else f"-{season.months[-1]:02d}"
            entry = _export(fitted, season, folder, ending)
            say(f"{entry.graph}: months {season.months[0]} to {season.months[-1]}, parity {entry.parity:.1e}")
            entries.append(entry)
        manifest = _manifest(fitted, entries, recipe, folder)
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        YieldModel(open_yield_bundle(folder)).check()  # as a device will
    return open_yield_bundle(output)


def _export(fitted: FittedModel, season: FittedSeason, folder: Path, ending: str) -> SeasonEntry:
    graph, sample = GRAPH.replace(".", f"{ending}."), SAMPLE.replace(".", f"{ending}.")
    network = export_form(season.graph)
    inputs = _drawn_inputs(fitted, season)
    _write_graph(fitted, season, network, folder / graph)
    with torch.no_grad():
        expected: NDArray[np.float32] = network(*map(torch.from_numpy, inputs)).numpy()
    parity = _parity(folder / graph, inputs, expected)
    if not parity <= MOST_PARITY:
        raise ParityError(
            f"the graph of {season.candidate} for months {season.months[0]} to {season.months[-1]} differs from its "
            f"network by {parity:.1e} of the yield; at most {MOST_PARITY:g} is accepted, as a device would predict "
            "something else than was measured; report this with the fitted model"
        )
    kept = {name: values[:_KEPT] for name, values in zip((*INPUTS, OUTPUT), (*inputs, expected), strict=True)}
    own = season.training_range
    np.savez(
        folder / sample,
        **kept,  # type: ignore[arg-type]
        range_mean=own.mean,
        range_std=own.std,
        range_precision=own.precision,
    )
    return SeasonEntry(
        graph=graph,
        sample=sample,
        months=season.months,
        model=season.candidate,
        half_width_kg_per_ha=season.half_width_kg_per_ha,
        skill=dict(season.metrics),
        farthest=own.limit,
        parity=parity,
    )


def _drawn_inputs(fitted: FittedModel, season: FittedSeason) -> _Arrays:
    """Seasons like those that were fitted to, drawn: no training row leaves with the bundle."""
    random = np.random.default_rng(0)
    drawn = random.normal(season.month_mean, season.month_std, (_COMPARED, *season.month_mean.shape))
    own = season.training_range
    return (
        drawn.astype(np.float32),
        np.arange(_COMPARED, dtype=np.int64) % (len(fitted.counties) + 1),
        random.integers(fitted.years[0], fitted.years[-1] + 2, _COMPARED).astype(np.float32),
        np.exp(random.uniform(np.log(own.least_area_ha), np.log(own.most_area_ha), _COMPARED)).astype(np.float32),
    )


def _write_graph(fitted: FittedModel, season: FittedSeason, network: torch.nn.Module, path: Path) -> None:
    months, features = season.month_mean.shape
    example: tuple[Tensor, ...] = (
        torch.zeros(2, months, features),
        torch.zeros(2, dtype=torch.int64),
        torch.full((2,), float(fitted.years[-1])),
        torch.ones(2),
    )
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter comments on every shape it freezes, which is what we want
        torch.onnx.export(
            network,
            example,
            str(path),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "batch"} for name in (*INPUTS, OUTPUT)},
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,
        )
    graph = onnx.load(path)
    _keep_inputs(graph, months, features)
    graph.producer_name, graph.producer_version, graph.doc_string = "pomona", "", ""
    helper.set_model_props(
        graph,
        {
            "features": header([feature.name for feature in fitted.features]),
            "units": header([feature.unit for feature in fitted.features]),
            "months": header(season.months),
            "counties": header(fitted.counties),
        },
    )
    onnx.checker.check_model(graph, full_check=True)
    check_operators(_for_one_season(graph), "onnxruntime")
    onnx.save(graph, path)


def _keep_inputs(graph: onnx.ModelProto, months: int, features: int) -> None:
    """All four inputs, also where a model reads some alone and the exporter left the others out."""
    shapes: dict[str, list[str | int]] = {"season": ["batch", months, features]}
    there = {value.name: value for value in graph.graph.input}
    del graph.graph.input[:]
    for name in INPUTS:
        kind = onnx.TensorProto.INT64 if name == "county" else onnx.TensorProto.FLOAT
        graph.graph.input.append(
            there.get(name) or helper.make_tensor_value_info(name, kind, shapes.get(name, ["batch"]))
        )


def _for_one_season(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose shapes are fixed, for the list of operators."""
    one = onnx.ModelProto()
    one.CopyFrom(graph)
    for value in (*one.graph.input, *one.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del one.graph.value_info[:]
    return one


def _parity(graph: Path, inputs: _Arrays, expected: NDArray[np.float32]) -> float:
    """Largest relative difference, of seasons together and one by one."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def run(rows: slice) -> float:
        given = {name: values[rows] for name, values in zip(INPUTS, inputs, strict=True)}
        found: NDArray[np.float32] = np.asarray(session.run([OUTPUT], given)[0])
        return relative_difference(found.astype(np.float64), expected[rows])

    return max(run(slice(None)), *(run(slice(row, row + 1)) for row in range(_KEPT)))


def _manifest(fitted: FittedModel, entries: list[SeasonEntry], recipe: YieldRecipe, folder: Path) -> YieldManifest:
    own = fitted.seasons[0].training_range
    left_out = f"years {fitted.years[0]} to {fitted.years[-1]}, each left out of the fit"
    return YieldManifest(
        schema_version=SCHEMA,
        name=recipe.name,
        version=recipe.version,
        task="yield",
        crop=fitted.crop,
        region=fitted.region,
        target="yield",
        unit="kg/ha",
        metrics=(Metrics(data=left_out, values=dict(fitted.seasons[0].metrics)),),
        smallest_runtime="1.18",
        training_commit=fitted.commit,
        training_data=fitted.training_data,
        licence=fitted.licence,
        attribution=fitted.attribution,
        files={path.name: sha256_of(path) for path in sorted(folder.iterdir())},
        features=tuple(FeatureEntry.model_validate(asdict(feature)) for feature in fitted.features),
        counties={county: number for number, county in enumerate(fitted.counties, start=1)},
        training_years=fitted.years,
        training_rows=fitted.rows,
        simulated=fitted.simulated,
        year=_YEAR,
        area_ha=(own.least_area_ha, own.most_area_ha),
        seasons=tuple(entries),
    )
