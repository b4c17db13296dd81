"""Training: what it learns, when it stops, what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.yields.apyieldnet import APYieldNet, NetworkSettings
from models.yields.encoding import Columns, Encoding
from models.yields.recurrent import Cell, RecurrentNetwork, RecurrentSettings
from models.yields.samples import Samples, samples_of
from models.yields.training import PAPER, DivergedError, TrainingSettings, train_network
from tests.models.yields.tables import FEATURES, drawn_table

SHORT = TrainingSettings(epochs=15, batch=30, learning_rate=5e-3)


def _samples() -> Samples:
    return samples_of(drawn_table(counties=12))


def _apyieldnet(encoding: Encoding) -> APYieldNet:
    settings = NetworkSettings(group_sizes=(2, 1, 1), counties=len(encoding.counties), width=8)
    return APYieldNet(settings, encoding.scales)


def _rmse(predicted: np.ndarray, rows: Samples) -> float:
    return float(np.sqrt(((predicted - rows.yields) ** 2).mean()))


def test_a_network_learns_and_the_seed_decides_everything() -> None:
    rows = _samples()
    one, same, other = (train_network(_apyieldnet, rows, SHORT, seed)(rows) for seed in (1, 1, 2))
    assert _rmse(one, rows) < 0.8 * rows.yields.std()
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("cell", ["lstm", "gru", "bilstm"])
def test_recurrent_networks_learn(cell: Cell) -> None:
    rows = _samples()

    def build(encoding: Encoding) -> RecurrentNetwork:
        settings = RecurrentSettings(cell, len(FEATURES), len(encoding.counties), width=16)
        return RecurrentNetwork(settings, encoding.scales)

    network = build(Encoding.fit(rows))
    (network(*Encoding.fit(rows).inputs(rows)) ** 2).mean().backward()
    # a state that is read in its last month only leaves nothing of a parameter idle
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())
    assert _rmse(train_network(build, rows, replace(SHORT, epochs=40), 0)(rows), rows) < 0.7 * rows.yields.std()


def test_training_leaves_the_processs_chance_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train_network(_apyieldnet, _samples(), replace(SHORT, epochs=1), 0)
    assert torch.equal(torch.rand(1), expected)


def test_with_validation_the_best_weights_are_kept() -> None:
    rows = _samples()
    fit, held_out = rows.take(rows.year < 2023), rows.take(rows.year == 2023)
    settings = replace(PAPER, epochs=40, patience=4, learning_rate=2e-2)
    stopped = train_network(_apyieldnet, fit, settings, 0, held_out)
    upside_down = replace(held_out, yields=2 * fit.yields.mean() - held_out.yields)
    early = train_network(_apyieldnet, fit, settings, 0, upside_down)
    assert _rmse(stopped(fit), fit) < _rmse(early(fit), fit)  # nothing learned helps there, so it stops at once


def test_a_row_of_less_weight_counts_less() -> None:
    rows = _samples()
    odd = rows.county == "county 0"
    yields = np.where(odd, rows.yields * 3, rows.yields)
    errors = []
    for weight in (1.0, 0.01):
        changed = replace(rows, yields=yields, weight=np.where(odd, weight, 1.0))
        predicted = train_network(_apyieldnet, changed, SHORT, 0)(rows)
        errors.append(abs(predicted[odd] - 3 * rows.yields[odd]).mean())
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.parametrize("stranger", [0.0, 0.3])
def test_a_place_that_is_not_known_learns_from_hidden_counties(stranger: float) -> None:
    networks: list[APYieldNet] = []

    def build(encoding: Encoding) -> APYieldNet:
        networks.append(_apyieldnet(encoding))
        return networks[-1]

    rows = _samples()
    train_network(build, rows, replace(SHORT, epochs=3, weight_decay=0.0, stranger=stranger), 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        before = _apyieldnet(Encoding.fit(rows)).county.weight[0]
    assert torch.equal(networks[0].county.weight[0], before) == (stranger == 0)


def test_a_loss_without_end_is_told() -> None:
    with pytest.raises(DivergedError, match="lower learning rate"):
        train_network(_apyieldnet, _samples(), replace(SHORT, learning_rate=1e12), 0)


# --- what the networks and the linear models are given --------------------------------------------------------------


def test_a_place_that_is_not_known_is_index_0() -> None:
    rows = _samples()
    encoding = Encoding.fit(rows.take(rows.county != "county 3"))
    index = encoding.county_index(rows)
    assert (index[rows.county == "county 3"] == 0).all()
    assert (index[rows.county != "county 3"] > 0).all()
    columns = Columns.fit(rows.take(rows.county != "county 3"), monthly=True, county=2.0)
    assert set(columns.of(rows)[rows.county == "county 3"][:, -11:].ravel()) == {0.0}
    assert columns.of(rows)[rows.county == "county 4"][:, -11:].sum() == 2.0 * 5


def test_the_year_after_the_training_years_is_coded_1() -> None:
    rows = _samples()
    scales = Encoding.fit(rows.take(rows.year < 2023)).scales
    assert (2023 - scales.first_year) / scales.years == 1
