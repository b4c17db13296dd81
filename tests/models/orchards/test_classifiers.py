"""The five classifiers."""

from __future__ import annotations

import numpy as np
import pytest

from models.maps.errors import MapError
from models.orchards.classifiers import CLASSIFIERS, Fitted, fit

_RNG = np.random.default_rng(4)
_ORCHARD = np.tile([True, False], 150)
_BLOCKS = np.repeat(np.arange(30), 10)
_FEATURES = (_RNG.normal(0, 1, (300, 4)) + np.where(_ORCHARD, 1.2, 0)[:, None] * [1, 1, 0, 0]).astype(np.float32)


@pytest.fixture(scope="module", params=CLASSIFIERS)
def fitted(request: pytest.FixtureRequest) -> Fitted:
    return fit(request.param, _FEATURES[:200], _ORCHARD[:200], _BLOCKS[:200])


def test_each_learns_and_says_how_sure_it_is(fitted: Fitted) -> None:
    probability = fitted.orchard_probability(_FEATURES[200:])
    assert ((probability >= 0) & (probability <= 1)).all()
    assert ((probability >= 0.5) == _ORCHARD[200:]).mean() > 0.68
    assert fitted.chosen.keys() == {key.partition("__")[2] for key in CLASSIFIERS[fitted.name].grid}


def test_a_forest_is_the_mean_of_its_trees() -> None:
    forest = fit("random-forest", _FEATURES[:60], _ORCHARD[:60], _BLOCKS[:60])
    own = forest.estimator.predict_proba(_FEATURES)[:, 1]
    np.testing.assert_allclose(forest.orchard_probability(_FEATURES), own, atol=1e-12)


def test_a_pixel_is_judged_alike_whatever_is_beside_it(fitted: Fitted) -> None:
    """To the last bit: a map may not depend on how it was cut into tiles."""
    together = fitted.orchard_probability(_FEATURES)
    for start, stop in ((0, 1), (1, 8), (8, 139), (139, 300)):
        assert (fitted.orchard_probability(np.ascontiguousarray(_FEATURES[start:stop])) == together[start:stop]).all()


def test_the_same_points_make_the_same_classifier(fitted: Fitted) -> None:
    again = fit(fitted.name, _FEATURES[:200], _ORCHARD[:200], _BLOCKS[:200])
    assert again.chosen == fitted.chosen
    assert (again.orchard_probability(_FEATURES) == fitted.orchard_probability(_FEATURES)).all()


def test_what_is_missing_is_filled_from_training_points() -> None:
    features = _FEATURES.copy()
    features[::7, 1] = np.nan
    fitted = fit("svm", features, _ORCHARD, _BLOCKS)
    median = np.nanmedian(features[:, 1])
    asked, filled = _FEATURES[:5].copy(), _FEATURES[:5].copy()
    asked[:, 1], filled[:, 1] = np.nan, median
    np.testing.assert_array_equal(fitted.orchard_probability(asked), fitted.orchard_probability(filled))


def test_an_unknown_classifier_is_refused() -> None:
    with pytest.raises(MapError, match="there is no classifier 'forest'"):
        fit("forest", _FEATURES, _ORCHARD, _BLOCKS)
