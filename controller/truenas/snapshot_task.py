"""Periodic snapshots of a dataset or a volume.

Known by dataset, naming and schedule, so another schedule is another task. Source: the TrueNAS
documentation, periodic snapshot tasks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from controller.fields import Speech
from controller.managed import Fragment, Key
from controller.step import Answers, Json
from controller.truenas.dataset import NAMESPACE, VOLUME, Dataset
from controller.truenas.fields import FLAG, SET, Codec, Row, field
from controller.truenas.thing import NasThing, array, rows
from controller.truenas.zvol import Zvol
from lab.kinds.zfs import SnapshotTask as TaskEntry
from lab.lab import Lab

PARTS = ("minute", "hour", "dom", "month", "dow")
WHOLE_DAY = "00:00-23:59"
NAMING = str(TaskEntry.model_fields["naming"].default)


def _kept(_lab: Lab, said: Any) -> str:
    """`2 weeks` -> `2 WEEK`, as the array counts."""
    number, unit = str(said).split()
    return f"{number} {unit.removesuffix('s').upper()}"


def _told(_lab: Lab, value: Any) -> str:
    number, unit = str(value).split()
    return f"{number} {unit.lower()}{'' if number == '1' else 's'}"


KEEP = field("keep", Codec(str, str), speech=Speech(_kept, _told))
RECURSIVE = field("recursive", FLAG, default=False)
EXCLUDE = field("exclude", SET, default=())


def task_id(dataset: str, naming: str, schedule: str, window: str) -> str:
    """The identity of a task: `tank/vm 0 3 * * * 00:00-23:59 auto-%Y-...`."""
    return f"{dataset} {schedule} {window} {naming}"


_IDENTITY = re.compile(r"(.+?) (\S+ \S+ \S+ \S+ \S+) (\S+:\S+)-(\S+:\S+) (.+)")  # names have blanks


@dataclass(frozen=True)
class SnapshotTask(NasThing):
    """A task."""

    kind = "snapshot-task"
    words = ("nas",)
    namespace = "pool.snapshottask"
    asks = (NAMESPACE,)
    fields = (
        KEEP,
        RECURSIVE,
        EXCLUDE,
        field("allow_empty", FLAG, default=True),
        field("enabled", FLAG, default=True),
    )
    sections = {"snapshot-tasks": fields}

    @classmethod
    def found(cls, device: str, answers: Answers) -> Iterator[tuple[str, Row]]:
        for row in rows(device, answers, cls.namespace):
            when = row["schedule"]
            schedule = " ".join(_field(when[part]) for part in PARTS)
            window = f"{when.get('begin', '00:00')}-{when.get('end', '23:59')}"
            identity = task_id(row["dataset"], row["naming_schema"], schedule, window)
            kept = f"{row['lifetime_value']} {row['lifetime_unit']}"
            yield identity, {**row, KEEP.api: kept}

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        volumes = {f"{zvol.pool}/{name}" for name, zvol in nas.zvols.items()}
        for name, task in nas.snapshot_tasks.items():
            schedule = " ".join(map(_field, task.schedule.split()))
            identity = task_id(task.dataset, task.naming, schedule, f"{task.begin}-{task.end}")
            thing = cls.said(lab, device, identity, ("snapshot-tasks", name), task, task)
            yield thing.over(volume=task.dataset in volumes)

    def complete(self, device: str, row: Row, answers: Answers) -> Self:
        types = {each["name"]: each.get("type") for each in rows(device, answers, NAMESPACE)}
        return self.over(volume=types.get(self.dataset) == VOLUME)

    def over(self, *, volume: bool) -> Self:
        """The same with the dataset, volume or pool that it needs."""
        kind = Dataset.kind if "/" in self.dataset else "pool"
        key = Key(self.key.device, Zvol.kind if volume else kind, self.dataset)
        return replace(self, needs=frozenset({key}))

    @property
    def dataset(self) -> str:
        """What is snapshotted."""
        return self._parts[0]

    @property
    def _parts(self) -> tuple[str, list[str], str, str, str]:
        """Dataset, schedule, when it begins and ends on a day, naming."""
        found = _IDENTITY.fullmatch(self.id)
        if found is None:
            raise ValueError(f"{self.id!r} is no schedule that we know")
        dataset, when, begin, end, naming = found.groups()
        return dataset, when.split(), begin, end, naming

    def identified(self) -> dict[str, Json]:
        dataset, when, begin, end, naming = self._parts
        schedule = dict(zip(PARTS, when, strict=True)) | {"begin": begin, "end": end}
        return {
            "dataset": dataset,
            "naming_schema": naming,
            "schedule": schedule,
            "recursive": bool(self.values.get(RECURSIVE.name, False)),
        }

    def changed(self, old: Self | None) -> dict[str, Json]:
        """How long they are kept is two members."""
        members = super().changed(old)
        if isinstance(kept := members.pop(KEEP.api, None), str):
            number, unit = kept.split()
            members |= {"lifetime_value": int(number), "lifetime_unit": unit}
        return members

    def declare(self, lab: Lab) -> Fragment:
        dataset, when, begin, end, naming = self._parts
        said: dict[str, str] = {"dataset": dataset, "schedule": " ".join(when)}
        if naming != NAMING:
            said["naming"] = naming
        if f"{begin}-{end}" != WHOLE_DAY:
            said |= {"begin": begin, "end": end}
        name = " ".join([dataset, *when, *([naming] if naming != NAMING else [])])
        return self.part(lab, "snapshot-tasks", name, **said)


def _field(text: str) -> str:
    """A field of a schedule: the array writes minute 0 as 00."""
    return str(int(text)) if text.isdecimal() else text
