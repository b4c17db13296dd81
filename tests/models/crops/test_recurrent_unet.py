"""The recurrent U-Net's definition, held to what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from models.crops.pixel_networks import Scales
from models.crops.recurrent_unet import NormByDate, RecurrentUNet, time_inverted
from models.crops.series import CropError

VH = Scales((-19.0,), (3.0,))
SMALL = (4, 6, 8)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def network() -> RecurrentUNet:
    torch.manual_seed(0)
    return RecurrentUNet(VH, widths=SMALL).eval()


@pytest.fixture
def series() -> Tensor:
    return -19 + 3 * torch.randn(2, 5, 1, 8, 12, generator=torch.Generator().manual_seed(1))


def test_the_network_has_its_parameters() -> None:
    network = RecurrentUNet(VH)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert parts["encoder"] + parts["carry"] == 1_260_160
    assert sum(parts.values()) == 2_013_953


def test_logits_of_a_date_depend_on_the_dates_up_to_it_only(network: RecurrentUNet, series: Tensor) -> None:
    for known in range(1, 6):
        poisoned = series.clone()
        poisoned[:, known:] = torch.nan
        assert torch.equal(network(poisoned, known), network(series[:, :known]))
        changed = series.clone()
        changed[:, 0] += 1
        assert not torch.equal(network(changed, known), network(series, known))


def test_states_handed_on_give_what_the_whole_series_gives(network: RecurrentUNet, series: Tensor) -> None:
    handed = network.states(series[:, 3:], network.states(series[:, :3]), 3)
    for one, other in zip(handed, network.states(series), strict=True):
        assert_close(one, other)


def test_one_date_is_a_plain_unet(network: RecurrentUNet, series: Tensor) -> None:
    """Written out by hand: no carry is in it."""
    x = (series[:, 0] + 19) / 3
    one = network.encoder.levels[0](x, 0)
    two = network.encoder.levels[1](nn.functional.max_pool2d(one, 2), 0)
    three = network.encoder.levels[2](nn.functional.max_pool2d(two, 2), 0)
    up = network.decoder.levels[0](torch.cat([network.decoder.up[0](three), two], 1), 0)
    up = network.decoder.levels[1](torch.cat([network.decoder.up[1](up), one], 1), 0)
    expected = network.decoder.out(up)
    assert_close(network(series[:, :1]), expected)
    for p in network.carry.parameters():
        p.fill_(7)
    assert_close(network(series[:, :1]), expected)


def test_without_a_carry_the_last_date_is_all_there_is(network: RecurrentUNet, series: Tensor) -> None:
    for p in network.carry.parameters():
        p.zero_()
    assert_close(network(series), network(series[:, -1:]))


def test_half_of_a_state_is_carried_at_first(network: RecurrentUNet, series: Tensor) -> None:
    before, alone = network.states(series[:, :1]), network.states(series[:, 1:2])
    for level, both in enumerate(network.states(series[:, :2])):
        assert_close(both, alone[level] + 0.5 * before[level])


def test_carries_are_kept_from_growing_without_end(network: RecurrentUNet) -> None:
    weights = [p for name, p in network.carry.named_parameters() if name.endswith("weight")]
    weights[0].fill_(3)
    kept = weights[1].clone()
    network.carry.clip()
    assert float(torch.linalg.matrix_norm(weights[0][..., 0, 0], 2)) == pytest.approx(1)
    assert torch.equal(weights[1], kept)


def test_it_maps_each_date_with_the_statistics_it_was_trained_with(series: Tensor) -> None:
    """Dates differ in level; statistics of all dates mixed would shift every one of them."""
    torch.manual_seed(0)
    network = RecurrentUNet(VH, widths=SMALL)
    drifting = series + 3 * torch.arange(5.0).reshape(1, 5, 1, 1, 1)
    for _ in range(60):
        for known in range(1, 6):
            network.train()(drifting, known)
    for known in range(1, 6):
        trained = network.train()(drifting, known)
        assert_close(network.eval()(drifting, known), trained, atol=0.1, rtol=0)


def test_a_date_leaves_the_statistics_of_others_alone(series: Tensor) -> None:
    torch.manual_seed(0)
    network = RecurrentUNet(VH, widths=SMALL, dates=4).train()
    network(series, 3)
    of_encoder, of_decoder = _means(network.encoder), _means(network.decoder)
    assert of_encoder == [True, True, True, False]
    assert of_decoder == [False, False, True, False]
    network(series)  # a fifth date takes the fourth's
    assert _means(network.decoder) == [False, False, True, True]


def _means(part: nn.Module) -> list[bool]:
    """Whether the first mean of each date is no longer what it starts as."""
    norm = next(each for each in part.modules() if isinstance(each, NormByDate))
    return [bool(row.any()) for row in norm.running_mean]


def test_patches_that_cannot_be_halved_are_refused(network: RecurrentUNet) -> None:
    with pytest.raises(CropError, match="patches of 8 x 10 px cannot be halved 2 times; take multiples of 4"):
        network(torch.zeros(1, 2, 1, 8, 10))
    with pytest.raises(CropError, match="without dates"):
        network(torch.zeros(1, 0, 1, 8, 8))


def test_dates_to_come_are_those_that_were_in_reverse() -> None:
    series = torch.arange(1, 9).float().reshape(1, 8, 1, 1, 1)
    assert time_inverted(series, 3, 8).flatten().tolist() == [1, 2, 3, 2, 1, 2, 3, 2]
    assert time_inverted(series, 1, 3).flatten().tolist() == [1, 1, 1]
    assert time_inverted(series, 8, 8).flatten().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
