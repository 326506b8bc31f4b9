"""From a number to devices: a rule carried out on a map.

Source: S. Weil and others, "CRUSH: Controlled, Scalable, Decentralized Placement of Replicated
Data" (2006), and Ceph's documentation of rules and tunables; the exact order of retries is that of
the C code, described and written anew. Buckets: straw2, uniform, list. Leaves out: tree and straw
buckets (before Hammer) and MSR rules (Squid), which raise NotBuilt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from simulator.crush.crushmap import NONE, WEIGHT_ONE, Args, Bucket, CrushMap, NotBuilt, Step
from simulator.crush.hashes import hash2, hash3, hash3_each, hash4, lengths, lengths_array

UNDEFINED = 0x7FFFFFFE
MANY = 12  # items of a bucket from which arrays are faster than a loop
_NO_ARGS = Args()
Reweights = Mapping[int, int]
"""OSD -> its in/out weight, 16.16; those not named are in."""


def map_rule(
    crush: CrushMap, rule: int, x: int, size: int, reweights: Reweights | None = None
) -> list[int]:
    """The devices that a rule gives for `x`; NONE marks a hole of an indep rule.

    Raises NotBuilt, and KeyError for a rule that is not there.
    """
    return _Run(crush, x, size, reweights or {}).result(crush.rules[rule])


@dataclass(frozen=True)
class _Retries:
    """How often to try again: what set_* steps change."""

    tries: int
    leaf_tries: int
    local: int
    fallback: int
    vary_r: int
    stable: int


@dataclass
class _Run:
    crush: CrushMap
    x: int
    size: int
    reweights: Reweights

    def result(self, steps: tuple[Step, ...]) -> list[int]:
        tunables = self.crush.tunables
        retries = _Retries(
            tunables.choose_total_tries + 1,
            0,
            tunables.choose_local_tries,
            tunables.choose_local_fallback_tries,
            tunables.chooseleaf_vary_r,
            tunables.chooseleaf_stable,
        )
        working: list[int] = []
        found: list[int] = []
        for step in steps:
            if step.op == "take":
                known = step.item in self.crush.buckets or 0 <= step.item < self.crush.max_devices
                working = [step.item] if known else working
            elif step.op == "emit":
                found += working[: self.size - len(found)]
                working = []
            elif step.op.startswith("set_"):
                retries = _changed(retries, step)
            elif step.op.startswith("choose"):
                working = self._chosen(step, working, retries) if working else working
            elif step.op != "noop":
                raise NotBuilt(f"step {step.op}")
        return found

    def _chosen(self, step: Step, working: list[int], retries: _Retries) -> list[int]:
        """What one choose step makes of the working list."""
        to_leaf, kind = step.op.startswith("chooseleaf"), step.op.rpartition("_")[2]
        if kind not in ("firstn", "indep"):
            raise NotBuilt(f"step {step.op}")
        number = step.num if step.num > 0 else step.num + self.size
        items: list[int] = []
        for start in working:
            below = self.crush.buckets.get(start)
            if number <= 0 or below is None:
                continue
            room = self.size - len(items)
            if kind == "firstn":
                once = 1 if self.crush.tunables.chooseleaf_descend_once else retries.tries
                firstn = _Firstn(
                    self, step.type, replace(retries, leaf_tries=retries.leaf_tries or once)
                )
                items += firstn.choose(below, number, room, to_leaf=to_leaf)
            else:
                indep = _Indep(self, number, step.type, retries)
                items += indep.choose(below, min(number, room), to_leaf=to_leaf)
        return items

    def pick(self, bucket: Bucket, r: int, position: int) -> int:
        """The item of a bucket for attempt `r`."""
        match bucket.alg:
            case "straw2":
                return self._straw2(bucket, r, position)
            case "uniform":
                return self.permuted(bucket, r)
            case "list":
                return self._list(bucket, r)
        raise NotBuilt(f"bucket algorithm {bucket.alg}")

    def _straw2(self, bucket: Bucket, r: int, position: int) -> int:
        args = self.crush.args.get(bucket.id, _NO_ARGS)
        sets = args.weight_sets
        weights = sets[min(position, len(sets) - 1)] if sets else bucket.weights
        ids = args.ids or bucket.items
        if len(ids) >= MANY and not args.ids:
            draws = hash3_each(self.x, bucket.ids, r) & np.uint32(0xFFFF)
            heavy = np.array(weights, dtype=np.int64)
            straws = lengths_array()[draws] // np.maximum(heavy, 1)
            straws[heavy == 0] = np.iinfo(np.int64).max
            return bucket.items[int(straws.argmin())]
        best, shortest = 0, None
        for index, (id_, weight) in enumerate(zip(ids, weights, strict=True)):
            if weight:
                straw = lengths()[hash3(self.x, id_, r) & 0xFFFF] // weight
                if shortest is None or straw < shortest:
                    best, shortest = index, straw
        return bucket.items[best]

    def permuted(self, bucket: Bucket, r: int) -> int:
        """The r-th item of a pseudorandom permutation of the bucket."""
        order, wanted = list(bucket.items), r % bucket.size
        for place in range(min(wanted + 1, bucket.size - 1)):
            other = place + hash3(self.x, bucket.id, place) % (bucket.size - place)
            order[place], order[other] = order[other], order[place]
        return order[wanted]

    def _list(self, bucket: Bucket, r: int) -> int:
        below = sum(bucket.weights)
        for item, weight in zip(reversed(bucket.items), reversed(bucket.weights), strict=True):
            draw = (hash4(self.x, item, r, bucket.id) & 0xFFFF) * below >> 16
            if draw < weight:
                return item
            below -= weight
        return bucket.items[0]

    def type_of(self, item: int) -> int | None:
        """The type of an item; None for what is not there."""
        if item >= 0:
            return 0 if item < self.crush.max_devices else None
        below = self.crush.buckets.get(item)
        return None if below is None else below.type

    def is_out(self, osd: int) -> bool:
        """Whether a device is out, or by its reweight for this x."""
        weight = self.reweights.get(osd, WEIGHT_ONE)
        return weight < WEIGHT_ONE and (weight == 0 or (hash2(self.x, osd) & 0xFFFF) >= weight)


def _changed(retries: _Retries, step: Step) -> _Retries:
    """Registers after a set_* step; not positive (for the last four negative) ones say nothing."""
    name, least = {
        "set_choose_tries": ("tries", 1),
        "set_chooseleaf_tries": ("leaf_tries", 1),
        "set_choose_local_tries": ("local", 0),
        "set_choose_local_fallback_tries": ("fallback", 0),
        "set_chooseleaf_vary_r": ("vary_r", 0),
        "set_chooseleaf_stable": ("stable", 0),
    }[step.op]
    return replace(retries, **{name: step.num}) if step.num >= least else retries


@dataclass
class _Firstn:
    """For copies that are alike: a dense list, short where nothing fits."""

    run: _Run
    type: int
    retries: _Retries

    def choose(self, start: Bucket, number: int, room: int, *, to_leaf: bool) -> list[int]:
        items: list[int] = []
        leaves: list[int] = []
        for rep in range(number):
            if len(items) == room:
                break
            kept = leaves if to_leaf else None
            found = self._descend(start, rep, 0, items, kept, self.retries.tries)
            if found is not None:
                items.append(found)
        return leaves if to_leaf else items

    def _descend(
        self,
        start: Bucket,
        rep: int,
        parent_r: int,
        items: list[int],
        leaves: list[int] | None,
        tries: int,
        *,
        type_: int | None = None,
    ) -> int | None:
        """One more item of a type (None: the rule's), and its leaf appended to `leaves`.

        None if `tries` run out. A collision may be tried again in the same bucket, by the local
        tries of old tunables; else each round starts from the top.
        """
        type_ = self.type if type_ is None else type_
        failed = 0
        while True:
            bucket, failed_here = start, 0
            while True:
                r = rep + parent_r + failed
                item = self._pick(bucket, r, failed_here, len(items)) if bucket.size else None
                if item is not None:
                    kind = self.run.type_of(item)
                    if kind is None or (kind != type_ and item >= 0):
                        return None
                    if kind != type_:
                        bucket = self.run.crush.buckets[item]
                        continue
                collides = item in items
                if item is not None and not collides and self._fits(item, r, items, leaves):
                    return item
                failed += 1
                failed_here += 1
                fallback = self.retries.fallback
                again = collides and failed_here <= self.retries.local
                if not again and not (fallback and failed_here <= bucket.size + fallback):
                    break
            if failed >= tries:
                return None

    def _pick(self, bucket: Bucket, r: int, failed_here: int, position: int) -> int:
        fallback = self.retries.fallback
        if fallback and failed_here >= bucket.size >> 1 and failed_here > fallback:
            return self.run.permuted(bucket, r)
        return self.run.pick(bucket, r, position)

    def _fits(self, item: int, r: int, items: list[int], leaves: list[int] | None) -> bool:
        """Whether an item is in and, where leaves are wanted, has a leaf that is."""
        if leaves is None:
            return item < 0 or not self.run.is_out(item)
        if item >= 0:
            if self.run.is_out(item):
                return False
            leaves.append(item)
            return True
        sub_r = r >> (self.retries.vary_r - 1) if self.retries.vary_r else 0
        below = self.run.crush.buckets[item]
        rep = 0 if self.retries.stable else len(items)
        leaf = self._descend(below, rep, sub_r, leaves, None, self.retries.leaf_tries, type_=0)
        if leaf is None:
            return False
        leaves.append(leaf)
        return True


@dataclass
class _Indep:
    """For shards that each have a place: a list of fixed length with holes."""

    run: _Run
    number: int
    type: int
    retries: _Retries

    def choose(self, start: Bucket, length: int, *, to_leaf: bool) -> list[int]:
        items = [UNDEFINED] * length
        leaves = [UNDEFINED] * length
        for failed in range(self.retries.tries):
            if UNDEFINED not in items:
                break
            for rep in range(length):
                if items[rep] == UNDEFINED:
                    found = self._descend(start, rep, 0, failed, items, self.type, 0)
                    self._place(found, rep, items, leaves if to_leaf else None)
        chosen = leaves if to_leaf else items
        return [NONE if item == UNDEFINED else item for item in chosen]

    def _place(
        self, found: tuple[int, int] | None, rep: int, items: list[int], leaves: list[int] | None
    ) -> None:
        """Put an item (found with attempt r) in its place, unless it or its leaf does not do."""
        if found is None:
            return
        item, r = found
        if item != NONE and leaves is not None:
            leaf = item if item >= 0 else self._leaf(item, rep, r)
            leaves[rep] = leaf
            if leaf == NONE:
                return
        if item != NONE and item >= 0 and self.run.is_out(item):
            return
        items[rep] = item
        if item == NONE and leaves is not None:
            leaves[rep] = NONE

    def _leaf(self, item: int, rep: int, parent_r: int) -> int:
        """A device below an item; NONE if there is none in."""
        below, tries = self.run.crush.buckets[item], self.retries.leaf_tries or 1
        for failed in range(tries):
            found = self._descend(below, rep, parent_r, failed, [], 0, rep)
            if found is not None:
                leaf = found[0]
                if leaf == NONE or not self.run.is_out(leaf):
                    return leaf
        return NONE

    def _descend(
        self,
        start: Bucket,
        rep: int,
        parent_r: int,
        failed: int,
        taken: list[int],
        type_: int,
        position: int,
    ) -> tuple[int, int] | None:
        """The item of one attempt with its r; None: try again later; NONE: never."""
        bucket = start
        while bucket.size:
            even = bucket.alg == "uniform" and bucket.size % self.number == 0
            r = rep + parent_r + (self.number + even) * failed
            item = self.run.pick(bucket, r, position)
            kind = self.run.type_of(item)
            if kind is None or (kind != type_ and item >= 0):
                return NONE, r
            if kind == type_:
                return None if item in taken else (item, r)
            bucket = self.run.crush.buckets[item]
        return None
