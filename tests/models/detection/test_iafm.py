"""IAFM and the two attentions inside it."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detection.iafm import IAFM, SHSA, ConvAttn, PreActivation, channel_shuffle, dihedral_mean
from tests.models.networks import largest_difference, stir

# --- channel shuffle ------------------------------------------------------------------------------------------------


def test_shuffle_in_two_groups_alternates_the_channels_of_both_maps() -> None:
    x = torch.arange(6.0).reshape(1, 6, 1, 1)  # 0 1 2 of the first map, 3 4 5 of the second
    assert channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(("channels", "groups"), [(12, 2), (12, 3), (12, 12), (8, 1)])
def test_shuffle_is_undone_by_the_shuffle_in_the_other_number_of_groups(channels: int, groups: int) -> None:
    x = torch.randn(2, channels, 3, 4)
    assert torch.equal(channel_shuffle(channel_shuffle(x, groups), channels // groups), x)


# --- convolutional attention ----------------------------------------------------------------------------------------


def _attention(channels: int = 10, attended: int = 4) -> tuple[ConvAttn, Tensor]:
    return stir(ConvAttn(channels, attended)).eval(), torch.randn(attended, attended, 5, 5) / 5


@torch.no_grad()
def _expose(module: ConvAttn) -> None:
    """Make the final mixing of channels the identity."""
    module.aggregate.weight.copy_(torch.eye(module.aggregate.out_channels)[:, :, None, None])
    assert isinstance(module.aggregate.bias, Tensor)
    module.aggregate.bias.zero_()


@torch.no_grad()
def test_a_new_network_has_the_static_part_alone() -> None:
    module, static, x = ConvAttn(10, 4), torch.randn(4, 4, 5, 5), torch.randn(2, 10, 6, 7)
    _expose(module)
    assert largest_difference(module(x, static)[:, :4], F.conv2d(x[:, :4], static, padding=2)) < 1e-5


@torch.no_grad()
def test_channels_beyond_the_attended_ones_pass_unchanged() -> None:
    (module, static), x = _attention(), torch.randn(2, 10, 6, 7)
    _expose(module)
    out = module(x, static)
    assert torch.equal(out[:, 4:], x[:, 4:])
    assert largest_difference(out[:, :4], x[:, :4]) > 0.1


@torch.no_grad()
def test_dynamic_part_convolves_each_channel_with_the_kernel_made_from_the_image() -> None:
    (module, _), x = _attention(), torch.randn(1, 10, 5, 6)
    _expose(module)
    head = x[:, :4]
    kernel = module.kernel(F.gelu(module.squeeze(head.mean((2, 3), keepdim=True)))).reshape(4, 3, 3)
    padded = F.pad(head, (1, 1, 1, 1))
    expected = torch.zeros_like(head)
    for channel, y, column in product(range(4), range(5), range(6)):
        window = padded[0, channel, y : y + 3, column : column + 3]
        expected[0, channel, y, column] = (window * kernel[channel]).sum()
    for export in (False, True):
        module.export = export
        out = module(x, torch.zeros(4, 4, 5, 5))
        assert largest_difference(out[:, :4], expected) < 1e-5


@pytest.mark.parametrize("size", [(6, 7), (1, 1), (9, 2)], ids=str)
@torch.no_grad()
def test_shifted_products_are_the_grouped_convolution(size: tuple[int, int]) -> None:
    (module, static), x = _attention(), torch.randn(3, 10, *size)
    expected = module(x, static)
    module.export = True
    assert largest_difference(module(x, static), expected) < 1e-5


@pytest.mark.parametrize("export", [False, True], ids=["training form", "export form"])
@torch.no_grad()
def test_images_of_a_batch_do_not_touch_each_other(export: bool) -> None:
    (module, static), x = _attention(), torch.randn(2, 10, 6, 7)
    module.export = export
    single = torch.cat([module(image[None], static) for image in x])
    assert largest_difference(module(x, static), single) < 1e-5


def _all_turns(kernel: Tensor) -> list[Tensor]:
    return [torch.rot90(side, quarter, (-2, -1)) for side in (kernel, kernel.flip(-1)) for quarter in range(4)]


def test_static_kernel_looks_the_same_from_all_eight_sides() -> None:
    kernel = torch.randn(3, 2, 13, 13)
    mean = dihedral_mean(kernel)
    for turned in _all_turns(mean):
        assert largest_difference(turned, mean) < 1e-6
    assert largest_difference(mean, torch.stack(_all_turns(kernel)).mean(0)) < 1e-6
    assert largest_difference(dihedral_mean(mean), mean) < 1e-6
    assert torch.allclose(mean.sum((2, 3)), kernel.sum((2, 3)), atol=1e-4)


@torch.no_grad()
def test_static_part_turns_with_the_image() -> None:
    module, static = ConvAttn(4, 4), dihedral_mean(torch.randn(4, 4, 5, 5))
    _expose(module)
    x = torch.randn(1, 4, 6, 6)
    for turned, expected in zip(_all_turns(x), _all_turns(module(x, static)), strict=True):
        assert largest_difference(module(turned, static), expected) < 1e-5


# --- single-head self-attention -------------------------------------------------------------------------------------


def _attend_by_definition(module: SHSA, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and attention weights, position by position."""
    head, rest = x[:, : module.partial], x[:, module.partial :]
    q, k, v = torch.split(module.qkv(module.norm(head)).flatten(2), [16, 16, module.partial], dim=1)
    rows = torch.zeros(len(x), q.shape[2], k.shape[2])
    attended = torch.zeros_like(v)
    for image, position in product(range(len(x)), range(q.shape[2])):
        scores = torch.stack([q[image, :, position] @ k[image, :, other] / 4 for other in range(k.shape[2])])
        weights = torch.exp(scores - scores.max())
        rows[image, position] = weights / weights.sum()
        attended[image, :, position] = v[image] @ rows[image, position]
    return module.project(F.relu(torch.cat((attended.reshape(head.shape), rest), 1))), rows


