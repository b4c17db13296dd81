"""What counts in a loss and what does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.yields.pixels.losses import LossSettings, PointLabels, density_weights, dice_loss, loss_terms, yield_loss
from models.yields.pixels.network import Maps, NetworkSettings, YieldMapNetwork

UNLABELLED = 3


def _points(*rows: tuple[int, int, int, float, float]) -> PointLabels:
    columns = list(zip(*rows, strict=True)) or [(), (), (), (), ()]
    whole = (torch.tensor(column, dtype=torch.long) for column in columns[:3])
    return PointLabels(*whole, *(torch.tensor(column) for column in columns[3:]))


def test_yields_count_at_their_points_alone() -> None:
    said = torch.zeros(2, 4, 4)
    said[1, 2, 3] = 0.5
    points = _points((1, 2, 3, 0.7, 1.0), (0, 0, 0, 0.4, 1.0))
    assert float(yield_loss(said, None, points)) == pytest.approx((0.2**2 + 0.4**2) / 2)
    said[0, 1:, 1:] = 9.0
    assert float(yield_loss(said, None, points)) == pytest.approx((0.2**2 + 0.4**2) / 2)


def test_two_points_in_one_pixel_are_two_points_and_weights_weigh() -> None:
    points = _points((0, 1, 1, 1.0, 3.0), (0, 1, 1, 0.0, 1.0))
    assert float(yield_loss(torch.full((1, 2, 2), 0.5), None, points)) == pytest.approx(0.25)
    assert float(yield_loss(torch.full((1, 2, 2), 1.0), None, points)) == pytest.approx(0.25)
    assert float(yield_loss(torch.full((1, 2, 2), 0.0), None, points)) == pytest.approx(0.75)


def test_the_best_variance_is_the_squared_error() -> None:
    points = _points((0, 0, 0, 0.5, 1.0))
    log_variance = torch.tensor([[[-9.0]]], requires_grad=True)
    for _ in range(3000):
        (slope,) = torch.autograd.grad(yield_loss(torch.tensor([[[0.2]]]), log_variance, points), log_variance)
        log_variance = (log_variance - 0.5 * slope).detach().requires_grad_()
    assert float(log_variance.detach().exp()) == pytest.approx(0.3**2, rel=0.01)


def test_a_batch_without_any_label_trains() -> None:
    network = YieldMapNetwork(NetworkSettings(encoder="small", bands=3, classes=4, width=8))
    clear = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    maps = network(torch.randn(2, 1, 3, 8, 8), clear, torch.zeros(2, 1))
    terms = loss_terms(maps, _points(), torch.full((2, 8, 8), UNLABELLED), LossSettings(entropy=1.0))
    assert [float(term.detach()) for term in (terms.yields, terms.crops, terms.entropy)] == [0, 0, 0]
    assert float(terms.consistency.detach()) > 0
    terms.total(LossSettings()).backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def _crops() -> tuple[Tensor, Tensor]:
    crops = torch.randint(0, UNLABELLED + 1, (2, 6, 6), generator=torch.Generator().manual_seed(1))
    return torch.randn(2, UNLABELLED + 1, 6, 6), crops


def test_unlabelled_pixels_change_no_loss() -> None:
    logits, crops = _crops()
    other = torch.where((crops == UNLABELLED)[:, None], torch.randn_like(logits), logits)
    maps = [Maps(None, None, values.requires_grad_(), ()) for values in (logits, other)]
    one, another = (loss_terms(said, _points(), crops, LossSettings(entropy=1.0)) for said in maps)
    torch.testing.assert_close(torch.stack(one), torch.stack(another))
    (slope,) = torch.autograd.grad(one.crops + one.entropy, logits)
    assert (slope.movedim(1, -1)[crops == UNLABELLED] == 0).all()


def test_a_perfect_map_has_no_dice_loss_and_a_wrong_one_all_of_it() -> None:
    _, crops = _crops()
    perfect = 50.0 * torch.nn.functional.one_hot(crops, UNLABELLED + 1).permute(0, 3, 1, 2)
    assert float(dice_loss(perfect, crops)) == pytest.approx(0, abs=1e-6)
    wrong = perfect[:, [1, 2, 0, 3]]
    assert float(dice_loss(wrong, crops)) == pytest.approx(1, abs=1e-6)


def test_classes_that_are_not_in_the_batch_are_not_averaged_over() -> None:
    crops = torch.zeros(1, 4, 4, dtype=torch.long)
    logits = torch.full((1, 4, 4, 4), -50.0)
    logits[:, 0] = 50.0
    assert float(dice_loss(logits, crops)) == pytest.approx(0, abs=1e-6)


def test_dice_by_hand() -> None:
    # half of the pixels said with certainty: overlap 2, sizes 2 and 4
    crops = torch.zeros(1, 2, 2, dtype=torch.long)
    logits = torch.full((1, 3, 2, 2), -50.0)
    logits[0, 0, 0], logits[0, 1, 1] = 50.0, 50.0
    assert float(dice_loss(logits, crops)) == pytest.approx(1 - 2 * 2 / (2 + 4), abs=1e-6)


def test_the_papers_weights() -> None:
    terms = loss_terms(Maps(None, None, None, ()), _points(), torch.zeros(1, 2, 2), LossSettings())
    ones = type(terms)(*(torch.ones(()),) * 4)
    assert float(ones.total(LossSettings())) == pytest.approx(5 + 1 + 0.1)


def test_rare_yields_weigh_more_and_all_weigh_one_on_average() -> None:
    yields = torch.cat([torch.full((90,), 0.8), torch.full((10,), 0.1)])
    weights = density_weights(yields)
    assert float(weights.mean()) == pytest.approx(1)
    assert float(weights[-1] / weights[0]) == pytest.approx(3, rel=1e-3)
    assert (density_weights(torch.full((5,), 0.3)) == 1).all()
