"""The gate: whether a trained challenger may take the place of the model that is in use, the champion.

It may when it is better with 95 % confidence on the same frozen evaluation rows, or no worse than by a margin that was
declared, and better in something else that is named. The interval of the difference comes from a paired bootstrap:
each resample draws groups (years), rows of each group, and takes both models' errors of the same rows, because rows of
one year err together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Measure = Literal["RMSE", "MAE"]

RESAMPLES = 2000
_ENDS = (2.5, 97.5)
_MEASURES: Mapping[Measure, Callable[[FloatArray], float]] = {
    "RMSE": lambda errors: float(np.sqrt((errors**2).mean())),
    "MAE": lambda errors: float(np.abs(errors).mean()),
}


@dataclass(frozen=True, eq=False)
class Errors:
    """What a model got wrong on frozen evaluation rows, of which nothing went into a fit or a choice of settings.

    Attributes:
        model: which model, as a release names it.
        rows: (n,) names of the rows, each once.
        errors: (n,) predicted less true, in one unit.
    """

    model: str
    rows: Sequence[str]
    errors: FloatArray


@dataclass(frozen=True)
class Gain:
    """Something else in which a challenger is better.

    Attributes:
        name: what it is, with its unit: ``ms a prediction on one core``.
        challenger: figure of the challenger.
        champion: figure of the champion.
        lower_is_better: for times, sizes and errors.
    """

    name: str
    challenger: float
    champion: float
    lower_is_better: bool = True

    @property
    def holds(self) -> bool:
        """Whether the challenger is better in it."""
        better, worse = (self.challenger, self.champion) if self.lower_is_better else (self.champion, self.challenger)
        return better < worse


@dataclass(frozen=True)
class Decision:
    """What the gate found. Whether it lets pass follows from the figures and stands nowhere beside them.

    Attributes:
        challenger: the model that was to be released.
        champion: the model in use.
        measure: what was compared; lower is better.
        unit: its unit.
        challenger_value: of the challenger, on all rows.
        champion_value: of the champion.
        low: 2.5th percentile of challenger less champion over resamples.
        high: 97.5th percentile.
        margin: by how much the challenger may be worse where it is better in something else; declared beforehand.
        gain: that something else.
        rows: number of evaluation rows.
        groups: number of groups they are in.
        evaluation: SHA-256 of the rows' names, the same for all that were judged on these rows.
        resamples: how many the interval comes from.
    """

    challenger: str
    champion: str
    measure: Measure
    unit: str
    challenger_value: float
    champion_value: float
    low: float
    high: float
    margin: float
    gain: Gain | None
    rows: int
    groups: int
    evaluation: str
    resamples: int = RESAMPLES

    @property
    def is_better(self) -> bool:
        """Whether the challenger is better with 95 % confidence."""
        return self.high < 0

    @property
    def released(self) -> bool:
        """Whether the challenger may take the champion's place."""
        return self.is_better or (self.gain is not None and self.gain.holds and self.high <= self.margin)

    @property
    def reason(self) -> str:
        """The decision in words, with the figures it rests on."""
        told = (
            f"{self.measure} {self.challenger_value:.4g} against {self.champion_value:.4g} {self.unit}, difference "
            f"{self.challenger_value - self.champion_value:+.3g} ({self.low:+.3g} to {self.high:+.3g}, 95 %) on "
            f"{self.rows} rows in {self.groups} groups"
        )
        if self.is_better:
            return f"better: {told}"
        if self.released:
            return f"no worse than by {self.margin:g} {self.unit}, and better in {self._gained()}: {told}"
        if self.high <= self.margin and self.gain is not None:
            return f"no worse than by {self.margin:g} {self.unit}, but not better in {self._gained()}: {told}"
        if self.high <= self.margin:
            return f"no worse than by {self.margin:g} {self.unit}, but nothing is named in which it is better: {told}"
        return f"not shown to be better, nor no worse than by {self.margin:g} {self.unit}: {told}"

    def _gained(self) -> str:
        assert self.gain is not None
        return f"{self.gain.name} ({self.gain.challenger:.4g} against {self.gain.champion:.4g})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with decision and reason for whoever reads them."""
        return {**asdict(self), "released": self.released, "reason": self.reason}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Decision:
        """What :meth:`as_dict` gave; decision and reason are made anew.

        Raises:
            ValueError: a figure is missing or no number, or the decision that stands beside them is another.
        """
        try:
            gain = None if values["gain"] is None else Gain(**values["gain"])
            known = {name: values[name] for name in cls.__dataclass_fields__ if name != "gain"}
            decision = cls(**known, gain=gain)
            figures = (decision.challenger_value, decision.champion_value, decision.low, decision.high, decision.margin)
            is_sound = bool(np.isfinite(figures).all()) and decision.margin >= 0 and decision.low <= decision.high
            agrees = values.get("released", decision.released) is decision.released
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"this is no record of a decision ({error!r}); take the one the gate wrote") from error
        if not is_sound or not agrees:
            raise ValueError("the record of the decision contradicts itself; take the one the gate wrote")
        return decision


