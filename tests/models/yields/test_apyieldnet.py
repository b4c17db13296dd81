"""APYieldNet: its parts, its switches, what it must not depend on, and its exported form."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from models.standardise import Standardise
from models.yields.apyieldnet import APYieldNet, NetworkSettings, Scales
from models.yields.fusion import ChannelPooling, GroupedFusion, SelfAttention
from models.yields.normalising import RevIN
from models.yields.temporal import TemporalConvolutions
from tests.models.networks import largest_difference

SCALES = Scales([0.0] * 18, [1.0] * 18, yield_mean=1500.0, yield_std=300.0)
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]

SWITCHES: dict[str, dict[str, Any]] = {
    "the paper's graph": {"revin_stats_to_head": False},
    "no TCN": {"tcn": False},
    "no ASB": {"asb": False},
    "neither": {"tcn": False, "asb": False},
    "ICB": {"icb": True},
    "sigmoid mask": {"mask_gradient": "sigmoid"},
    "same padding": {"padding": "same"},
    "vector tokens": {"tokens": "vector"},
    "mean fusion": {"fusion": "mean"},
    "no RevIN": {"revin": False},
    "no year": {"year": False},
    "one group of a short season": {"group_sizes": (18,), "steps": 3},
}


def _inputs(batch: int, settings: NetworkSettings) -> Inputs:
    return (
        torch.randn(batch, settings.steps, settings.features),
        torch.randint(0, settings.counties + 1, (batch,)),
        torch.randint(2019, 2023, (batch,)).float(),
        torch.rand(batch) * 1e4,
    )


def _network(**changes: Any) -> APYieldNet:
    return APYieldNet(replace(NetworkSettings(), **changes), SCALES)


@pytest.mark.parametrize("changes", SWITCHES.values(), ids=SWITCHES.keys())
@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_every_switch_gives_one_yield_a_row(changes: dict[str, Any], batch: int) -> None:
    network = _network(**changes).eval()
    yields = network(*_inputs(batch, network.settings))
    assert yields.shape == (batch,)
    assert yields.isfinite().all()


@pytest.mark.parametrize("changes", [{}, *SWITCHES.values()], ids=["default", *SWITCHES.keys()])
def test_every_parameter_learns(changes: dict[str, Any]) -> None:
    network = _network(**changes)
    (network(*_inputs(16, network.settings)) ** 2).mean().backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


@pytest.mark.parametrize(("width", "expected"), [(32, 109_060), (64, 414_492)])
def test_number_of_parameters_for_22_counties(width: int, expected: int) -> None:
    assert sum(p.numel() for p in _network(width=width).parameters()) == expected


@torch.no_grad()
def test_units_of_features_do_not_matter_once_the_scales_are_refitted() -> None:
    network = _network().eval()
    season, *about = _inputs(6, network.settings)
    factor, shift = torch.rand(18) + 0.5, torch.randn(18)
    other = APYieldNet(
        network.settings, replace(SCALES, feature_mean=shift.tolist(), feature_std=factor.tolist())
    ).eval()
    learned = {name: value for name, value in network.state_dict().items() if not name.startswith("features.")}
    other.load_state_dict(learned, strict=False)
    assert largest_difference(network(season, *about), other(season * factor + shift, *about)) < 0.05  # of ~1500


@torch.no_grad()
def test_order_of_months_matters() -> None:
    network = _network().eval()
    season, *about = _inputs(4, network.settings)
    assert largest_difference(network(season, *about), network(season.flip(1), *about)) > 1e-3


@torch.no_grad()
def test_level_of_the_season_reaches_the_head_unless_the_papers_graph_is_wanted() -> None:
    for kept in (True, False):
        network = _network(revin_stats_to_head=kept).eval()
        season, *about = _inputs(4, network.settings)
        change = largest_difference(network(season, *about), network(season + 3, *about))
        assert change > 1 if kept else change < 0.1


@torch.no_grad()
def test_a_feature_that_never_changes_is_no_trouble() -> None:
    network = APYieldNet(NetworkSettings(), replace(SCALES, feature_std=[0.0] * 18)).eval()
    _, *about = _inputs(2, network.settings)
    assert network(torch.zeros(2, 7, 18), *about).isfinite().all()


def test_learns_sixteen_rows_by_heart() -> None:
    network = _network(dropout=0.0)
    inputs = _inputs(16, network.settings)
    target = 1500 + 300 * torch.randn(16)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    steps = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 150)
    for _ in range(150):
        optimizer.zero_grad()
        loss = ((network(*inputs) - target) ** 2).mean() / 300**2
        loss.backward()
        optimizer.step()
        steps.step()
    network.eval()
    with torch.no_grad():
        assert largest_difference(network(*inputs) / target, torch.ones(16)) < 0.01


@pytest.mark.parametrize("changes", [{}, {"icb": True, "tokens": "vector"}, {"steps": 6}], ids=str)
@torch.no_grad()
def test_exported_network_predicts_the_same(changes: dict[str, Any], tmp_path: Path) -> None:
    network = _network(**changes).eval()
    inputs = _inputs(64, network.settings)
    file = tmp_path / "model.onnx"
    names = ["season", "county", "year", "area_ha"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter comments on every shape it freezes
        torch.onnx.export(
            network,
            inputs,
            file,
            dynamo=False,
            opset_version=18,
            input_names=names,
            output_names=["yield"],
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for batch in (64, 1):
        some = [value[:batch] for value in inputs]
        (found,) = session.run(None, dict(zip(names, (value.numpy() for value in some), strict=True)))
        expected = network(*some).numpy()
        assert np.abs(found - expected).max() / 300 < 1e-5


# --- parts ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_revin_undone_is_what_was_there() -> None:
    revin, x = RevIN(4), 5 + 3 * torch.randn(3, 7, 4)
    revin.scale.uniform_(0.5, 2)
    revin.shift.normal_()
    normalised, mean, std = revin(x)
    assert largest_difference(revin.undo(normalised, mean, std), x) < 1e-5
    assert largest_difference(((normalised - revin.shift) / revin.scale).mean(1), torch.zeros(3, 4)) < 1e-5


def test_a_series_without_change_becomes_the_shift() -> None:
    revin = RevIN(2)
    normalised, _, _ = revin(torch.full((1, 7, 2), 4.0))
    assert not normalised.any()


@torch.no_grad()
def test_small_numbers_survive_once_standardised() -> None:
    rain = 1e-5 * (1 + torch.rand(5, 7, 1))  # kg m⁻² s⁻¹
    bare, _, _ = RevIN(1)(rain)
    first, _, _ = RevIN(1)(Standardise([float(rain.mean())], [float(rain.std())])(rain))
    assert float(bare.std()) < 0.01
    assert float(first.std()) > 0.9


@torch.no_grad()
def test_temporal_convolutions_look_back_only() -> None:
    x = torch.randn(1, 7, 4)
    later = x.clone()
    later[:, 4:] += 1
    causal, same = TemporalConvolutions(4, 6).eval(), TemporalConvolutions(4, 6, padding="same").eval()
    assert largest_difference(causal(x)[:, :4], causal(later)[:, :4]) < 1e-6
    assert largest_difference(same(x)[:, :4], same(later)[:, :4]) > 1e-4


@torch.no_grad()
def test_last_month_hears_of_all_seven() -> None:
    network, x = TemporalConvolutions(4, 6).eval(), torch.randn(1, 7, 4)
    for month in range(7):
        changed = x.clone()
        changed[:, month] += 10
        assert largest_difference(network(x)[:, 6], network(changed)[:, 6]) > 1e-6


@torch.no_grad()
def test_attention_is_torchs_own() -> None:
    attention, x = SelfAttention(8), torch.randn(3, 7, 8)
    reference = torch.nn.MultiheadAttention(8, 4, batch_first=True)
    assert reference.in_proj_weight is not None
    reference.in_proj_weight.copy_(attention.queries_keys_values.weight)
    reference.in_proj_bias.copy_(attention.queries_keys_values.bias)
    reference.out_proj.load_state_dict(attention.out.state_dict())
    assert largest_difference(attention(x), reference(x, x, x, need_weights=False)[0]) < 1e-6


@torch.no_grad()
def test_token_is_a_weighted_sum_of_channels() -> None:
    x = torch.ones(2, 7, 8)
    assert largest_difference(ChannelPooling(8)(x), torch.ones(2, 7, 1)) < 1e-6
    assert ChannelPooling(8, "vector")(x).shape == (2, 1, 8)


@torch.no_grad()
def test_groups_hear_of_each_other_by_their_tokens() -> None:
    fusion = GroupedFusion(2, 8).eval()
    assert fusion.gate is not None
    fusion.gate.weight.zero_()
    fusion.gate.bias.copy_(torch.cat([torch.full((8,), 30.0), torch.zeros(8)]))  # the first group alone gets through
    groups = [torch.randn(1, 7, 8), torch.randn(1, 7, 8)]
    louder = [groups[0], groups[1] * 3]
    assert largest_difference(fusion(groups), fusion(louder)) > 1e-3
    fusion.exchange[0, 1] = 0
    assert largest_difference(fusion(groups), fusion(louder)) < 1e-6


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ValueError, match="leave empty ones out"):
        NetworkSettings(group_sizes=(5, 0, 2))
    with pytest.raises(ValueError, match="multiple of 4"):
        _network(width=30)
    with pytest.raises(ValueError, match="fit them to its rows"):
        APYieldNet(NetworkSettings(), Scales([0.0], [1.0]))
    with pytest.raises(ValueError, match="one of each a channel"):
        Standardise([0.0], [])
