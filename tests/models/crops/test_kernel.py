"""Kernel logistic regression as a module."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.crops.kernel import fit_kernel
from models.crops.pixel_networks import predict_logits, probabilities
from models.crops.series import PixelSeries
from tests.models.crops.drawn_series import drawn


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_scikit_learns_with_all_pixels_as_centres(classes: int) -> None:
    pixels, other = drawn(120, classes), drawn(60, classes, seed=5)
    flat = pixels.values.reshape(len(pixels), -1)
    theirs = make_pipeline(
        StandardScaler(),
        Nystroem(gamma=1 / flat.shape[1], n_components=len(pixels), random_state=0),
        LogisticRegression(C=30, max_iter=1000),
    ).fit(flat, pixels.label)
    found = probabilities(predict_logits(fit_kernel(pixels, 0), other.values))
    np.testing.assert_allclose(found, theirs.predict_proba(other.values.reshape(len(other), -1)), atol=2e-3)


def test_it_learns_with_few_centres_of_every_class() -> None:
    pixels, other = drawn(600), drawn(seed=9)
    machine = fit_kernel(pixels, 0, most=30)
    assert machine.centres.shape == (30, 12)
    assert (predict_logits(machine, other.values).argmax(1) == other.label).mean() > 0.95


def test_a_class_it_never_saw_is_never_said(pixels: PixelSeries) -> None:
    without = pixels.take(pixels.label != 1)
    for some in (without, replace(without, legend=(*pixels.legend, "crop 3"))):
        logits = predict_logits(fit_kernel(some, 0), pixels.values)
        assert logits.shape == (len(pixels), some.classes)
        assert set(logits.argmax(1)) == {0, 2}
