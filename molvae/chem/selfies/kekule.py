"""Perfect matchings, which place the double bonds of an aromatic system."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush


def perfect_matching(graph: list[list[int]]) -> list[int] | None:
    """The partner of every node, or None where not all can be paired.

    ``graph[i]`` lists the neighbours of node ``i``. Nodes with the fewest unpaired neighbours are
    paired first, then augmenting paths mend what is left. Ties fall as in selfies 2.2.0, so that
    the Kekulé form, and with it the SELFIES text, is the same.

    >>> perfect_matching([[1, 3], [0, 2], [1, 3], [2, 0]])
    [1, 0, 3, 2]
    """
    mates = _greedy(graph)
    unpaired = {node for node, mate in enumerate(mates) if mate < 0}
    while unpaired:
        root = unpaired.pop()
        end = _augment(graph, mates, root)
        if end < 0:
            return None
        unpaired.discard(end)
    return mates


def _greedy(graph: list[list[int]]) -> list[int]:
    size = len(graph)
    mates = [-1] * size
    free = [len(neighbours) for neighbours in graph]
    queue = [degree * size + node for node, degree in enumerate(free)]
    heapify(queue)
    while queue:
        node = heappop(queue) % size
        if mates[node] >= 0 or not free[node]:
            continue
        for mate in graph[node]:
            if mates[mate] < 0:
                break
        mates[node] = mate
        mates[mate] = node
        for paired in (node, mate):
            for near in graph[paired]:
                free[near] -= 1
                if mates[near] < 0 and free[near]:
                    heappush(queue, free[near] * size + near)
    return mates


def _augment(graph: list[list[int]], mates: list[int], root: int) -> int:
    """Pair ``root`` by flipping a path to another unpaired node; returns that node, or -1."""
    reached_by: dict[int, tuple[int, int]] = {root: (-1, -1)}
    queue = deque([root])
    while queue:
        node = queue.popleft()
        for near in graph[node]:
            mate = mates[near]
            if mate < 0:
                if near == root:
                    continue
                end = near
                while node >= 0:
                    mates[node], mates[near] = near, node
                    node, near = reached_by[node]
                return end
            if mate not in reached_by:
                reached_by[mate] = node, near
                queue.append(mate)
    return -1
