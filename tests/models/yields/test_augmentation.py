"""Augmentation: what is added keeps to its rules, and comes from the rows that may be fitted to alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from models.yields.augmentation import (
    AugmentationSettings,
    augment,
    augmented_parts,
    mixable_pairs,
    mixed_up,
    with_noise,
)
from models.yields.mode_normaliser import ModeNormaliser
from models.yields.samples import Samples, samples_of, together
from models.yields.tvae import TableAutoencoder, TvaeError, TvaeSettings, divergence
from tests.models.yields.tables import drawn_table

SETTINGS = AugmentationSettings(tvae_rows=1, tvae=TvaeSettings(epochs=20))


def _samples() -> Samples:
    return samples_of(drawn_table().months_until(5))


def _random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- noise ----------------------------------------------------------------------------------------------------------


def test_noise_is_a_hundredth_of_each_features_spread() -> None:
    real = _samples()
    noisy = with_noise(real, replace(SETTINGS, noise_copies=200), _random())
    change = noisy.season - together([real] * 200).season
    ratio = change.reshape(-1, *real.season.shape[1:]).std(axis=0) / real.season.std(axis=0)
    assert np.allclose(ratio, 0.01, rtol=0.05)
    assert np.array_equal(noisy.yields, np.tile(real.yields, 200))
    assert (noisy.area_ha > 0).all()


def test_the_same_seed_gives_the_same_rows() -> None:
    one, same, other = (augment(_samples(), SETTINGS, _random(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.season, same.season)
    assert not np.array_equal(one.season, other.season)


# --- Mixup ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 50), st.floats(0.05, 1.0))
@settings(max_examples=20)
def test_only_rows_of_one_county_with_close_yields_are_mixed(seed: int, gap: float) -> None:
    real = samples_of(drawn_table(seed=seed))
    rows = together([real, with_noise(real, SETTINGS, _random(seed))])
    for county, pairs in mixable_pairs(real, rows, gap).items():
        limit = gap * real.yields[real.county == county].std()
        for one, other in pairs:
            assert one != other
            assert rows.county[one] == rows.county[other] == county
            assert abs(rows.yields[one] - rows.yields[other]) <= limit


def test_a_mixed_row_lies_between_two_rows_of_its_county() -> None:
    real = _samples()
    rows = together([real, with_noise(real, SETTINGS, _random())])
    mixed = mixed_up(real, rows, replace(SETTINGS, mixup_yield_gap=2.0), _random())
    assert len(mixed) == 2 * len(real)
    for i in range(len(mixed)):
        of_county = rows.county == mixed.county[i]
        low, high = rows.season[of_county].min(axis=0), rows.season[of_county].max(axis=0)
        assert ((mixed.season[i] >= low - 1e-9) & (mixed.season[i] <= high + 1e-9)).all()
        assert rows.yields[of_county].min() <= mixed.yields[i] <= rows.yields[of_county].max()
        assert mixed.year[i] in rows.year[of_county]


def test_yields_too_far_apart_are_not_mixed_however_few_pairs_there_are() -> None:
    real = _samples()
    assert not len(mixed_up(real, real, replace(SETTINGS, mixup_yield_gap=1e-6), _random()))
    assert len(augment(real, replace(SETTINGS, mixup_yield_gap=1e-6, noise_copies=0, tvae_rows=0), _random())) == 30


# --- the autoencoder ------------------------------------------------------------------------------------------------


@given(
    numpy_strategies.arrays(np.float64, st.integers(5, 60), elements=st.floats(-1e4, 1e4)),
    st.integers(0, 9),
)
@settings(max_examples=25)
def test_a_column_that_was_encoded_decodes_to_itself(values: np.ndarray, seed: int) -> None:
    normaliser = ModeNormaliser.fit(values, seed)
    place, part = normaliser.encode(values, _random(seed))
    inside = np.abs(place) < 0.99
    assert np.allclose(normaliser.decode(place, part)[inside], values[inside], atol=1e-6 * (1 + np.abs(values).max()))
    assert (np.abs(place) <= 0.99).all()


def test_two_modes_are_two_parts() -> None:
    values = np.concatenate([_random().normal(0, 1, 300), _random(1).normal(100, 1, 300)])
    _, part = ModeNormaliser.fit(values, 0).encode(values, _random())
    assert not set(part[:300]) & set(part[300:])


def test_divergence_is_zero_for_the_standard_normal_and_positive_elsewhere() -> None:
    assert not divergence(torch.zeros(3, 4), torch.zeros(3, 4)).any()
    assert (divergence(torch.randn(50, 4), torch.randn(50, 4)) > 0).all()


def test_drawn_rows_are_like_what_was_fitted() -> None:
    random = _random()
    group = random.integers(0, 2, 400)
    values = np.stack([np.where(group == 0, 10, 50) + random.normal(size=400), random.normal(5, 2, 400)], axis=1)
    model = TableAutoencoder.fit(values, [np.array(["a", "b"])[group]], TvaeSettings(epochs=150, batch=100), 0)
    drawn, (names,) = model.draw(400, lambda v: v[:, 1] < np.inf)
    assert set(names) <= {"a", "b"}
    assert abs(drawn[names == "a", 0].mean() - 10) < 5
    assert abs(drawn[names == "b", 0].mean() - 50) < 5
    assert abs(drawn[:, 1].mean() - 5) < 1


def test_only_possible_rows_are_drawn_and_none_is_said() -> None:
    values = _random().normal(size=(100, 2))
    model = TableAutoencoder.fit(values, [], TvaeSettings(epochs=5), 0)
    drawn, _ = model.draw(50, lambda v: v[:, 0] > 0)
    assert (drawn[:, 0] > 0).all()
    with pytest.raises(TvaeError, match="leave it out"):
        model.draw(50, lambda v: v[:, 0] > 1e6)


# --- all together ---------------------------------------------------------------------------------------------------


def test_real_rows_come_first_unchanged_and_added_ones_could_be_real() -> None:
    real = _samples()
    rows = augment(real, SETTINGS, _random())
    assert len(rows) == 30 + 2 * 30 + 2 * 30 + 30
    assert np.array_equal(rows.season[:30], real.season)
    assert (rows.area_ha > 0).all()
    assert (rows.yields > 0).all()
    assert set(rows.county) <= set(real.county)
    assert set(rows.year.tolist()) <= set(real.years)


def test_strict_validation_rows_are_real_and_have_no_copy_among_those_fitted_to() -> None:
    real = _samples()
    fit, validate = augmented_parts(real, 0.2, SETTINGS, _random())
    assert len(validate) == 6
    known = {row.tobytes() for row in real.season}
    assert all(row.tobytes() in known for row in validate.season)
    spread = real.season.std(axis=0)
    for row in validate.season:
        nearest = np.abs((fit.season - row) / spread).max(axis=(1, 2)).min()
        assert nearest > 0.1  # a noisy copy would be within a few hundredths


def test_the_papers_protocol_validates_on_near_copies() -> None:
    real = _samples()
    fit, validate = augmented_parts(real, 0.2, replace(SETTINGS, tvae_rows=0), _random(), "paper")
    spread = real.season.std(axis=0)
    near = [np.abs((fit.season - row) / spread).max(axis=(1, 2)).min() < 0.1 for row in validate.season]
    assert np.mean(near) > 0.5