def decide(
    challenger: Errors,
    champion: Errors,
    groups: Sequence[object],
    *,
    margin: float = 0.0,
    gain: Gain | None = None,
    measure: Measure = "RMSE",
    unit: str = "kg/ha",
    seed: int = 0,
) -> Decision:
    """Judge a challenger.

    Args:
        challenger: its errors.
        champion: errors of the model in use on the same rows, in the same order.
        groups: (n,) what the rows' errors share: their years.
        margin: by how much it may be worse where it is better in something else.
        gain: that something else.
        measure: ``RMSE`` or ``MAE`` of the errors.
        unit: unit of the errors.
        seed: of the resampling.

    Raises:
        ValueError: other rows, fewer than two, a row twice, an error that is no number, or a margin below 0.
    """
    rows = list(challenger.rows)
    if rows != list(champion.rows):
        raise ValueError("challenger and champion were not judged on the same rows; predict the same frozen rows")
    if len(set(rows)) < max(2, len(rows)):
        raise ValueError(f"{len(rows)} evaluation rows with {len(set(rows))} names; give two or more, each once")
    ours, theirs = np.asarray(challenger.errors, dtype=np.float64), np.asarray(champion.errors, dtype=np.float64)
    if not ours.shape == theirs.shape == (len(rows),) or len(groups) != len(rows):
        raise ValueError(f"{len(rows)} rows need as many errors of both models and as many groups")
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("an error is no number; predict every evaluation row with both models")
    if not (np.isfinite(margin) and margin >= 0):
        raise ValueError(f"the margin is {margin}; it says by how much a model may be worse, 0 or more")
    figure = _MEASURES[measure]
    members = _members(groups)
    random = np.random.default_rng(seed)
    differences = [figure(ours[drawn]) - figure(theirs[drawn]) for drawn in _draws(members, random)]
    low, high = np.percentile(differences, _ENDS)
    digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return Decision(
        challenger.model,
        champion.model,
        measure,
        unit,
        figure(ours),
        figure(theirs),
        float(low),
        float(high),
        margin,
        gain,
        len(rows),
        len(members),
        digest,
    )


def _members(groups: Sequence[object]) -> list[NDArray[np.int64]]:
    """Numbers of the rows in each group."""
    found: dict[object, list[int]] = {}
    for number, group in enumerate(groups):
        found.setdefault(group, []).append(number)
    return [np.array(numbers, dtype=np.int64) for numbers in found.values()]


def _draws(members: Sequence[NDArray[np.int64]], random: np.random.Generator) -> list[NDArray[np.int64]]:
    """Rows of each resample: groups with replacement, and of each drawn group its rows with replacement."""
    drawn = (random.integers(len(members), size=len(members)) for _ in range(RESAMPLES))
    return [np.concatenate([_drawn(members[group], random) for group in groups]) for groups in drawn]


def _drawn(rows: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    return rows[random.integers(len(rows), size=len(rows))]
