"""A small real device for the engine's tests: a folder of JSON files behind a Port, and its kinds.

It survives the process that writes to it, rewrites values as real devices do (sizes become MiB,
texts lose blanks), runs slow tasks, and has switches for what goes wrong on the way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from controller.clock import Clock
from controller.devices import Device
from controller.managed import Context, Cost, Fragment, Key, Managed, Mark, Policy, Value
from controller.secrets import SecretMissing
from controller.step import Answers, Query, Rest, Step
from lab.errors import DeviceError, Refused
from lab.item import Owned
from lab.lab import Lab
from lab.units import format_size

MIB = 2**20
CLUSTERS = "clusters: {a: {version: '8', corosync: {links: []}}}"


class ManualClock:
    """Time that passes only when somebody waits."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s
        self.slept: list[float] = []

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@dataclass
class Shelf:
    """The device and the way to it. Paths are `/pool` and `/pool/students`."""

    folder: Path
    clock: Clock
    device: str = "shelf/a"
    slow_s: float = 0.0  # a change is a task that takes this long
    ha_lag_s: float = 5.0  # HA shows a change only after a while, without a task
    faults: dict[int, str] = field(default_factory=dict)  # number of the send -> what goes wrong
    deny: set[str] = field(default_factory=set)  # queries that are not allowed
    busy: dict[str, int] = field(default_factory=dict)  # queries that fail so many times first
    says: dict[str, object] = field(default_factory=dict)  # what it answers in place of the truth
    down: bool = False
    on_event: Callable[[Step], None] | None = None  # a task has begun, or its effect is there
    asked: list[str] = field(default_factory=list)
    sent: int = 0

    def ask(self, query: Query) -> object:
        self.asked.append(query.text)
        if self.down:
            raise DeviceError(self.device, "no route to host", retryable=True)
        if query.path in self.deny:
            raise DeviceError(self.device, f"{query.path}: permission denied", status=403)
        if self.busy.get(query.path, 0) > 0:
            self.busy[query.path] -= 1
            raise DeviceError(self.device, "got timeout", retryable=True, status=500)
        if query.path in self.says:
            return self.says[query.path]
        self._run_due()
        _, kind, *rest = query.path.split("/")
        if rest:
            if not (file := self._file(kind, rest[0])).exists():
                raise DeviceError(self.device, f"{query.path} does not exist", status=404)
            return json.loads(file.read_text())
        return sorted(path.stem for path in (self.folder / kind).glob("*.json"))

    def send(self, step: Step) -> object:
        assert isinstance(step, Rest)
        number, self.sent = self.sent, self.sent + 1
        fault = self.faults.get(number, "")
        if fault == "busy":
            raise DeviceError(
                self.device, "can't lock file: got timeout", retryable=True, status=503
            )
        if fault == "no secret":
            raise SecretMissing("secret://env/X: the environment has no X")
        if fault == "refused" or self.down:
            raise DeviceError(self.device, "no" if fault else "no route", retryable=not fault)
        self._check(step)
        lag_s = self.ha_lag_s if step.path.startswith("/ha") else self.slow_s
        self._begin(step, lag_s)
        if fault in ("lost", "cut off"):
            self.down = fault == "cut off"
            raise DeviceError(self.device, "connection reset by peer", retryable=True)
        if lag_s == self.slow_s > 0:
            self._tell(step)
            self.clock.sleep(self.slow_s)
        self._run_due()
        self._tell(step)
        return None

    def _tell(self, step: Step) -> None:
        if self.on_event is not None:
            self.on_event(step)

    def settle(self, step: Step, since_s: float) -> None:
        if self.down:
            raise DeviceError(self.device, "no route to host", retryable=True)
        for task in self._tasks():
            late = task["due_s"] > self.clock.now() and not task["path"].startswith("/ha")
            if late and task["step"] == str(step):
                self.clock.sleep(task["due_s"] - self.clock.now())
        self._run_due()

    @property
    def log(self) -> list[str]:
        """Every change that the device made, in order."""
        file = self.folder / "log"
        return file.read_text().splitlines() if file.exists() else []

    def documents(self) -> dict[str, Any]:
        """Everything that the device holds: `pool/students` -> document."""
        self._run_due()
        return {
            f"{file.parent.name}/{file.stem}": json.loads(file.read_text())
            for file in sorted(self.folder.glob("*/*.json"))
            if file.parent.name != "tasks"
        }

    def by_hand(self, kind: str, name: str, /, **values: object) -> None:
        """What somebody does at the device itself; None unsets."""
        self._write(kind, name, values)

    def remove_by_hand(self, kind: str, name: str) -> None:
        """Somebody deletes a thing."""
        self._file(kind, name).unlink()

    def _check(self, step: Rest) -> None:
        _, kind, *rest = step.path.split("/")
        name = rest[0] if rest else str(step.params["id"])
        there = self._file(kind, name).exists()
        if step.method == "POST" and there:
            raise DeviceError(self.device, f"{kind} {name} already exists", status=500)
        if step.method != "POST" and not there and kind != "options":
            raise DeviceError(self.device, f"{kind} {name} does not exist", status=500)

    def _begin(self, step: Rest, lag_s: float) -> None:
        tasks = self.folder / "tasks"
        tasks.mkdir(parents=True, exist_ok=True)
        number = len(self.log) + len(list(tasks.iterdir()))
        due_s = self.clock.now() + lag_s
        task = {"due_s": due_s, "step": str(step), "method": step.method, "path": step.path}
        text = json.dumps({**task, "params": dict(step.params)})
        _replace(tasks / f"{number:06}.json", text)
        self._run_due()

    def _tasks(self) -> list[dict[str, Any]]:
        files = sorted((self.folder / "tasks").glob("*.json"))
        return [{**json.loads(file.read_text()), "file": file} for file in files]

    def _run_due(self) -> None:
        for task in self._tasks():
            if task["due_s"] > self.clock.now():
                continue
            _, kind, *rest = task["path"].split("/")
            if task["method"] == "DELETE":
                self._file(kind, rest[0]).unlink()
            else:
                params = dict(task["params"])
                self._write(kind, rest[0] if rest else str(params.pop("id")), params)
            with (self.folder / "log").open("a") as log:
                log.write(f"{task['step']}\n")
            task["file"].unlink()

    def _write(self, kind: str, name: str, params: Mapping[str, Any]) -> None:
        file = self._file(kind, name)
        document = json.loads(file.read_text()) if file.exists() else {}
        for key, value in params.items():
            document[key] = value.strip() if isinstance(value, str) else value
        kept = {key: value for key, value in document.items() if value is not None}
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, json.dumps(kept, sort_keys=True))

    def _file(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{name}.json"


def _replace(file: Path, text: str) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(text)
    draft.replace(file)


@dataclass(frozen=True)
class Thing(Managed):
    """What the kinds of a shelf share: documents are flat, `size` in MiB."""

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield Query(f"/{cls.kind}")
        for name in _names(answers, cls.kind):
            yield Query(f"/{cls.kind}/{name}", about=name)

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for name in _names(answers, cls.kind):
            if (document := answers.get(f"/{cls.kind}/{name}")) is not None:
                if not isinstance(document, dict):
                    raise DeviceError(device, f"/{cls.kind}/{name} is no map")
                yield cls.made(device, name, dict(map(_read, document.items())))

    @classmethod
    def made(cls, device: str, name: str, values: Mapping[str, Value | Mark]) -> Self:
        """A thing with what it needs."""
        thing = cls(Key(device, cls.kind, name), values)
        return replace(thing, needs=frozenset(thing.need()))

    @classmethod
    def of(cls, lab: Lab, device: str, name: str, word: str, entry: str, item: Owned,
           values: Mapping[str, Value | Mark]) -> Self:  # fmt: skip
        """A wanted thing: what was written, and where."""
        path = (word, entry)
        said = {
            value: place
            for value in values
            if (place := lab.place(*path, *value.removesuffix("_bytes").split("."))) is not None
        }
        policy = Policy(frozenset(item.manage), item.protect, item.drift)
        return replace(cls.made(device, name, values), path=path, origin=said, policy=policy)

    def need(self) -> Iterator[Key]:
        """What must be there."""
        yield from ()

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        return Cost.NONE

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        if old is None:
            yield Rest("POST", f"/{self.kind}", {"id": self.key.id, **self._params(None)})
        elif params := self._params(old):
            yield Rest("PUT", f"/{self.kind}/{self.key.id}", params)

    def remove(self, context: Context) -> Iterator[Step]:
        yield Rest("DELETE", f"/{self.kind}/{self.key.id}")

    def _params(self, old: Self | None) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for name, value in self.values.items():
            if value is Mark.RESET:
                below = [n for n in (old.values if old else ()) if f"{n}.".startswith(f"{name}.")]
                params |= dict.fromkeys(map(_document_name, below))
            elif old is None or old.values.get(name) != value:
                params[_document_name(name)] = _document_value(name, value)
        return params


def _names(answers: Answers, kind: str) -> list[str]:
    found = answers.get(f"/{kind}", [])
    if not isinstance(found, list):
        raise TypeError(f"{found!r} is no list")
    return found


def _document_name(name: str) -> str:
    return name.replace("_bytes", "_mib")


def _document_value(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return ",".join(value)
    return value // MIB if name.endswith("_bytes") else value


def _read(item: tuple[str, Any]) -> tuple[str, Value]:
    name, value = item
    if name.endswith("_mib"):
        return name.replace("_mib", "_bytes"), value * MIB
    return name, tuple(value.split(",")) if name == "tags" else value


@dataclass(frozen=True)
class Pool(Thing):
    """A pool has a comment."""

    kind = "pool"
    words = ("pools",)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, pool in lab.pools.items():
            if pool.clusters is None or device.removeprefix("shelf/") in pool.clusters:
                values = _written(lab, ("pools", name), comment=pool.comment)
                yield cls.of(lab, device, name, "pools", name, pool, values)

    def declare(self, lab: Lab) -> Fragment:
        clusters = [self.key.device.removeprefix("shelf/")]
        return {"pools": {self.key.id: {"clusters": clusters, **self.values}}}


@dataclass(frozen=True)
class Guest(Thing):
    """A guest is in a pool and has disks, which are owned one by one."""

    kind = "guest"
    words = ("guests",)
    owned_maps: ClassVar[tuple[str, ...]] = ("disks",)

    @classmethod
    def default(cls, field_name: str) -> Value | None:
        return 1 if field_name == "cores" else None

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, guest in lab.guests.items():
            if f"shelf/{guest.cluster}" != device:
                continue
            path = ("guests", name)
            values = _written(lab, path, name=name, cores=guest.cores, memory_bytes=guest.memory,
                              pool=guest.pool, tags=tuple(sorted(guest.tags)),
                              description=guest.description)  # fmt: skip
            unsaid = {"cores", "memory", "tags"} - guest.written
            values = {n: v for n, v in values.items() if n.removesuffix("_bytes") not in unsaid}
            for slot, disk in guest.disks.items():
                values[f"disks.{slot}.storage"] = disk.storage
                values[f"disks.{slot}.size_bytes"] = disk.size
            gone = [path[2:] for path in lab.resets if path[:3] == ("guests", name, "disks")]
            values |= {".".join(path): Mark.RESET for path in gone}
            yield cls.of(lab, device, str(guest.vmid), "guests", name, guest, values)

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        for name, size in self.values.items():
            before = old.values.get(name, 0) if old and name.startswith("disks.") else 0
            if isinstance(size, int) and isinstance(before, int) and size < before:
                raise Refused(f"{name} can't shrink", "write the size that it has")
        for step in super().steps(old, context):
            assert isinstance(step, Rest)
            params = dict(step.params)
            tags = {} if old else {name: params.pop(name) for name in ("tags",) if name in params}
            yield replace(step, params=params)
            if tags:  # a new guest takes its tags in a second step
                yield Rest("PUT", f"/guest/{self.key.id}", tags)

    def need(self) -> Iterator[Key]:
        if isinstance(pool := self.values.get("pool"), str) and not isinstance(pool, Mark):
            yield Key(self.key.device, "pool", pool)

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        if field_name.startswith("disks."):
            return Cost.REPLACE if field_name.count(".") == 1 else Cost.LIVE
        return Cost.REBOOT if self.key in context.running and "memory" in field_name else Cost.NONE

    def declare(self, lab: Lab) -> Fragment:
        cluster = self.key.device.removeprefix("shelf/")
        entry: dict[str, Any] = {"vmid": int(self.key.id), "cluster": cluster}
        disks: dict[str, Any] = {}
        for name, value in self.values.items():
            said: Any = list(value) if isinstance(value, tuple) else value
            said = format_size(said) if name.endswith("_bytes") else said
            if name.startswith("disks."):
                _, slot, leaf = name.split(".")
                disks.setdefault(slot, {})[leaf.removesuffix("_bytes")] = said
            elif name != "name":
                entry[name.removesuffix("_bytes")] = said
        more = {"disks": disks} if disks else {}
        return {"guests": {str(self.values["name"]): entry | more}}


@dataclass(frozen=True)
class Ha(Thing):
    """A guest under HA; the device shows it later."""

    kind = "ha"
    words = ("guests",)
    settles_s: ClassVar[float] = 20.0

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, guest in lab.guests.items():
            if guest.ha is not None and f"shelf/{guest.cluster}" == device:
                values = {n: getattr(guest.ha, n) for n in sorted(guest.ha.written)}
                yield cls.of(lab, device, str(guest.vmid), "guests", name, guest, values)

    def need(self) -> Iterator[Key]:
        yield Key(self.key.device, "guest", self.key.id)

    def declare(self, lab: Lab) -> Fragment:
        names = [n for n, guest in lab.guests.items() if str(guest.vmid) == self.key.id]
        return {"guests": {names[0]: {"ha": dict(self.values)}}} if names else {}


@dataclass(frozen=True)
class Options(Thing):
    """The options of the device: always there."""

    kind = "options"
    words = ("clusters",)
    inherent = True

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield Query("/options/main")

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        document = answers["/options/main"]
        assert isinstance(document, dict)
        yield cls.made(device, "main", dict(map(_read, document.items())))

    @classmethod
    def default(cls, field_name: str) -> Value | None:
        return "en-us" if field_name == "keyboard" else None

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        name = device.removeprefix("shelf/")
        if (cluster := lab.clusters.get(name)) is not None:
            options = cluster.options
            values = _written(lab, ("clusters", name, "options"), keyboard=options.keyboard)
            yield cls.of(lab, device, "main", "clusters", name, cluster, values)

    def declare(self, lab: Lab) -> Fragment:
        cluster = self.key.device.removeprefix("shelf/")
        return {"clusters": {cluster: {"options": dict(self.values)}}}


KINDS: tuple[type[Managed], ...] = (Options, Pool, Guest, Ha)


def context(device: str, answers: Answers) -> Context:
    """Guests with `running` in their tags run; `in_force` in a document is what they run with."""
    guests = {key: doc for key, doc in answers.items() if key.startswith("/guest/")}
    running = {
        Key(device, "guest", name.removeprefix("/guest/"))
        for name, document in guests.items()
        if isinstance(document, dict) and "running" in str(document.get("tags"))
    }
    return Context(running=frozenset(running))


def shelf(folder: Path, clock: Clock, name: str = "shelf/a") -> Shelf:
    """An installed, empty device."""
    made = Shelf(folder / name.replace("/", "-"), clock, name)
    made.by_hand("options", "main")
    return made


def device(port: Shelf, kinds: tuple[type[Managed], ...] = KINDS) -> Device:
    """The shelf as the engine sees it."""
    return Device(port.device, port, kinds, context)


def _written(lab: Lab, path: tuple[str, ...], **values: Any) -> dict[str, Value | Mark]:
    resets = {reset[-1] for reset in lab.resets if reset[:-1] == path}
    reset: dict[str, Value | Mark] = {
        name: Mark.RESET for name in values if name.removesuffix("_bytes") in resets
    }
    return {name: value for name, value in values.items() if value is not None} | reset
