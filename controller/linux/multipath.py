"""Multipath devices: one for each LUN, over all portals. Source: multipath(8), multipathd(8).

A map is found by the LUN that its paths show; the array makes the WWID, so nobody knows it before.
The LUN's WWID is added to the file of those that may have a map (`find_multipaths strict`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from controller.linux.login import LOGGED_IN, login_key
from controller.linux.luns import luns_of
from controller.linux.package import packages_of
from controller.linux.sessions import NOTHING, attached
from controller.linux.shell import asked, output, succeeded
from controller.linux.thing import HostThing, host_of
from controller.managed import Context, Cost, Key
from controller.step import Answers, Command, Query, Step
from lab.errors import DeviceError, Refused
from lab.lab import Lab

MAPS = asked("multipathd", "show", "maps", "json")


def map_key(device: str, lun: str) -> Key:
    """The map of a LUN on a host."""
    return Key(device, Multipath.kind, lun)


def lun_of_map(answers: Answers, device: str) -> dict[str, str]:
    """Names of maps of LUNs over iSCSI, as below /dev/mapper: name -> LUN. Raises DeviceError."""
    told = output(answers, LOGGED_IN)
    lun_by_disk = {each.disk: each.lun for each in attached(told.stdout)}
    found = {}
    for each in _maps(answers, device):
        luns = {lun_by_disk[disk] for disk in _disks(each) if disk in lun_by_disk}
        if len(luns) == 1:
            found[str(each["name"])] = luns.pop()
    return found


def _maps(answers: Answers, device: str) -> list[dict[str, Any]]:
    told = output(answers, MAPS)
    if told.missing:
        return []  # a host without multipath
    succeeded(device, MAPS, told)  # a daemon that is down says nothing of the maps there are
    try:
        maps: list[dict[str, Any]] = json.loads(told.stdout)["maps"]
    except (ValueError, KeyError) as error:
        raise DeviceError(device, f"can't read multipathd's maps: {error}") from error
    return maps


def _disks(known: dict[str, Any]) -> list[str]:
    return [path["dev"] for group in known.get("path_groups", ()) for path in group["paths"]]


@dataclass(frozen=True)
class Multipath(HostThing):
    """The map of a LUN: its id is `IQN/NUMBER`."""

    kind = "multipath"

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield LOGGED_IN
        yield MAPS

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        disks = {each.disk: each for each in attached(output(answers, LOGGED_IN).stdout)}
        luns = lun_of_map(answers, device)
        for each in _maps(answers, device):
            if (lun := luns.get(str(each["name"]))) is None:
                continue
            portals = sorted({disks[disk].portal for disk in _disks(each) if disk in disks})
            values = {"paths": tuple(portals), "name": each["name"], "wwid": each["uuid"]}
            iqn = lun.rpartition("/")[0]
            needs = frozenset(login_key(device, iqn, portal) for portal in portals)
            yield replace(cls.there(device, lun, values), needs=needs)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for lun in luns_of(lab, host_of(device)):
            values = {"paths": lun.portals}
            thing = cls.follows(lab, device, lun.id, values, ("storages", lun.storage))
            logins = {login_key(device, lun.iqn, portal) for portal in lun.portals}
            needs = {lun.on_array, *logins, *packages_of(lab, device)}
            yield replace(thing, needs=frozenset(needs))

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        return Cost.LIVE

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        if old is not None and (more := set(old.held("paths")) - set(self.held("paths"))):
            what = f"the map of {self.id} has paths over {', '.join(sorted(more))}"
            raise Refused(f"{what}, which can't be taken from it", "log out there by hand")
        iqn = self.id.rpartition("/")[0]
        yield Command(("iscsiadm", "-m", "node", "-T", iqn, "--rescan"), done=(0, NOTHING))
        yield Command(("multipath", "-a", f"{{disk:{self.id}}}"))
        yield Command(("multipath", f"{{wwid:{self.id}}}"))

    def remove(self, context: Context) -> Iterator[Step]:
        yield Command(("multipath", "-f", str(self.values["name"])))
        yield Command(("multipath", "-w", str(self.values["wwid"])))
