"""The five classifiers of the paper's Table 7, from scikit-learn; settings are chosen on training points alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from models.maps.errors import MapError
from models.orchards.blocks import Split, split

_INNER_FOLDS = 3
# settings are chosen on no more points than this: their order is plain long before, and an SVM's time grows as n²
_TUNING_POINTS = 2000
# the order of a forest's settings shows with fewer trees
_WHILE_TUNING: dict[str, dict[str, Any]] = {"random-forest": {"randomforestclassifier__n_estimators": 60}}


@dataclass(frozen=True)
class Recipe:
    """How a classifier is made.

    Attributes:
        title: what people call it.
        make: an unfitted pipeline from a seed.
        grid: the settings to choose from, as ``GridSearchCV`` takes them.
    """

    title: str
    make: Callable[[int], Any]
    grid: dict[str, list[Any]]


def _pipeline(*steps: Any) -> Any:
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), *steps)


def _random_forest(seed: int) -> Any:
    return _pipeline(RandomForestClassifier(n_estimators=200, random_state=seed))


def _svm(seed: int) -> Any:
    return _pipeline(StandardScaler(), SVC(kernel="rbf", random_state=seed))


def _cart(seed: int) -> Any:
    return _pipeline(DecisionTreeClassifier(random_state=seed))


def _boosting(seed: int) -> Any:
    return _pipeline(HistGradientBoostingClassifier(max_iter=150, early_stopping=False, random_state=seed))


def _knn(seed: int) -> Any:
    del seed
    # a tree search treats each pixel alone: the result does not depend on which pixels stand beside it
    return _pipeline(StandardScaler(), KNeighborsClassifier(algorithm="kd_tree"))


CLASSIFIERS: dict[str, Recipe] = {
    "random-forest": Recipe(
        "Random forest",
        _random_forest,
        {"randomforestclassifier__min_samples_leaf": [1, 3], "randomforestclassifier__max_features": ["sqrt", 0.3]},
    ),
    "svm": Recipe("SVM", _svm, {"svc__C": [1.0, 10.0, 100.0], "svc__gamma": ["scale", 0.003]}),
    "cart": Recipe(
        "CART",
        _cart,
        {"decisiontreeclassifier__min_samples_leaf": [1, 5, 20], "decisiontreeclassifier__ccp_alpha": [0.0, 0.002]},
    ),
    "gradient-boosting": Recipe(
        "Gradient boosting",
        _boosting,
        {
            "histgradientboostingclassifier__learning_rate": [0.05, 0.1],
            "histgradientboostingclassifier__max_leaf_nodes": [7, 31],
        },
    ),
    "knn": Recipe(
        "KNN",
        _knn,
        {"kneighborsclassifier__n_neighbors": [3, 5, 9, 15], "kneighborsclassifier__weights": ["uniform", "distance"]},
    ),
}


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained classifier.

    Attributes:
        name: its key in :data:`CLASSIFIERS`.
        estimator: the fitted pipeline.
        chosen: the settings that did best on held-out blocks of the training points.
    """

    name: str
    estimator: ClassifierMixin
    chosen: dict[str, Any]

    def orchard_probability(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability of an orchard at each point or pixel.

        Args:
            features: (n, f), in the order of training.

        Returns:
            (n,) in 0 to 1.
        """
        if self.name == "random-forest":
            return _by_trees(self.estimator, features)
        probability: NDArray[np.float64] = self.estimator.predict_proba(features)[:, 1]
        return probability


def _by_trees(pipeline: Any, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """What a forest says, its trees added up in their order.

    A forest's own method adds them up in the order its threads end, and where several threads ask it at a time they
    disturb each other's filters of warnings.
    """
    filled = np.ascontiguousarray(pipeline[:-1].transform(features), dtype=np.float32)
    total = np.zeros(len(filled))
    for tree in pipeline[-1].estimators_:
        total += tree.predict_proba(filled, check_input=False)[:, 1]
    return total / len(pipeline[-1].estimators_)


def fit(
    name: str,
    features: NDArray[np.float32],
    orchard: NDArray[np.bool_],
    blocks: NDArray[np.int64],
    *,
    seed: int = 0,
) -> Fitted:
    """Choose a classifier's settings on held-out blocks of its training points, then train it on all of them.

    Args:
        name: key in :data:`CLASSIFIERS`.
        features: (n, f) training points; NaN is filled with the median of the training points.
        orchard: (n,) labels.
        blocks: (n,) the spatial block of each point, to choose settings by.
        seed: of everything random.

    Raises:
        MapError: no such classifier, or points in too few blocks.
    """
    if name not in CLASSIFIERS:
        raise MapError(f"there is no classifier {name!r}; there are {', '.join(CLASSIFIERS)}")
    recipe = CLASSIFIERS[name]
    some = _some_points(len(orchard), seed)
    search = GridSearchCV(
        recipe.make(seed).set_params(**_WHILE_TUNING.get(name, {})),
        recipe.grid,
        cv=list(split(orchard[some], blocks[some], _INNER_FOLDS, seed)),
        scoring="accuracy",
        refit=False,
    )
    search.fit(features[some], orchard[some])
    chosen: dict[str, Any] = search.best_params_
    estimator = recipe.make(seed).set_params(**chosen)
    if name == "svm":
        estimator = _calibrated(estimator, list(split(orchard, blocks, _INNER_FOLDS, seed)))
    estimator.fit(features, orchard)
    return Fitted(name, estimator, {key.partition("__")[2]: value for key, value in chosen.items()})


def _some_points(number: int, seed: int) -> NDArray[np.int64]:
    if number <= _TUNING_POINTS:
        return np.arange(number)
    return np.sort(np.random.default_rng(seed).choice(number, _TUNING_POINTS, replace=False))


def _calibrated(estimator: Any, splits: list[Split]) -> Any:
    """An SVM with probabilities, from a sigmoid fitted on blocks that its machines had not seen."""
    return CalibratedClassifierCV(estimator, method="sigmoid", cv=splits, ensemble=False)
