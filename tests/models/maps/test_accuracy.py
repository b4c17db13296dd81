"""Accuracy by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.maps.accuracy import confusion, scores


def test_figures_of_a_table_by_hand() -> None:
    """20 and 15 of 50 right: 0.7 observed, 0.5 by chance, kappa 0.4."""
    found = scores(np.array([[20, 5], [10, 15]]))
    assert found["overall"] == pytest.approx(0.7)
    assert found["kappa"] == pytest.approx(0.4)
    assert found["users"] == pytest.approx([20 / 25, 15 / 25])  # of what is mapped
    assert found["producers"] == pytest.approx([20 / 30, 15 / 20])  # of what is there
    assert found["f1"] == pytest.approx([40 / 55, 30 / 45])
    assert found["iou"] == pytest.approx([20 / 35, 15 / 30])


def test_rows_are_the_map_and_columns_what_is_there() -> None:
    matrix = confusion(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 2]), 3)
    assert matrix.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_a_class_that_is_nowhere_has_no_figures() -> None:
    found = scores(np.array([[3, 0], [0, 0]]))
    assert found["overall"] == 1
    assert np.isnan(found["f1"][1])
    assert np.isnan(found["kappa"])


def test_many_tables_at_once() -> None:
    tables = np.random.default_rng(0).integers(1, 9, (4, 2, 3, 3))
    together = scores(tables)
    assert together["iou"].shape == (4, 2, 3)
    assert together["f1"][1, 1] == pytest.approx(scores(tables[1, 1])["f1"])
