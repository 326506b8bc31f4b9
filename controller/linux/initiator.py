"""The iSCSI name of a host: what arrays know it by. Source: iscsid(8), RFC 7143, 4.2.7.

A new name is another host to every array: sessions of the old one can't come back. So it changes
only while there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from controller.fields import PLAIN, Field
from controller.linux.file import pending, waits
from controller.linux.shell import asked, output
from controller.linux.thing import HostThing, host_of
from controller.managed import Context, Cost, Fragment, Key
from controller.step import Answers, Query, Step, WriteFile
from lab.errors import Refused
from lab.lab import Lab

PATH = "/etc/iscsi/initiatorname.iscsi"
NAME = asked("cat", "--", PATH)


def initiator_key(device: str) -> Key:
    """The one of a host."""
    return Key(device, Initiator.kind, "name")


@dataclass(frozen=True)
class Initiator(HostThing):
    """The initiator name: every host with open-iscsi has one."""

    kind = "initiator"
    words = ("nodes",)
    inherent = True
    fields = (Field("iqn", ("initiator",), PLAIN, Cost.STOP_START),)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield from (NAME, waits(PATH))

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        text = output(answers, NAME).stdout
        if names := re.findall(r"^InitiatorName=(\S+)$", text, re.MULTILINE):
            values = {"iqn": names[-1], "in_force": not pending(answers, PATH)}
            yield cls.there(device, initiator_key(device).id, values)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        node = lab.nodes.get(host_of(device))
        if node is not None and node.initiator is not None:
            thing = cls.said(lab, device, initiator_key(device).id, (), node)
            yield replace(thing, values={**thing.values, "in_force": True})

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        if count := context.around.get("sessions"):
            what = f"{self.host} has {count} iSCSI sessions, which a new initiator name would lose"
            raise Refused(what, "empty the node, log its sessions out, then apply again")
        held = old.values if old is not None else {}
        name = {**held, **self.values}["iqn"]
        content = f"InitiatorName={name}\n"
        after = ("systemctl", "restart", "iscsid")
        yield WriteFile(PATH, content, mode=0o600, after=after)

    def remove(self, context: Context) -> Iterator[Step]:
        raise Refused("a host always has an initiator name")

    def declare(self, lab: Lab) -> Fragment:
        if self.host not in lab.nodes:
            return {}
        return self.entry(lab, {"initiator": self.values["iqn"]})
