"""Networks trained at once: each ends where it would have ended alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from models.yields.apyieldnet import APYieldNet, NetworkSettings
from models.yields.encoding import Encoding
from models.yields.recurrent import Cell, RecurrentNetwork, RecurrentSettings, last_state
from models.yields.samples import Samples, samples_of
from models.yields.training import TrainingSettings, train_networks
from tests.models.networks import largest_difference
from tests.models.yields.tables import FEATURES, drawn_table

# nothing is left to chance inside: dropout and hidden counties are drawn for all together
SETTINGS = TrainingSettings(epochs=3, batch=12, learning_rate=5e-3, stranger=0.0)


def _rows() -> Samples:
    return samples_of(drawn_table(counties=8).months_until(6))


def _apyieldnet(encoding: Encoding) -> APYieldNet:
    settings = NetworkSettings((2, 1, 1), steps=3, counties=len(encoding.counties), width=8, dropout=0.0)
    return APYieldNet(settings, encoding.scales)


def _lstm(encoding: Encoding) -> RecurrentNetwork:
    settings = RecurrentSettings("lstm", len(FEATURES), len(encoding.counties), width=8, dropout=0.0)
    return RecurrentNetwork(settings, encoding.scales)


@pytest.mark.parametrize("build", [_apyieldnet, _lstm])
def test_each_network_ends_where_it_would_alone(build: type[nn.Module]) -> None:
    rows = _rows()
    # the same number of rows, so of steps, but other years, other counties and another number of them
    seven = rows.take(rows.county != "county 3")
    parts = [rows.take(rows.year != 2020), seven.take(np.arange(32))]
    assert {len(np.unique(part.county)) for part in parts} == {7, 8}
    together = train_networks(build, parts, SETTINGS, [3, 4])
    for part, seed, one in zip(parts, (3, 4), together, strict=True):
        (alone,) = train_networks(build, [part], SETTINGS, [seed])
        assert np.abs(one(rows) - alone(rows)).max() < 1e-3 * rows.yields.std()
        (other,) = train_networks(build, [part], SETTINGS, [seed + 10])
        assert np.abs(other(rows) - alone(rows)).max() > 1e-2 * rows.yields.std()


def test_it_is_what_torch_does_step_by_step() -> None:
    rows = _rows()
    encoding = Encoding.fit(rows)
    (found,) = train_networks(_apyieldnet, [rows], SETTINGS, [7])
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = _apyieldnet(encoding)
    generator, steps = torch.Generator().manual_seed(7), 10  # 3 epochs of 40 rows by 12
    order = torch.cat([torch.randperm(40, generator=generator) for _ in range(3)])[: 12 * steps].reshape(steps, 12)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.01)
    rise_and_fall = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps + 1)
    target = torch.tensor((rows.yields - encoding.scales.yield_mean) / encoding.scales.yield_std).float()
    inputs = encoding.inputs(rows)
    for chosen in order:
        optimizer.zero_grad()
        loss = ((network.standardised(*(column[chosen] for column in inputs)) - target[chosen]) ** 2).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        rise_and_fall.step()
    with torch.no_grad():
        expected = network.eval()(*inputs).numpy()
    assert np.abs(found(rows) - expected).max() < 1e-3 * rows.yields.std()


def test_chance_inside_differs_between_networks_of_one_seed() -> None:
    rows = _rows()
    one, other = train_networks(_apyieldnet, [rows, rows], replace(SETTINGS, stranger=0.5), [3, 3])
    assert not np.allclose(one(rows), other(rows))


@pytest.mark.parametrize("cell", ["lstm", "gru", "bilstm"])
@torch.no_grad()
def test_recurrent_steps_are_torchs_own(cell: Cell) -> None:
    recurrent = (nn.GRU if cell == "gru" else nn.LSTM)(4, 6, batch_first=True, bidirectional=cell == "bilstm")
    x = torch.randn(5, 7, 4)
    state = recurrent(x)[1]
    expected = state[0] if isinstance(state, tuple) else state
    assert largest_difference(last_state(recurrent, x), expected[0]) < 1e-6
    if cell == "bilstm":
        assert largest_difference(last_state(recurrent, x, "_reverse"), expected[1]) < 1e-6
