"""The two-dimensional selective scan, held against its definition written out step by step."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.detection import ss2d
from models.detection.recurrence import linear_recurrence
from models.detection.ss2d import SS2D, ChannelLayerNorm
from tests.models.networks import largest_difference


def _forwards(u: Tensor, direction: int) -> Tensor:
    """The sequence a direction reads: rows, columns, and both from the end."""
    sequence = (u.transpose(2, 3) if direction % 2 else u).flatten(2)
    return sequence.flip(-1) if direction >= 2 else sequence


def _back(sequence: Tensor, direction: int, height: int, width: int) -> Tensor:
    sequence = sequence.flip(-1) if direction >= 2 else sequence
    if direction % 2:
        return sequence.reshape(*sequence.shape[:2], width, height).transpose(2, 3)
    return sequence.reshape(*sequence.shape[:2], height, width)


def _by_definition(layer: SS2D, x: Tensor) -> Tensor:
    rank, states = layer.rank, layer.state_size
    u = F.silu(layer.dwconv(layer.in_proj(x)))
    merged = torch.zeros_like(u)
    for k in range(4):
        sequence = _forwards(u, k)
        step, b_in, c_out = torch.split(layer.x_proj_weight[k] @ sequence, [rank, states, states], dim=1)
        delta = F.softplus(layer.dt_proj_weight[k] @ step + layer.dt_proj_bias[k][:, None])
        a = -torch.exp(layer.A_log[k])
        state = torch.zeros(*u.shape[:2], states, dtype=x.dtype)
        outputs = []
        for t in range(sequence.shape[-1]):
            decay = torch.exp(delta[:, :, t, None] * a)
            state = decay * state + delta[:, :, t, None] * b_in[:, None, :, t] * sequence[:, :, t, None]
            outputs.append((state * c_out[:, None, :, t]).sum(-1) + layer.D_skip[k] * sequence[:, :, t])
        merged = merged + _back(torch.stack(outputs, -1), k, *u.shape[2:])
    centred = merged - merged.mean(1, keepdim=True)
    normalised = centred / torch.sqrt(centred.square().mean(1, keepdim=True) + 1e-5)
    out: Tensor = layer.out_proj(normalised * layer.norm.weight[:, None, None] + layer.norm.bias[:, None, None])
    return out


def _lively(channels: int = 8, state_size: int = 1) -> SS2D:
    """A layer in which each direction, state and bias matters."""
    layer = SS2D(channels, state_size=state_size)
    with torch.no_grad():
        layer.dt_proj_bias.uniform_(-2, 1)
        layer.D_skip.normal_()
        layer.x_proj_weight.mul_(4)
        layer.norm.weight.uniform_(0.5, 1.5)
        layer.norm.bias.normal_()
    return layer


@torch.no_grad()
def _only_direction(layer: SS2D, direction: int) -> None:
    """Silence the other directions and the skip connections."""
    layer.D_skip.zero_()
    for k in range(4):
        if k != direction:
            layer.x_proj_weight[k, -layer.state_size :] = 0  # C


@pytest.mark.parametrize("state_size", [1, 3])
@pytest.mark.parametrize("size", [(5, 7), (6, 4), (1, 9), (4, 4)])
@pytest.mark.parametrize("export", [False, True], ids=["training form", "export form"])
@torch.no_grad()
def test_both_forms_compute_the_definition(export: bool, size: tuple[int, int], state_size: int) -> None:
    layer, x = _lively(state_size=state_size), torch.randn(2, 8, *size)
    expected = _by_definition(layer, x)
    layer.export = export
    assert layer(x).shape == x.shape
    assert largest_difference(layer(x), expected) < 1e-5


def test_both_forms_have_the_same_gradients() -> None:
    layer, x = _lively(), torch.randn(2, 8, 4, 6)

    def gradients(export: bool) -> list[Tensor]:
        layer.export = export
        return list(torch.autograd.grad(layer(x).square().sum(), list(layer.parameters())))

    for name, ours, theirs in zip(dict(layer.named_parameters()), gradients(False), gradients(True), strict=True):
        assert ours.abs().max() > 0, name
        assert largest_difference(ours, theirs) <= 1e-4 * float(theirs.abs().max()), name


@torch.no_grad()
def test_scanning_and_merging_alone_give_the_map_four_times() -> None:
    layer, u = SS2D(4), torch.randn(2, 8, 3, 5)
    layer.x_proj_weight.zero_()  # B = C = 0: only the skip connections of the four directions are left
    assert largest_difference(layer._scan(u), 4 * u) < 1e-6


@pytest.mark.parametrize(("direction", "order"), [(0, "rows"), (1, "columns"), (2, "rows"), (3, "columns")])
@torch.no_grad()
def test_each_direction_is_causal_in_its_own_order(direction: int, order: str) -> None:
    layer = _lively()
    _only_direction(layer, direction)
    u = torch.randn(1, 16, 4, 6)
    changed = u.clone()
    changed[:, :, 2, 3] += 1
    difference = (layer._scan(changed) - layer._scan(u)).abs().amax(1)[0]
    place = torch.arange(24).reshape(4, 6) if order == "rows" else torch.arange(24).reshape(6, 4).T
    if direction >= 2:
        place = 23 - place
    before, after = place < place[2, 3], place > place[2, 3]
    assert not difference[before].any()
    assert (difference[after] > 0).all()


@torch.no_grad()
def test_a_state_that_forgets_at_once_makes_each_position_depend_on_itself_only() -> None:
    layer = _lively()
    layer.A_log.fill_(20.0)
    u = torch.randn(1, 16, 4, 6)
    changed = u.clone()
    changed[:, :, 2, 3] += 1
    difference = (layer._scan(changed) - layer._scan(u)).abs().amax((0, 1))
    assert difference[2, 3] > 0
    difference[2, 3] = 0
    assert difference.max() == 0
    constant = layer._scan(torch.ones(1, 16, 4, 6))
    assert largest_difference(constant, constant[:, :, :1, :1].expand_as(constant)) < 1e-6


def test_the_scan_stays_in_single_precision_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []

    def spy(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
        seen.extend((a.dtype, b.dtype))
        return linear_recurrence(a, b, reverse)

    monkeypatch.setattr(ss2d, "linear_recurrence", spy)
    with torch.autocast("cpu", torch.bfloat16):
        SS2D(8)(torch.randn(1, 8, 4, 4))
    assert seen == [torch.float32] * 4


@pytest.mark.parametrize(
    ("channels", "ratio", "state_size"), [(64, 2, 1), (16, 1, 1), (40, 2, 4)], ids=["published", "narrow", "states"]
)
def test_parameters_follow_the_formula(channels: int, ratio: int, state_size: int) -> None:
    c, n = channels, state_size
    d, r = ratio * c, -(-c // 16)
    formula = 2 * c * d + 9 * d + 4 * d * (r + 2 * n) + 4 * d * r + 4 * d + 4 * d * n + 4 * d + 2 * d
    assert sum(p.numel() for p in SS2D(channels, ratio, state_size).parameters()) == formula
    if (channels, ratio, state_size) == (64, 2, 1):
        assert formula == 24_448


@torch.no_grad()
def test_initial_values_are_those_of_vmamba() -> None:
    layer = SS2D(32, state_size=3)
    delta = F.softplus(layer.dt_proj_bias)
    assert 1e-3 * 0.999 <= float(delta.min()) < 3e-3
    assert 0.03 < float(delta.max()) <= 0.1 * 1.001
    assert torch.allclose(-torch.exp(layer.A_log), torch.tensor([-1.0, -2.0, -3.0]).expand(4, 64, 3))
    assert torch.equal(layer.D_skip, torch.ones(4, 64))
    assert layer.rank == 2
    assert 0.6 < float(layer.dt_proj_weight.abs().max()) <= 2**-0.5


def test_values_that_regularisation_would_distort_are_named() -> None:
    layer = SS2D(8)
    named = {id(p) for part in (layer, layer.norm) for p in part.no_weight_decay()}
    assert {name for name, p in layer.named_parameters() if id(p) in named} == {
        "A_log",
        "D_skip",
        "dt_proj_bias",
        "norm.weight",
    }


@torch.no_grad()
def test_channel_norm_normalises_each_position_over_its_channels() -> None:
    norm, x = ChannelLayerNorm(16), 3 * torch.randn(2, 16, 3, 5) + 1
    out = norm(x)
    assert float(out.mean(1).abs().max()) < 1e-6
    assert torch.allclose(out.var(1, unbiased=False), torch.ones(2, 3, 5), atol=1e-4)
    norm.weight.fill_(2.0)
    norm.bias.fill_(0.5)
    assert largest_difference(norm(x), 2 * out + 0.5) < 1e-6