@torch.no_grad()
def test_without_pooling_it_is_the_published_attention() -> None:
    module, x = stir(SHSA(12, 5)).eval(), torch.randn(2, 12, 3, 4)
    expected, rows = _attend_by_definition(module, x)
    assert largest_difference(module(x), expected) < 1e-5
    assert largest_difference(rows.sum(-1), torch.ones(2, 12)) < 1e-6
    assert float(rows.std()) > 1e-3, "the attention is not flat, so that the comparison means something"


@torch.no_grad()
def test_positions_that_change_places_take_their_outputs_with_them() -> None:
    module, x = stir(SHSA(12, 5)).eval(), torch.randn(1, 12, 4, 6)
    order = torch.randperm(24)
    shuffled = x.flatten(2)[:, :, order].reshape(x.shape)
    assert largest_difference(module(shuffled).flatten(2), module(x).flatten(2)[:, :, order]) < 1e-5


@torch.no_grad()
def test_pooling_averages_keys_and_values_but_keeps_every_query() -> None:
    module, x = stir(SHSA(12, 5, kv_pool=2)).eval(), torch.randn(2, 12, 4, 6)
    q, kv = torch.split(module.qkv(module.norm(x[:, :5])), [16, 21], dim=1)
    pooled = kv.reshape(2, 21, 2, 2, 3, 2).mean((3, 5)).flatten(2)
    k, v = torch.split(pooled, [16, 5], dim=1)
    weights = torch.softmax(torch.einsum("bcq,bck->bqk", q.flatten(2), k) / 4, -1)
    attended = torch.einsum("bck,bqk->bcq", v, weights).reshape(2, 5, 4, 6)
    assert largest_difference(module(x), module.project(F.relu(torch.cat((attended, x[:, 5:]), 1)))) < 1e-5


@pytest.mark.parametrize("size", [(5, 7), (3, 2), (1, 1)], ids=str)
@torch.no_grad()
def test_sizes_that_do_not_divide_are_pooled_too(size: tuple[int, int]) -> None:
    module, x = stir(SHSA(12, 5, kv_pool=4)).eval(), torch.randn(1, 12, *size)
    assert module(x).shape == x.shape
    assert torch.isfinite(module(x)).all()


def test_a_new_network_passes_the_residual_alone() -> None:
    module, x = SHSA(12, 5), torch.randn(2, 12, 4, 6)
    assert not module(x).any()
    assert not module.eval()(x).any()


