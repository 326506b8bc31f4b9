"""Scheduled backups. Source: the Proxmox VE administration guide, backup and restore, backup jobs.

Leaves out jobs over all guests with exclusions (read, not said), mail and notification settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from controller.fields import Speech
from controller.managed import Context, Fragment
from controller.pve.fields import FLAG, SET, field, parameters, read
from controller.pve.guests import names, vmids
from controller.pve.storage import keep_fields
from controller.pve.thing import PveThing, cluster_of, rows, segment
from controller.step import Answers, Query, Rest
from lab.lab import Lab

JOBS = Query("/cluster/backup")
GUESTS = Speech(vmids, lambda _lab, _value: None)  # `declare` names them


@dataclass(frozen=True)
class BackupJob(PveThing):
    """A job; its name is its id there."""

    kind = "backup-job"
    word = "backup-jobs"
    words = ("backup-jobs",)
    fields = (
        field("schedule"),
        field("storage"),
        field("guests", SET, api="vmid", speech=GUESTS),
        field("pool"),
        field("mode", default="snapshot"),
        *keep_fields(),
        field("enabled", FLAG, default=True),
        field("comment"),
        field("all", FLAG, path=(), default=False),
    )

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield JOBS

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, JOBS):
            yield cls.there(device, row["id"], read(cls.fields, device, row)).complete()

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, job in lab.backup_jobs.items():
            if job.cluster == cluster_of(device):
                yield cls.from_entry(lab, device, name, job, name).complete()

    def complete(self) -> Self:
        """The same with what it needs."""
        said = {kind: self.values.get(kind) for kind in ("storage", "pool")}
        needs = [self.refers(kind, name) for kind, name in said.items() if isinstance(name, str)]
        return replace(
            self, needs=frozenset().union(self.refers("vm", *self.held("guests")), *needs)
        )

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        params = parameters(self.fields, self.values, old.values if old else None)
        if old is None:
            yield Rest("POST", "/cluster/backup", {"id": self.id, **params})
        elif params:
            yield Rest("PUT", self._path, params)

    def remove(self, context: Context) -> Iterator[Rest]:
        yield Rest("DELETE", self._path)

    def declare(self, lab: Lab) -> Fragment:
        device, members = self.key.device, self.held("guests")
        guests = names(lab, device, members)
        if guests is None or not (members or self.values.get("pool")):
            return {}
        identity = {"cluster": cluster_of(device)} | ({"guests": guests} if guests else {})
        return self.entry(lab, **identity)

    @property
    def _path(self) -> str:
        return f"/cluster/backup/{segment(self.id)}"
