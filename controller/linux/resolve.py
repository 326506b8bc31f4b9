"""Names in steps that are known only when the step is sent.

    {uuid:/dev/sdb}      the UUID of the file system on a device
    {disk:IQN/LUN}       a device that shows a LUN: /dev/sdc
    {wwid:IQN/LUN}       the LUN's WWID, as multipath names it
    {map:IQN/LUN}        the multipath device of a LUN: /dev/mapper/3600...
    {record:IQN ADDRESS:PORT}  the file of a node record

What the kernel shows only a moment later is waited for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from controller.clock import Clock
from controller.linux.sessions import SESSIONS, attached, records
from controller.linux.shell import Output, Shell
from lab.errors import DeviceError

SCSI_ID = "/lib/udev/scsi_id"
NODES = "/etc/iscsi/nodes"  # open-iscsi on Debian
POLLS_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # udev and the kernel's scan of a bus take a moment
_NAME = re.compile(r"\{(uuid|disk|wwid|map|record):([^{}]+)\}")


class Resolver:
    """The names of one host."""

    def __init__(self, device: str, shell: Shell, clock: Clock) -> None:
        self._device = device
        self._shell = shell
        self._clock = clock
        self._kinds: Mapping[str, Callable[[str], str]] = {
            "uuid": self._uuid,
            "disk": self._disk,
            "wwid": self._wwid,
            "map": self._map,
            "record": self._record,
        }

    def resolved(self, text: str) -> str:
        """The text with what its names stand for now. Raises DeviceError."""
        return _NAME.sub(lambda name: self._awaited(name[1], name[2]), text)

    def _awaited(self, kind: str, name: str) -> str:
        for pause_s in POLLS_S:
            if found := self._kinds[kind](name):
                return found
            self._clock.sleep(pause_s)
        if found := self._kinds[kind](name):
            return found
        raise DeviceError(self._device, f"there is no {_SAID[kind]} {name}", status=1)

    def _uuid(self, path: str) -> str:
        return self._ask("blkid", "-s", "UUID", "-o", "value", path, done=(0, 2)).stdout.strip()

    def _disk(self, lun: str) -> str:
        iqn, _, number = lun.rpartition("/")
        found = attached(self._ask(*SESSIONS, done=(0, 21)).stdout)
        disks = [d.disk for d in found if (d.iqn, d.number) == (iqn, number)]
        return f"/dev/{disks[0]}" if disks else ""

    def _wwid(self, lun: str) -> str:
        disk = self._disk(lun)
        if not disk:
            return ""
        return self._ask(SCSI_ID, "--whitelisted", f"--device={disk}", done=(0, 1)).stdout.strip()

    def _map(self, lun: str) -> str:
        wwid = self._wwid(lun)
        maps = json.loads(self._ask("multipathd", "show", "maps", "json").stdout)["maps"]
        names = [each["name"] for each in maps if each["uuid"] == wwid]
        return f"/dev/mapper/{names[0]}" if names else ""

    def _record(self, name: str) -> str:
        iqn, _, portal = name.partition(" ")
        for known in records(self._ask("iscsiadm", "-m", "node", done=(0, 21)).stdout):
            if (known.iqn, known.portal) == (iqn, portal):
                address, _, port = portal.rpartition(":")
                return f"{NODES}/{iqn}/{address},{port},{known.tag}/default"
        return ""

    def _ask(self, *argv: str, done: tuple[int, ...] = (0,)) -> Output:
        found = self._shell.run(argv)
        if found.status not in done:
            raise DeviceError(self._device, f"{argv[0]}: {found.told}", status=1)
        return found


_SAID = {
    "uuid": "file system on",
    "disk": "disk for LUN",
    "wwid": "WWID of LUN",
    "map": "multipath device for LUN",
    "record": "node record of",
}
