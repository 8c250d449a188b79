"""Several objectives at once: which points no other beats, in what order, how much they cover.

Everything here is in utilities ``(n, m)``: more of each is better.
"""

from __future__ import annotations

import numpy as np

MARGIN = 0.1
"""How far the reference point lies below what is worst, in widths of what is known."""
OUTLIERS = 0.05
"""Share of the points that may be worse than the reference point for being outliers."""


def fronts(utility: np.ndarray) -> np.ndarray:
    """The front ``(n,)`` that each point is in: 0 for those that no other dominates, 1 for those
    that only points of front 0 dominate, and so on.

    One point dominates another if it is nowhere worse and somewhere better; equal points share
    their front. Nondominated sorting (Deb et al., IEEE Trans. Evol. Comput. 2002, NSGA-II).

    >>> fronts(np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0], [0.0, 0.0]]))
    array([0, 0, 1, 2])
    """
    n, m = utility.shape
    if m == 1:
        return np.unique(-utility[:, 0], return_inverse=True)[1]
    worse, better = np.zeros((n, n), bool), np.zeros((n, n), bool)
    for column in utility.T:
        worse |= column[:, None] < column[None, :]
        better |= column[:, None] > column[None, :]
    dominated = worse & ~better  # [i, j]: point j dominates point i
    left = dominated.sum(axis=1)
    front = np.full(n, -1)
    number = 0
    while (front < 0).any():
        here = (front < 0) & (left == 0)
        front[here] = number
        left = left - dominated[:, here].sum(axis=1)
        number += 1
    return front


def crowding(utility: np.ndarray) -> np.ndarray:
    """How much room each point ``(n,)`` of one front has: the sum over the objectives of the gap
    between its neighbours, in widths of the front; infinite at the ends (Deb et al. 2002).

    >>> crowding(np.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]]))
    array([inf,  2., inf])
    """
    room = np.zeros(len(utility))
    for column in utility.T:
        order = np.argsort(column, kind="stable")
        width = column[order[-1]] - column[order[0]]
        room[order[[0, -1]]] = np.inf
        if width > 0:
            room[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / width
    return room


def in_order(utility: np.ndarray) -> np.ndarray:
    """Rows ``(n,)``, front by front, in each front those with most room first, then as they come.

    With one objective, that is best first.
    """
    front = fronts(utility)
    room = np.zeros(len(utility))
    if utility.shape[1] > 1:
        for number in np.unique(front):
            room[front == number] = crowding(utility[front == number])
    return np.lexsort((-room, front))


def reference_point(utility: np.ndarray) -> np.ndarray:
    """The point ``(m,)`` from which the hypervolume of ``utility (n, m)``, n >= 1, is measured.

    In each objective it is what all but a twentieth of the points exceed, or the worst of the
    front if that is worse, and :data:`MARGIN` of the width from there to the best below it (1 where
    there is no width). A point just below a front that has not spread yet would make the search
    blind to the front's ends (Ishibuchi et al., Evol. Comput. 2018).

    >>> reference_point(np.array([[2.0, 0.0], [0.0, 1.0], [-0.5, -1.0]])).round(3)
    array([-0.695, -1.09 ])
    """
    front = utility[fronts(utility) == 0].min(axis=0)
    low = np.minimum(front, np.quantile(utility, OUTLIERS, axis=0))
    width = utility.max(axis=0) - low
    return low - MARGIN * np.where(width > 0, width, 1.0)


def hypervolume(utility: np.ndarray, reference: np.ndarray) -> float:
    """The volume that the points ``(n, m)`` dominate above ``reference (m,)``, in the product of
    the objectives' units.

    Exact, by slices along the last objective; for n points of a front of m objectives the time
    grows like n to the power m - 1.

    >>> hypervolume(np.array([[1.0, 2.0], [2.0, 1.0], [0.5, 0.5]]), np.zeros(2))
    3.0
    """
    return _volume(utility[(utility > reference).all(axis=1)] - reference)


def _volume(points: np.ndarray) -> float:
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    points = points[fronts(points) == 0]
    points = points[np.argsort(-points[:, -1], kind="stable")]
    below = np.append(points[1:, -1], 0.0)
    volume, rest = 0.0, points[:, :-1]
    for i, height in enumerate(points[:, -1] - below):
        if height > 0:
            volume += float(height) * _volume(rest[: i + 1])
    return volume


def advances(utility: np.ndarray) -> np.ndarray:
    """How often ``(n,)`` the front of the points has been pushed on, up to and with each of them.

    Points come in their order; rows of NaN push nothing.

    >>> advances(np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
    array([1., 1., 2., 2.])
    """
    front = np.empty((0, utility.shape[1]))
    count, counts = 0, np.zeros(len(utility))
    for i, point in enumerate(utility):
        if np.isfinite(point).all() and not (front >= point).all(axis=1).any():
            front = np.vstack([front[~(point >= front).all(axis=1)], point])
            count += 1
        counts[i] = count
    return counts