# --- folding --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_folding_a_normalisation_into_its_convolution_keeps_the_function() -> None:
    module, x = stir(PreActivation(6, 9)).eval(), torch.randn(2, 6, 4, 5)
    expected = module(x)
    assert largest_difference(expected, module.conv(module.bn(F.gelu(x)))) == 0
    module.fold()
    assert isinstance(module.bn, nn.Identity)
    assert largest_difference(module(x), expected) < 1e-5
    module.fold()
    assert largest_difference(module(x), expected) < 1e-5, "folding twice is folding once"


def _fusion(kv_pool: int = 1) -> IAFM:
    return stir(IAFM(24, 16, channels=16, middle=20, c_out=12, kv_pool=kv_pool)).eval()


@pytest.mark.parametrize("kv_pool", [1, 2])
@torch.no_grad()
def test_folding_the_fusion_keeps_the_function(kv_pool: int) -> None:
    module, maps = _fusion(kv_pool), [torch.randn(2, 24, 8, 6), torch.randn(2, 16, 8, 6)]
    expected = module(maps)
    assert expected.shape == (2, 12, 8, 6)
    for _ in range(2):
        module.fold()
        assert module.static_is_folded
        assert not any(isinstance(part, nn.BatchNorm2d) for part in (module.fuse_in.bn, module.fuse_out.bn))
        assert largest_difference(module(maps), expected) < 1e-4 * float(expected.abs().max())


@torch.no_grad()
def test_fusion_is_the_published_composition() -> None:
    module, maps = _fusion(), [torch.randn(2, 24, 8, 6), torch.randn(2, 16, 8, 6)]
    static = dihedral_mean(module.static)
    x1 = module.attend_a(module.project_a(maps[0]), static)
    x2 = module.attend_b(maps[1], static)
    t = channel_shuffle(torch.cat((x1, x2), 1), 2)
    assert module.shsa is not None
    mixed = module.mix(t + module.shsa(t))
    x = module.fuse_in.conv(module.fuse_in.bn(F.gelu(torch.cat((x1, x2, mixed, x1 * x2), 1))))
    x = module.fuse_pointwise(module.fuse_depthwise(x))
    expected = module.fuse_out.conv(module.fuse_out.bn(F.gelu(x)))
    assert largest_difference(module(maps), expected) < 1e-5


def test_maps_of_the_common_width_are_not_projected() -> None:
    module = IAFM(16, 24, channels=16, middle=8, c_out=8)
    assert not list(module.project_a.parameters())
    assert list(module.project_b.parameters())


@torch.no_grad()
def test_images_of_a_fused_batch_do_not_touch_each_other() -> None:
    module, maps = _fusion(), [torch.randn(2, 24, 8, 6), torch.randn(2, 16, 8, 6)]
    single = torch.cat([module([m[i : i + 1] for m in maps]) for i in range(2)])
    assert largest_difference(module(maps), single) < 1e-4 * float(single.abs().max())


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [
        ((256, 128, 64, 128, 128, 2), 174_448),
        ((128, 128, 32, 64, 64, 4), 81_392),
        ((64, 128, 64, 128, 128, 2), 157_936),
        ((128, 256, 128, 256, 288, 1), 492_944),
    ],
)
def test_parameters_are_those_of_the_budget(sizes: tuple[int, int, int, int, int, int], parameters: int) -> None:
    assert sum(p.numel() for p in IAFM(*sizes).parameters()) == parameters


def test_the_static_kernel_can_be_smaller_and_the_self_attention_left_out() -> None:
    module = IAFM(24, 16, 16, 32, 40, kv_pool=0, static_kernel=7)
    maps = [torch.randn(2, 24, 8, 6), torch.randn(2, 16, 8, 6)]
    assert module.static.shape == (16, 16, 7, 7)
    assert module.shsa is None
    assert module(maps).shape == (2, 40, 8, 6)


@torch.no_grad()
def test_without_self_attention_the_shuffle_folds_into_the_convolution_behind_it() -> None:
    module = stir(IAFM(24, 16, 16, 32, 40, kv_pool=0, static_kernel=7)).eval()
    maps = [torch.randn(2, 24, 8, 6), torch.randn(2, 16, 8, 6)]
    expected = module(maps)
    for _ in range(2):
        module.fold()
        assert module.shuffle_is_folded
        assert largest_difference(module(maps), expected) < 1e-4 * float(expected.abs().max())
