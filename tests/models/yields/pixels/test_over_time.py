"""Attention over dates: clouds are not asked, order does not count, days do."""

from __future__ import annotations

import torch

from models.yields.pixels.over_time import Stack, TimeAttention


def _series() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    clear = torch.rand(2, 5, 4, 6) < 0.6
    clear[:, 0] = True
    return torch.randn(2, 5, 3, 4, 6), clear, torch.tensor([[70.0, 100, 130, 160, 190], [75, 105, 135, 165, 195]])


def test_what_lies_under_clouds_changes_nothing() -> None:
    attention = TimeAttention(3, 8).eval()
    images, clear, days = _series()
    elsewhere = torch.where(clear[:, :, None], images, torch.full_like(images, 1e3))
    torch.testing.assert_close(attention(images, clear, days), attention(elsewhere, clear, days))
    stack = Stack(mask=True)
    torch.testing.assert_close(stack(images, clear, days), stack(elsewhere, clear, days))


def test_shares_of_the_dates_add_up_to_one() -> None:
    attention = TimeAttention(3, 8)
    hidden, clear = torch.randn(2, 7, 5, 8), torch.rand(2, 7, 5) < 0.5
    weights = attention.weights(hidden, clear)
    torch.testing.assert_close(weights.sum(-2)[clear.any(-1)], torch.ones(int(clear.any(-1).sum()), 4))
    assert (weights[~clear] == 0).all()


def test_a_pixel_that_was_never_seen_is_a_number() -> None:
    attention = TimeAttention(3, 8)
    images, clear, days = _series()
    clear[:, :, 1, 2] = False
    joined = attention(images, clear, days)
    joined.sum().backward()
    assert torch.isfinite(joined).all()
    assert all(torch.isfinite(weight.grad).all() for weight in attention.parameters() if weight.grad is not None)


def test_dates_count_by_their_day_and_not_by_their_place() -> None:
    attention = TimeAttention(3, 8).eval()
    images, clear, days = _series()
    order = torch.tensor([3, 0, 4, 2, 1])
    shuffled = attention(images[:, order], clear[:, order], days[:, order])
    torch.testing.assert_close(shuffled, attention(images, clear, days))
    assert not torch.allclose(attention(images, clear, days + 60), attention(images, clear, days))
