"""What an entry names is on the entry's own clusters: general over every reference of the language.

A thing of one cluster (guest, node) must be in a cluster of who names it; a thing kept on several
(storage, pool, group, user) must be on all clusters of who names it. Ceph may belong to another
cluster: its clients come over the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from lab.errors import Problem
from lab.item import Item
from lab.lab import Lab, title
from lab.references import references

FREE = ("ceph", "clusters")
WHY = "a cluster knows nothing of what the others have"


def names_stay_in_their_clusters(lab: Lab) -> Iterator[Problem]:
    """References do not cross clusters."""
    everywhere = frozenset(lab.clusters)
    for path, word, name in references(lab):
        if word in FREE or (named := lab.map(word).get(name)) is None:
            continue
        need = clusters_of(lab.map(path[0])[path[1]], everywhere)
        have = clusters_of(named, everywhere)
        if need is None or have is None:
            continue
        single = _field(type(named)) == "cluster"
        if far := have - need if single else need - have:
            clusters = ", ".join(sorted(far))
            where = f"in cluster {clusters}" if single else f"not on cluster {clusters}"
            what = f"{title(*path[:2])} names {title(word, name)}, which is {where}"
            fix = f"name one of cluster {', '.join(sorted(need))}"
            yield Problem(lab.place(*path), what, WHY, fix)


def clusters_of(item: Item, everywhere: frozenset[str]) -> frozenset[str] | None:
    """Clusters that an entry belongs to; None if it belongs to none by its nature, as a switch
    does.
    """
    field = _field(type(item))
    if field is None:
        return None
    written = getattr(item, field)
    if field == "cluster":
        return frozenset({written})
    return everywhere if written is None else frozenset(written)


@cache
def _field(model: type[Item]) -> str | None:
    return next((name for name in ("cluster", "clusters") if name in model.model_fields), None)


RULES = (names_stay_in_their_clusters,)
