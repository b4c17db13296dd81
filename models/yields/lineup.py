"""The models that ``pomona train apyieldnet`` compares, by the names it takes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

import numpy as np

from models.yields.augmentation import AugmentationSettings, Protocol, augment
from models.yields.candidates import (
    Augment,
    Candidate,
    apyieldnet,
    linear_candidates,
    on_county_effects,
    recurrent_candidates,
    sceptical_candidates,
    wide_alone,
    wide_and_deep,
)
from models.yields.paper_protocol import apyieldnet_by_paper
from models.yields.samples import Samples
from models.yields.table import YieldTable

Added = Literal["off", "noise", "mixup", "tvae"]
ADDED: tuple[Added, ...] = ("off", "noise", "mixup", "tvae")
OURS, ON_EFFECTS, WIDE_AND_DEEP = "APYieldNet", "APYieldNet on county effects", "APYieldNet, wide and deep"
EFFECTS_AND_LINE = "County effects and a line"
# as options name them, in the order of tables
MODELS: Mapping[str, str] = {
    "lasso": "Lasso",
    "ridge": "Ridge",
    "multiple-linear": "Multiple linear",
    "plsr": "PLSR",
    "lstm": "LSTM",
    "gru": "GRU",
    "bilstm": "BiLSTM",
    "boosted-trees": "Boosted trees",
    "county-effects": "County effects",
    "county-mean": "County mean",
    "last-year": "Last year's yield",
    "effects-and-line": EFFECTS_AND_LINE,
    "apyieldnet": OURS,
    "apyieldnet-on-county-effects": ON_EFFECTS,
    "apyieldnet-wide-and-deep": WIDE_AND_DEEP,
}


def augmentation_of(added: Added) -> AugmentationSettings | None:
    """How rows are added: noise; noise and Mixup; noise, Mixup and the autoencoder; none where it is off."""
    if added == "off":
        return None
    defaults = AugmentationSettings()
    return AugmentationSettings(
        mixup_rows=defaults.mixup_rows if added in ("mixup", "tvae") else 0,
        tvae_rows=defaults.tvae_rows if added == "tvae" else 0,
    )


def lineup(
    table: YieldTable, members: int, added: Added = "off", protocol: Protocol = "strict"
) -> dict[str, Candidate]:
    """Every model for a table, by its name in :data:`MODELS`.

    Args:
        table: its features and months.
        members: networks whose mean is a network's prediction.
        added: rows that APYieldNet is fitted to besides.
        protocol: "paper" has APYieldNet stop by rows taken after augmentation, as in the paper; all kinds of rows are
            added where ``added`` is "off".
    """
    settings = augmentation_of(added)
    if protocol == "paper":
        ours = apyieldnet_by_paper(table, members, OURS, settings or AugmentationSettings())
    else:
        more: Augment | None = None if settings is None else partial(_augmented, settings)
        ours = apyieldnet(table, members, OURS, more)
    found = [
        *linear_candidates(),
        *recurrent_candidates(table, members),
        *sceptical_candidates(),
        wide_alone(EFFECTS_AND_LINE),
        ours,
        on_county_effects(ours, ON_EFFECTS),
        wide_and_deep(ours, WIDE_AND_DEEP),
    ]
    by_title = {candidate.name: candidate for candidate in found}
    return {name: by_title[title] for name, title in MODELS.items()}


def _augmented(settings: AugmentationSettings, rows: Samples, random: np.random.Generator) -> Samples:
    return augment(rows, settings, random)
