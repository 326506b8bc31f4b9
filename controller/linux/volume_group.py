"""Volume groups on LUNs: made by one node, and then seen by all that see the LUN.

The maker's name is a tag of the group, so that one host alone ever removes it. It is made only on
a LUN that carries nothing, and removed only when there is no volume in it; the LUN is blank then
and can be used anew. A host that lost sight of a group finds it again on its LUN. Source:
vgcreate(8), pvremove(8).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from controller.linux.login import LOGGED_IN
from controller.linux.luns import luns_of
from controller.linux.multipath import MAPS, lun_of_map, map_key
from controller.linux.shell import asked, output, succeeded
from controller.linux.thing import HostThing, host_of, key_of
from controller.managed import Context, Cost, Key, Value
from controller.step import Answers, Command, Query, Step
from lab.errors import DeviceError, Refused
from lab.lab import Lab

GROUPS = asked("vgs", "--reportformat", "json", "-o", "vg_name,lv_count,vg_tags")
VOLUMES = asked("pvs", "--reportformat", "json", "-o", "pv_name,vg_name")
MAPPER = "/dev/mapper/"
TAG = "vlab.made-on."


def group_key(host: str, name: str) -> Key:
    """A volume group as a host sees it."""
    return key_of(host, VolumeGroup.kind, name)


def _rows(device: str, answers: Answers, query: Query, kind: str) -> list[dict[str, Any]]:
    found = output(answers, query)
    if found.missing:
        return []  # a host without LVM
    succeeded(device, query, found)
    try:
        rows: list[dict[str, Any]] = json.loads(found.stdout)["report"][0][kind]
    except (ValueError, KeyError, IndexError) as error:
        raise DeviceError(device, f"can't read {query.path}: {error}") from error
    return rows


@dataclass(frozen=True)
class VolumeGroup(HostThing):
    """A volume group as one host sees it. Groups that are not on LUNs are left out."""

    kind = "volume-group"

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield from (LOGGED_IN, MAPS, GROUPS, VOLUMES)

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        luns = lun_of_map(answers, device)
        on: dict[str, set[str]] = {}
        for row in _rows(device, answers, VOLUMES, "pv"):
            lun = luns.get(str(row["pv_name"]).removeprefix(MAPPER))
            if lun is not None and row["vg_name"]:
                on.setdefault(row["vg_name"], set()).add(lun)
        for row in _rows(device, answers, GROUPS, "vg"):
            name = row["vg_name"]
            if name in on:
                tags = [tag for tag in str(row["vg_tags"]).split(",") if tag.startswith(TAG)]
                values: dict[str, Value] = {
                    "luns": tuple(sorted(on[name])),
                    "volumes": int(row["lv_count"]),
                    "made_on": tags[0].removeprefix(TAG) if tags else "",
                }
                needs = frozenset(map_key(device, lun) for lun in on[name])
                yield replace(cls.there(device, name, values), needs=needs)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        host = host_of(device)
        for lun in luns_of(lab, host):
            at = ("storages", lun.storage)
            thing = cls.follows(lab, device, lun.vg, {"luns": (lun.id,)}, at)
            maker = lun.nodes[0]
            needs = {map_key(device, lun.id)} | (
                {group_key(maker, lun.vg)} if maker != host else set()
            )
            yield replace(thing, needs=frozenset(needs))

    @property
    def claims(self) -> Mapping[str, str]:
        return self.alone(*(f"LUN {lun}" for lun in self.held("luns")))

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        return Cost.REPLACE

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        if old is not None:
            there = ", ".join(old.held("luns"))
            fix = (
                "a new one needs another name; this one comes along when its LUN is shown elsewhere"
            )
            raise Refused(f"volume group {self.id} is on {there}", fix)
        if any(need.kind == self.kind for need in self.needs):
            yield Command(("pvscan", "--cache"))  # another node made it: look
            return
        (lun,) = self.held("luns")
        disk = f"{{map:{lun}}}"
        maker = self.values.get("made_on", self.host)
        tagged = ("--addtag", f"{TAG}{maker}") if maker else ()
        mine = ("pvs", "--noheadings", "-o", "vg_name", "-S", f"vg_name={self.id}", "--", disk)
        blank = (("wipefs", "--noheadings", disk),)
        yield Command(("vgcreate", *tagged, "--", self.id, disk), unless=mine, blank=blank)

    def remove(self, context: Context) -> Iterator[Step]:
        if count := self.values.get("volumes"):
            what = f"volume group {self.id} holds {count} volumes"
            raise Refused(what, "remove them, or the guests whose disks they are, first")
        if not (maker := self.values.get("made_on")):
            what = f"volume group {self.id} was not made by vlab"
            raise Refused(what, f"remove it with `vgremove {self.id}` on one node")
        if maker == self.host:
            disks = [f"{{map:{lun}}}" for lun in self.held("luns")]
            named = " ".join(f'"${number}"' for number, _ in enumerate(disks, 1))
            both = f'vgremove -- "$0" && pvremove -- {named}'  # once begun, done as one
            yield Command(("sh", "-c", both, self.id, *disks))
