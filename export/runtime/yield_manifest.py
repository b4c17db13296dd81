"""The manifest of a bundle that predicts yields from a season."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from export.runtime.manifest import Manifest, Part

GRAPH, SAMPLE = "model.onnx", "model.npz"
Month = Annotated[int, Field(ge=1, le=12)]
_DECIDING = {"features", "counties", "seasons", "area_ha", "files"}


class FeatureEntry(Part):
    """One feature of every month."""

    name: str = Field(pattern=r"^[A-Za-z0-9_]+$", description="name, as season files have it")
    group: Literal["spectral", "environmental", "index"] = Field(description="group it enters the network in")
    unit: str = Field(description="unit of the values; 1 where there is none")


class SeasonEntry(Part):
    """The graph for a season, or for its first months."""

    graph: str = Field(pattern=r"^model(-\d\d)?\.onnx$", description="file of the graph")
    sample: str = Field(
        pattern=r"^model(-\d\d)?\.npz$", description="file of its parity sample and of the range of its training"
    )
    months: tuple[Month, ...] = Field(min_length=1, description="calendar months of the input, in order")
    model: str = Field(description="kind of model")
    half_width_kg_per_ha: float = Field(
        gt=0, allow_inf_nan=False, description="half width of the 90 % interval of a prediction (conformal, by year)"
    )
    skill: dict[str, float] = Field(description="figures by name, on years that were left out of the fit")
    farthest: float = Field(
        gt=0,
        allow_inf_nan=False,
        description="distance to the training set beyond which a prediction is flagged: 99th percentile of those of "
        "the training rows, each from all others",
    )
    parity: float = Field(
        ge=0, description="largest difference between graph and trained network, as a share of the yield"
    )


class YieldManifest(Manifest):
    """Everything a device must know of a bundle that predicts yields."""

    task: Literal["yield"] = Field(description="what the model does")
    target: Literal["yield"] = Field(description="what it finds")
    unit: Literal["kg/ha"] = Field(description="unit of its result")
    features: tuple[FeatureEntry, ...] = Field(min_length=1, description="features of each month, in order")
    counties: dict[str, int] = Field(description="index of each known county, from 1; 0 is any other place")
    training_years: tuple[int, ...] = Field(min_length=1, description="years of the harvests it was trained on")
    training_rows: int = Field(ge=1, description="seasons it was trained on")
    simulated: bool = Field(description="whether these seasons and yields are simulated")
    year: str = Field(description="how a year is given to the graph")
    area_ha: tuple[float, float] = Field(description="least and most planted area of a county it was trained on, ha")
    seasons: tuple[SeasonEntry, ...] = Field(
        min_length=1, description="graph of the whole season first, then of its beginnings, the longest first"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def months(self) -> tuple[int, ...]:
        """Months of the whole season."""
        return self.seasons[0].months

    def deciding(self) -> dict[str, Any]:
        """See :meth:`Manifest.deciding`."""
        return self.model_dump(mode="json", include=_DECIDING)

    def problem(self) -> str | None:
        """See :meth:`Manifest.problem`."""
        if len(set(self.names)) < len(self.names):
            return "features names one twice"
        if sorted(self.counties.values()) != list(range(1, len(self.counties) + 1)):
            return "counties does not number them from 1"
        if not 0 < self.area_ha[0] <= self.area_ha[1]:
            return f"area_ha is {self.area_ha[0]:g} to {self.area_ha[1]:g}"
        return self._problem_of_seasons()

    def _problem_of_seasons(self) -> str | None:
        whole = self.seasons[0]
        if (whole.graph, whole.sample) != (GRAPH, SAMPLE):
            return f"seasons does not begin with {GRAPH} and {SAMPLE}"
        lengths = [len(season.months) for season in self.seasons]
        if lengths != sorted(set(lengths), reverse=True) or any(
            whole.months[: len(season.months)] != season.months for season in self.seasons
        ):
            return "seasons are not the whole season and then its beginnings, the longest first"
        listed = {name for season in self.seasons for name in (season.graph, season.sample)}
        if missing := sorted(listed - set(self.files)):
            return f"files does not list {missing[0]}"
        return None
