"""The shared network, its attention and its heads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from models.crops.lstm_mtl import ANYWHERE, AtBiLSTM, LstmMtl, OneRegion
from models.crops.onnx_file import Eats, ask, export, open_session
from models.crops.pixel_networks import Scales
from models.crops.region_training import sum_of_regions
from models.crops.series import CropError

RADAR = Scales((-12.0, -19.0), (3.0, 3.0))


def _network(regions: int = 3, width: int = 8) -> LstmMtl:
    torch.manual_seed(0)
    return LstmMtl(RADAR, regions, width=width).eval()


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def series() -> Tensor:
    return -15 + 4 * torch.randn(6, 16, 2, generator=torch.Generator().manual_seed(1))


def test_the_papers_network_has_its_parameters() -> None:
    network = LstmMtl(RADAR, regions=4)
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in network.shared.named_children()}
    assert count == {"bands": 0, "lstm": 530_432, "score": 257}
    assert sum(p.numel() for p in network.heads.parameters()) == 4 * 514
    assert sum(p.numel() for p in network.parameters()) == 532_745


def test_attention_sums_to_one_and_without_weights_is_the_mean(series: Tensor) -> None:
    shared = AtBiLSTM(RADAR, 8).eval()
    shared.score.weight *= 20
    _, weight = shared.attended(series)
    assert_close(weight.sum(1), torch.ones(6))
    assert weight.std() > 0
    torch.nn.init.zeros_(shared.score.weight)
    found, weight = shared.attended(series)
    assert_close(weight, torch.full((6, 16), 1 / 16))
    assert_close(found, shared.lstm(shared.bands(series))[0].mean(1))


def test_steps_with_negative_scores_weigh_alike(series: Tensor) -> None:
    shared = AtBiLSTM(RADAR, 8).eval()
    states = shared.lstm(shared.bands(series))[0]
    shared.score.bias.sub_(shared.score(states).median())
    negative = shared.score(states)[..., 0] < 0
    assert 0.4 < negative.float().mean() < 0.6
    for weight, low in zip(shared.attended(series)[1], negative, strict=True):
        assert weight[low].unique().numel() <= 1
        assert (weight[~low].min() if (~low).any() else 1) >= weight.min()


def test_what_stands_after_a_series_end_has_no_effect(series: Tensor) -> None:
    network, region = _network(), torch.tensor([0, 1, 2, 0, 1, 2])
    lengths = torch.tensor([16, 1, 5, 9, 12, 3])
    rubbish = torch.where(torch.arange(16)[None, :, None] < lengths[:, None, None], series, 1e6)
    padded = network(series, region, lengths)
    assert torch.equal(padded, network(rubbish, region, lengths))
    for i, length in enumerate(lengths.tolist()):
        alone = network(series[i : i + 1, :length], region[i : i + 1])
        assert_close(padded[i : i + 1], alone)
    _, weight = network.shared.attended(rubbish, lengths)
    assert weight[1, 1:].sum() == 0
    assert_close(weight.sum(1), torch.ones(6))


def _is_there(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.any())


def test_a_regions_loss_moves_its_own_head_and_the_shared_network_only(series: Tensor) -> None:
    network = _network()
    with torch.enable_grad():
        loss = network.heads_of([series[:2], series[2:4], series[4:]])[1].logsumexp(1).sum()
        gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    names = dict(network.named_parameters())
    moved = {name for name, each in zip(names, gradients, strict=True) if _is_there(each)}
    assert {name for name in moved if name.startswith("heads")} == {"heads.1.weight", "heads.1.bias"}
    assert {name for name in names if name.startswith("shared.lstm")} <= moved


def test_the_loss_is_the_plain_sum_over_the_regions() -> None:
    logits = [torch.randn(number, 2) for number in (3, 5, 7, 9)]
    label = [torch.randint(2, (len(each),)) for each in logits]
    ones = [torch.ones(len(each)) for each in logits]
    each = [torch.nn.functional.cross_entropy(a, b) for a, b in zip(logits, label, strict=True)]
    assert float(sum_of_regions(logits, label, ones)) == pytest.approx(float(sum(each)))


def test_training_and_mapping_use_the_same_heads(series: Tensor) -> None:
    network, region = _network(), torch.tensor([0, 0, 1, 1, 2, 2])
    apart = torch.cat(network.heads_of([series[:2], series[2:4], series[4:]]))
    assert_close(network(series, region), apart)
    for index in range(3):
        assert_close(OneRegion(network, index)(series[2 * index :][:2]), apart[2 * index :][:2])


def test_outside_all_regions_the_heads_probabilities_are_averaged(series: Tensor) -> None:
    network = _network()
    features = network.shared(series)
    mean = torch.stack([torch.softmax(head(features), 1) for head in network.heads]).mean(0)
    for found in (network(series, torch.full((6,), ANYWHERE)), OneRegion(network, ANYWHERE)(series)):
        assert_close(torch.softmax(found, 1), mean)
        assert_close(found.exp(), mean)


def test_a_region_that_is_not_there_is_refused() -> None:
    with pytest.raises(CropError, match="no region 3; the network has 3"):
        OneRegion(_network(), 3)


@pytest.mark.parametrize("region", [0, 2, ANYWHERE])
def test_the_onnx_file_computes_the_same(series: Tensor, region: int, tmp_path: Path) -> None:
    network = OneRegion(_network(width=128), region).eval()
    steps = tuple(f"{step:02d}" for step in range(16))
    assert export(network, Eats(("VV", "VH"), steps, ("rice", "other")), tmp_path / "model.onnx") <= 1e-5
    expected = torch.softmax(network(series), 1).numpy()
    assert np.abs(ask(open_session(tmp_path / "model.onnx", 1), series.numpy()) - expected).max() <= 1e-5
