"""Block volumes. They only ever grow, and the sum of them keeps to 80 % of the pool.

Source: zfsprops(7), volsize, volblocksize, refreservation; the TrueNAS documentation, zvols. The
array itself lets thin volumes promise more than the pool has; a full pool stops every LUN on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

from controller.fields import SIZE as SIZED
from controller.managed import Context, Cost, Fragment
from controller.step import Answers, Json, JsonRpc
from controller.truenas.dataset import COMMON, VOLUME, AnyDataset
from controller.truenas.fields import BLOCKS, FLAG, SIZE, Row
from controller.truenas.fields import field as field_of
from controller.truenas.thing import array
from lab.errors import Refused
from lab.kinds.nas import FILL
from lab.lab import Lab
from lab.units import format_size

VOLSIZE = field_of("size_bytes", SIZE, path=("size",), api="volsize", speech=SIZED, cost=Cost.LIVE)
BLOCK = field_of(
    "block_bytes",
    BLOCKS,
    path=("block-size",),
    api="volblocksize",
    speech=SIZED,
    cost=Cost.REPLACE,
)
SPARSE = field_of("sparse", FLAG, cost=Cost.REPLACE, default=False)


@dataclass(frozen=True)
class Zvol(AnyDataset):
    """A volume."""

    kind = "zvol"
    words = ("nas",)
    fields = (VOLSIZE, SPARSE, BLOCK, *COMMON)
    sections = {"zvols": fields}

    overcommit: bool = field(default=False, compare=False)

    @classmethod
    def found(cls, device: str, answers: Answers) -> Iterator[tuple[str, Row]]:
        for name, row in cls.of_type(device, answers, VOLUME):
            yield name, {**row, SPARSE.api: _is_sparse(row)}

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        for name, zvol in nas.zvols.items():
            identity = f"{zvol.pool}/{name}"
            thing = cls.said(lab, device, identity, ("zvols", name), zvol, zvol).placed()
            pool = nas.pools.get(zvol.pool)
            yield replace(thing, overcommit=pool is not None and pool.overcommit)

    def identified(self) -> dict[str, Json]:
        return {"name": self.id, "type": VOLUME}

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        size = self.values.get(VOLSIZE.name)
        held = old.values.get(VOLSIZE.name, 0) if old is not None else 0
        if isinstance(size, int) and isinstance(held, int) and size != held:
            if size < held:
                what = f"{self.id} has {format_size(held)}, and can't become {format_size(size)}"
                raise Refused(f"{what}: a volume only grows", f"write {format_size(held)} or more")
            self._fits(size - held, context)
        if old is not None:
            why = "it is fixed when a volume is made; make another one and move the data"
            self.keep(old, BLOCK.name, why)
            self.keep(old, SPARSE.name, why)
        yield from super().steps(old, context)

    def _fits(self, more_bytes: int, context: Context) -> None:
        pool = self.id.partition("/")[0]
        size = context.around.get(f"pools.{pool}.size_bytes")
        promised = context.around.get(f"pools.{pool}.promised_bytes")
        if self.overcommit or not isinstance(size, int) or not isinstance(promised, int):
            return
        if promised + more_bytes > FILL * size:
            what = f"the volumes of pool {pool} would promise {format_size(promised + more_bytes)}"
            fix = f"declare less, or overcommit: true for pool {pool}"
            raise Refused(f"{what}, more than 80 % of its {format_size(size)}", fix)

    def declare(self, lab: Lab) -> Fragment:
        pool, _, name = self.id.partition("/")
        return self.part(lab, "zvols", name, pool=pool)


def _is_sparse(row: Row) -> bool:
    """Nothing is reserved for a thin volume."""
    return not (row.get("refreservation") or {}).get("parsed")
