"""Perfect matchings, which place the double bonds of an aromatic system."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

_FREE, _OUTSIDE = -1, -2


def perfect_matching(
    nodes: Sequence[int], bonded: Mapping[int, Sequence[int]], size: int
) -> list[int] | None:
    """Pair each of ``nodes`` (ascending, below ``size``) with a neighbour among them.

    ``bonded`` maps a node to its neighbours, those outside ``nodes`` included. Returns the partner
    of each node in a list of length ``size``, or None where not all can be paired. Nodes with the
    fewest unpaired neighbours come first, then augmenting paths mend what is left; ties fall as in
    selfies 2.2.0, so that the Kekulé form, and with it the SELFIES text, is the same.

    >>> perfect_matching([0, 1, 2, 3], {0: [1, 3], 1: [0, 2], 2: [1, 3], 3: [2, 0]}, 4)
    [1, 0, 3, 2]
    """
    mates = [_OUTSIDE] * size
    for node in nodes:
        mates[node] = _FREE
    _pair_greedily(nodes, bonded, mates)
    unpaired = {number for number, node in enumerate(nodes) if mates[node] < 0}
    while unpaired:
        end = _augment(nodes[unpaired.pop()], bonded, mates)
        if end < 0:
            return None
        unpaired.discard(nodes.index(end))
    return mates


def _pair_greedily(
    nodes: Sequence[int], bonded: Mapping[int, Sequence[int]], mates: list[int]
) -> None:
    size = len(mates)
    choices = [0] * size  # unpaired neighbours, by node
    for node in nodes:
        choices[node] = len(bonded[node])
    for node, neighbours in bonded.items():
        if mates[node] == _OUTSIDE:
            for near in neighbours:
                choices[near] -= 1
    queue = [choices[node] * size + node for node in nodes]
    heapify(queue)
    unpaired = len(nodes)
    while queue and unpaired:
        node = heappop(queue) % size
        if mates[node] >= 0 or not choices[node]:
            continue
        for mate in bonded[node]:
            if mates[mate] == _FREE:
                break
        mates[node] = mate
        mates[mate] = node
        unpaired -= 2
        for paired in (node, mate):
            for near in bonded[paired]:
                if mates[near] == _FREE:
                    choices[near] -= 1
                    if choices[near]:
                        heappush(queue, choices[near] * size + near)


def _augment(root: int, bonded: Mapping[int, Sequence[int]], mates: list[int]) -> int:
    """Pair ``root`` by flipping a path to another unpaired node; returns that node, or -1."""
    reached_from: dict[int, tuple[int, int]] = {root: (-1, -1)}
    queue = deque([root])
    while queue:
        node = queue.popleft()
        for near in bonded[node]:
            mate = mates[near]
            if mate >= 0:
                if mate not in reached_from:
                    reached_from[mate] = node, near
                    queue.append(mate)
            elif mate == _FREE and near != root:
                end = near
                while node >= 0:
                    mates[node], mates[near] = near, node
                    node, near = reached_from[node]
                return end
    return -1
