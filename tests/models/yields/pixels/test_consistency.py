"""The block that lets the tasks hear of each other, and its loss."""

from __future__ import annotations

import pytest
import torch

from models.yields.pixels.consistency import Level, Scse, TaskConsistency, consistency_loss


def test_excitation_is_the_sum_of_channel_and_space() -> None:
    scse, features = Scse(32), torch.randn(2, 32, 4, 4)
    weights = dict(scse.named_parameters())
    hidden = features.mean((2, 3)) @ weights["channel.1.weight"][:, :, 0, 0].T + weights["channel.1.bias"]
    channel = hidden.relu() @ weights["channel.3.weight"][:, :, 0, 0].T + weights["channel.3.bias"]
    space = torch.einsum("bchw,c->bhw", features, weights["spatial.0.weight"][0, :, 0, 0]) + weights["spatial.0.bias"]
    expected = features * channel.sigmoid()[:, :, None, None] + features * space.sigmoid()[:, None]
    torch.testing.assert_close(scse(features), expected)


def test_sixteen_channels_are_squeezed_to_one() -> None:
    assert Scse(16).get_parameter("channel.1.weight").shape == (1, 16, 1, 1)
    assert Scse(8).get_parameter("channel.1.weight").shape == (1, 8, 1, 1)


def test_refined_features_less_shared_ones_are_what_a_task_adds() -> None:
    block, yields, crops = TaskConsistency(16), torch.randn(2, 16, 8, 8), torch.randn(2, 16, 8, 8)
    refined_yields, refined_crops, own = block(yields, crops)
    shared = block.shared(block.join(torch.cat([yields, crops], 1)))
    torch.testing.assert_close(own.yields, refined_yields - shared)
    torch.testing.assert_close(own.crops, refined_crops - shared)
    torch.testing.assert_close(own.yields, block.yields(yields))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_is_zero_where_no_task_adds_anything_and_only_there(reduction: str) -> None:
    nothing, something = torch.zeros(2, 16, 4, 4), torch.zeros(2, 16, 4, 4)
    something[0, 3, 1, 1] = 0.5
    assert consistency_loss([Level(nothing, nothing)] * 5, reduction) == 0  # type: ignore[arg-type]
    for level in (Level(nothing, something), Level(something, nothing)):
        assert consistency_loss([Level(nothing, nothing), level], reduction) > 0  # type: ignore[arg-type]


def test_the_sum_is_as_printed_and_the_mean_is_of_each_level() -> None:
    small, large = torch.full((1, 2, 2, 2), 2.0), torch.full((1, 2, 8, 8), 3.0)
    levels = [Level(small, small), Level(large, large)]
    assert consistency_loss(levels, "sum") == 2 * (4 * 8 + 9 * 128)
    assert consistency_loss(levels, "mean") == 2 * (4 + 9)
