"""A random forest: grown by scikit-learn, kept as arrays, read here without it.

Breiman, Machine Learning 45:5 (2001).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from molvae.oracles.fitted.options import FitOptions, Task

_BLOCK = 500


@dataclass(frozen=True)
class Forest:
    """All nodes of all trees, one after the other.

    Attributes:
        feature: (m,) int32, the column that a node asks about; -1 at a leaf.
        threshold: (m,) float64; a row goes left where its value is at most this.
        left, right: (m,) int32, the nodes that follow; a leaf follows itself.
        value: (m,) float64, the mean label, or the share of class 1, of a node's molecules.
        roots: (t,) int64, the first node of each tree.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray

    @classmethod
    def fit(
        cls, matrix: np.ndarray, labels: np.ndarray, task: Task, options: FitOptions, workers: int
    ) -> Forest:
        """Grow a forest on ``matrix (n, p)`` and ``labels (n,)``; see :meth:`of` for its shape."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        settings: dict[str, Any] = {
            "n_estimators": options.trees,
            "max_features": 0.1,
            "min_samples_leaf": 2,
            "random_state": options.seed % 2**32,
            "n_jobs": workers,
        }
        kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
        return cls.of(kind(**settings).fit(matrix, labels))

    @classmethod
    def of(cls, grown: Any) -> Forest:
        """The arrays of a fitted scikit-learn forest, a regressor or a classifier of 0 and 1."""
        parts: dict[str, list[np.ndarray]] = {name: [] for name in cls.__dataclass_fields__}
        start = 0
        for tree in (estimator.tree_ for estimator in grown.estimators_):
            places = np.arange(start, start + tree.node_count, dtype=np.int32)
            leaf = tree.children_left < 0
            values = tree.value[:, 0, :]
            ones = values[:, 1] / values.sum(1) if hasattr(grown, "classes_") else values[:, 0]
            parts["feature"].append(np.where(leaf, -1, tree.feature).astype(np.int32))
            parts["threshold"].append(np.where(leaf, 0.0, tree.threshold))
            parts["left"].append(np.where(leaf, places, tree.children_left + start))
            parts["right"].append(np.where(leaf, places, tree.children_right + start))
            parts["value"].append(ones)
            parts["roots"].append(np.array([start], dtype=np.int64))
            start += tree.node_count
        joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
        for name in ("left", "right"):
            joined[name] = joined[name].astype(np.int32)
        return cls(**joined)

    def predict(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean over the trees ``(n,)`` and standard deviation between them ``(n,)``."""
        means, stds = [np.zeros(0)], [np.zeros(0)]
        for start in range(0, len(matrix), _BLOCK):
            each = self._by_tree(matrix[start : start + _BLOCK])
            means.append(each.mean(1))
            stds.append(each.std(1))
        return np.concatenate(means), np.concatenate(stds)

    def _by_tree(self, matrix: np.ndarray) -> np.ndarray:
        """What each tree says of each row: (n, p) to (n, t)."""
        rows = np.arange(len(matrix))[:, None]
        node = np.tile(self.roots, (len(matrix), 1))
        while True:
            feature = self.feature[node]
            # At a leaf, column -1 is looked at in vain: both ways lead back to the leaf.
            goes_left = matrix[rows, feature] <= self.threshold[node]
            following = np.where(goes_left, self.left[node], self.right[node])
            if (following == node).all():
                return np.asarray(self.value[node])
            node = following

    def arrays(self) -> dict[str, np.ndarray]:
        """What to store."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], features: int) -> Forest:
        """The forest of stored arrays over ``features`` columns.

        Raises :class:`ValueError` where they are no forest: a walk down a damaged tree might
        never end.
        """
        forest = cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
        m = len(forest.feature)
        own = np.arange(m)
        leaf = forest.feature == -1
        if any(a.shape != (m,) for n, a in forest.arrays().items() if n != "roots"):
            raise ValueError("the arrays of the forest differ in length")
        for following in (forest.left, forest.right):
            if not np.where(leaf, following == own, (following > own) & (following < m)).all():
                raise ValueError("the forest has a node that does not lead downward")
        if not ((forest.feature >= -1) & (forest.feature < features)).all():
            raise ValueError("the forest asks for a feature that is not there")
        if not (len(forest.roots) and ((forest.roots >= 0) & (forest.roots < m)).all()):
            raise ValueError("the forest has no trees")
        return forest
