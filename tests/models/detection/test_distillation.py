"""What a student learns from a teacher beside the labels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from ultralytics.cfg import get_cfg

from models.detection.distillation import Distillation, _distance
from models.detection.yolo_a import YoloA
from models.detection.yolo_a_light import YoloALight
from tests.models.networks import stir


def raw(scores: Tensor, boxes: Tensor) -> dict[str, Any]:
    return {"scores": scores, "boxes": boxes}


def batch() -> dict[str, Any]:
    return {
        "img": torch.rand(2, 3, 64, 64),
        "batch_idx": torch.tensor([0.0, 1.0]),
        "cls": torch.tensor([[0.0], [1.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.3, 0.3], [0.4, 0.6, 0.2, 0.2]]),
    }


def test_a_student_that_says_what_its_teacher_says_has_no_side_distance_and_the_least_class_distance() -> None:
    scores, boxes = torch.randn(2, 2, 10), torch.randn(2, 64, 10)
    least, sides = _distance(raw(scores.clone().requires_grad_(), boxes), raw(scores, boxes))
    assert float(sides) == pytest.approx(0, abs=1e-6)
    for step in (-0.5, 0.5):
        assert _distance(raw(scores + step, boxes), raw(scores, boxes))[0] > least
    away = _distance(raw(scores, boxes + torch.randn_like(boxes)), raw(scores, boxes))[1]
    assert away > 0.01


def test_sides_are_taught_only_where_the_teacher_sees_something() -> None:
    scores, boxes = torch.full((1, 2, 6), -9.0), torch.randn(1, 64, 6)
    scores[0, 0, 2] = 3.0
    wrong = boxes.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        _distance(raw(scores, wrong + 1.0 * torch.randn(64)[:, None]), raw(scores, boxes))[1], wrong
    )
    assert gradient.abs().sum((0, 1)).nonzero().flatten().tolist() == [2]


def test_a_student_with_fewer_levels_learns_from_the_ones_it_has() -> None:
    scores, boxes = torch.randn(1, 2, 10), torch.randn(1, 64, 10)
    fewer = raw(scores[..., :8], boxes[..., :8])
    assert float(_distance(fewer, raw(scores, boxes))[1]) == pytest.approx(0, abs=1e-6)


def test_it_adds_to_the_labels_loss_in_training_alone() -> None:
    torch.manual_seed(0)
    student, teacher = YoloALight(), stir(YoloA(2))
    student.args = get_cfg()
    labels = student.init_criterion()
    content = batch()
    predicted = student.train()(content["img"])
    alone, _ = labels(predicted, content)
    both, _ = Distillation(labels, teacher)(predicted, content)
    half, _ = Distillation(labels, teacher, share=0.5)(predicted, content)
    assert torch.equal(both[0], alone[0])  # boxes: labels only
    assert both[1] > alone[1]
    assert both[2] >= alone[2]  # an untrained teacher is sure of nothing
    assert torch.allclose(half - alone, (both - alone) / 2, rtol=1e-3)
    with torch.no_grad():
        decoded = student.eval()(content["img"])
        assert torch.equal(Distillation(labels, teacher)(decoded, content)[0], labels(decoded, content)[0])


def test_the_teacher_learns_nothing() -> None:
    student, teacher = YoloALight(), YoloA(2)
    student.args = get_cfg()
    content = batch()
    loss, _ = Distillation(student.init_criterion(), teacher)(student.train()(content["img"]), content)
    torch.autograd.backward(loss.sum())
    assert all(value.grad is None for value in teacher.parameters())
    assert not teacher.training
