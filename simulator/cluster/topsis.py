"""TOPSIS: ranks alternatives by how near each is to the best of all and how far from the worst.

`usage` ranks nodes to start a service on with it, `rebalance` moves. The criteria and their
weights are those of Proxmox VE's resource scheduling library: memory, which can't be shared, weighs
more than CPU, and the fullest node more than the average. Method: Hwang and Yoon, Multiple
Attribute Decision Making (1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from math import sqrt
from operator import add

from simulator.cluster.documents import Amount

Row = tuple[float, ...]

# Root mean square and maximum of the nodes' CPU, then of their memory; proxmox-resource-scheduling
_WEIGHTS = tuple(weight / 18 for weight in (1, 2, 5, 10))


def criteria(fractions: Sequence[Amount]) -> Row:
    """The row of one alternative: what its nodes would be loaded, as fractions of what they have.

    All are to be small; one node at least.
    """
    cpus, mems = [f.cpu for f in fractions], [f.mem_bytes for f in fractions]
    return (1 + _rms(cpus), 1 + max(cpus), 1 + _rms(mems), 1 + max(mems))


def closeness(rows: Sequence[Row]) -> list[float]:
    """How near each row is to the ideal, 0 to 1, higher is better. All rows alike: 0 each."""
    columns = [_normalised(column) for column in zip(*rows, strict=True)]
    best, worst = [min(column) for column in columns], [max(column) for column in columns]
    near = []
    for row in zip(*columns, strict=True):
        to_best, to_worst = _distance(row, best), _distance(row, worst)
        apart = to_best + to_worst
        near.append(to_worst / apart if apart else 0.0)
    return near


def total(values: Iterable[float]) -> float:
    """The sum from left to right, as the library makes it.

    Not `sum`: since Python 3.12 it rounds better, and then ties fall otherwise.
    """
    return reduce(add, values, 0.0)


def _rms(values: Sequence[float]) -> float:
    return sqrt(total(value * value for value in values) / len(values))


def _normalised(column: Sequence[float]) -> list[float]:
    length = sqrt(total(value * value for value in column))
    return [value / length for value in column] if length else list(column)


def _distance(row: Sequence[float], ideal: Sequence[float]) -> float:
    squares = (
        ((value - goal) * weight) ** 2
        for value, goal, weight in zip(row, ideal, _WEIGHTS, strict=True)
    )
    return sqrt(total(squares))
