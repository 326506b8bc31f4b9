"""Membership and quorum, against real corosync daemons that run beside the twin.

    script -> real daemons: what each act came to  \\
                                                     -> cases
           -> the twin, under each seed: the same  /

An act is a line such as `split 1 2 | 3`. The real cluster goes on to the next one when its nodes
say what the network allows and have said so for a while; the twin is given time enough. Compared
are, after each act, for every running node whether it is quorate, among how many and of how many
votes; and when the token was lost, the last membership formed and the last verdict changed.

Needs what `simulator.emulate.corosync` needs. All scripts run at once and take about as long as the
longest, half a minute; a machine that is busy with other things makes daemons late.

Times are not compared after acts with `~`: how long a daemon takes to start is the machine's
matter; with one link cut the token may be lost before knet goes over to the other, by chance; parts
that are split and joined at once may need several attempts; and a client of the quorum device that
is killed hangs up, while a node of the twin that is off says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.faults import Fault, FaultKind
from lab.load import load
from simulator.build import twin_of
from simulator.emulate.corosync import Cluster, Quorum, missing
from simulator.faults import restore
from simulator.fidelity.case import SEEDS, Case, same
from simulator.fidelity.corosync import DEVICE, about, site, view
from simulator.membership.corosync import TO_MEMBERSHIP, leave, token_ms
from simulator.twin import Twin

LIMIT_S = 60.0  # for a membership to form on a busy machine; five nodes take 10.9 s on an idle one
UNTIMED = "~"
ACT_S = 60.0  # of the twin's time, for each act
KINDS = {
    "token lost": ("token-lost",),
    "membership": ("membership",),
    "verdict": ("quorum-lost", "quorum-regained"),
}


@dataclass(frozen=True)
class Script:
    """What is done to a cluster. `quiet_s`: how long its answers must stay as they are."""

    name: str
    nodes: int
    settings: Mapping[str, object]  # in the words of the language
    acts: Sequence[str]
    quiet_s: float = 0.5

    @property
    def device(self) -> str:
        """The algorithm of the quorum device, if there is one."""
        device = self.settings.get("qdevice")
        return str(device["algorithm"]) if isinstance(device, dict) else ""


def _device(algorithm: str) -> dict[str, object]:
    return {"qdevice": {"host": DEVICE, "vlan": "device", "algorithm": algorithm}}


SHORT = {"token-ms": 1000}
STANDING = {"wait-for-all": True, "last-man-standing": True, "last-man-standing-window-ms": 1000}
SCRIPTS = (
    Script(
        "two-node",
        2,
        {"two-node": True},
        ("~start 1", "~start 2", "split 1 | 2", "heal", "kill 2", "~kill 1", "~start 1"),
    ),
    Script("three", 3, {}, ("~start 1 2 3", "split 1 2 | 3", "heal", "stop 3", "kill 2")),
    Script("four", 4, {}, ("~start 1 2 3 4", "split 1 2 | 3 4", "heal", "kill 4")),
    Script("five", 5, {}, ("~start 1 2 3 4 5", "split 1 2 3 | 4 5", "heal")),
    Script(
        "coefficient",
        4,
        {"token-coefficient-ms": 125},
        ("~start 1 2 3 4", "split 1 | 2 3 4", "heal", "kill 3 4"),
    ),
    Script("links", 3, SHORT, ("~start 1 2 3", "split 1 | 2 | 3", "heal", "~cut 3 0")),
    Script(
        "expected-votes",
        3,
        {**SHORT, "expected-votes": 5},
        ("~start 1 2 3", "split 1 2 | 3", "heal"),
    ),
    Script(
        "wait-for-all",
        3,
        {**SHORT, "wait-for-all": True},
        ("~start 1 2", "~start 3", "kill 3", "~start 3", "kill 2 3", "~start 2", "~start 3"),
    ),
    Script(
        "last-man-standing",
        4,
        {**SHORT, **STANDING},
        ("~start 1 2 3 4", "kill 4", "kill 3", "kill 2", "~start 2", "~start 3"),
        quiet_s=1.5,
    ),
    Script(
        "auto-tie-breaker",
        4,
        {**SHORT, "auto-tie-breaker": True},
        (
            *("~start 1 2", "~start 3 4", "split 1 2 | 3 4", "heal"),
            *("split 1 | 2 3 4", "~split 1 4 | 2 3"),
        ),
    ),
    Script(
        "ffsplit",
        2,
        {**SHORT, **_device("ffsplit")},
        ("~start 1 2", "~split 1 | 2", "~heal", "~kill device", "~kill 1"),
    ),
    Script(
        "lms",
        3,
        {**SHORT, **_device("lms")},
        ("~start 1 2 3", "~split 1 | 2 | 3", "~heal", "~kill 1 2"),
    ),
)


@dataclass
class Stage:
    """Who runs and who is joined to whom, as the acts have it so far."""

    nodes: Sequence[int]
    running: set[int] = field(default_factory=set)
    groups: list[frozenset[int]] = field(default_factory=list)

    def follow(self, act: str) -> None:
        """Let an act happen."""
        verb, numbers = _parsed(act)
        match verb:
            case "start":
                self.running |= {*numbers}
            case "kill" | "stop":
                self.running -= {*numbers}
            case "split":
                self.groups = _groups(act)
            case "heal":
                self.groups = []

    def together(self, number: int) -> frozenset[int]:
        """The running nodes with which a node can be a member."""
        groups = self.groups or [frozenset(self.nodes)]
        return next(group for group in groups if number in group) & self.running


@dataclass(frozen=True)
class Outcome:
    """What an act came to: by node `quorate among 2 of 3`, and times from the act, in seconds."""

    said: Mapping[str, str]
    times_s: Mapping[str, float | None]


def cases() -> Iterator[Case]:
    """Every comparison of every script. Raises VlabError where no namespaces can be made."""
    threads = ThreadPoolExecutor(len(SCRIPTS))
    with TemporaryDirectory(prefix="vlab-corosync-") as folder, threads as pool:
        found = [*pool.map(partial(_real, Path(folder)), SCRIPTS)]
    for script, (timers_ms, real) in zip(SCRIPTS, found, strict=True):
        twins = [run_twin(script, seed) for seed in SEEDS]
        yield from compared(script, timers_ms, real, twins)


def why_not() -> str:
    """What keeps the scripts from running here; empty if nothing."""
    return missing(device=True)


def compared(
    script: Script,
    timers_ms: Mapping[str, int],
    real: Sequence[Outcome],
    twins: Sequence[Sequence[Outcome]],
) -> Iterator[Case]:
    """The real outcomes beside those of the twin under each seed."""
    token = token_ms(_twin(script, 0).model, "a")
    ours = {"token": token, "consensus": (TO_MEMBERSHIP - 1) * token}
    for timer, said_ms in timers_ms.items():
        yield same(f"{script.name}/{timer}", f"{said_ms} ms", [f"{ours[timer]:.0f} ms"])
    for number, (act, outcome) in enumerate(zip(script.acts, real, strict=True)):
        name = f"{script.name}/{number + 1} {act.removeprefix(UNTIMED)}:"
        others = [outcomes[number] for outcomes in twins]
        for node, said in outcome.said.items():
            yield same(f"{name} {node}", said, [other.said[node] for other in others])
        if not act.startswith(UNTIMED):
            for what, at_s in outcome.times_s.items():
                yield about(f"{name} {what}", at_s, [other.times_s[what] for other in others])


# Real daemons


def _real(folder: Path, script: Script) -> tuple[dict[str, int], list[Outcome]]:
    own = folder / script.name
    own.mkdir()
    return run_real(script, own)


def run_real(script: Script, folder: Path) -> tuple[dict[str, int], list[Outcome]]:
    """Timers in force, in milliseconds, and what each act came to. `folder`: for configurations and
    logs.
    """
    words = {key.replace("-ms", "").replace("-", "_"): v for key, v in script.settings.items()}
    totem = {key: int(str(v)) for key, v in words.items() if key.startswith("token")}
    quorum = {
        key: int(v) if isinstance(v, int) else str(v)
        for key, v in words.items()
        if key not in totem and key != "qdevice"
    }
    stage = Stage(range(1, script.nodes + 1))
    with Cluster(folder, script.nodes, totem=totem, quorum=quorum, device=script.device) as cluster:
        outcomes = [_act(cluster, stage, act, script.quiet_s) for act in script.acts]
        some = min(stage.running)
        timers = {timer: cluster.timer_ms(some, timer) for timer in ("token", "consensus")}
    return timers, outcomes


def _act(cluster: Cluster, stage: Stage, act: str, quiet_s: float) -> Outcome:
    begin_s = time.time()
    verb, numbers = _parsed(act)
    match verb:
        case "start":
            cluster.start(*numbers)
        case "stop":
            cluster.stop(*numbers)
        case "kill" if not numbers:
            cluster.kill_device()
        case "kill":
            cluster.kill(*numbers)
        case "cut":
            cluster.cut(*numbers)
        case "split":
            cluster.split(*_groups(act))
        case "heal":
            cluster.heal()
    stage.follow(act)
    cluster.until(partial(_formed, cluster, stage), LIMIT_S)
    if verb == "cut":
        cluster.until(partial(_link_down, cluster, numbers[0], begin_s), LIMIT_S)
    said = _quiet(cluster, stage, quiet_s)
    return Outcome(said, _times_s(cluster, stage, begin_s, numbers if verb == "start" else ()))


def _formed(cluster: Cluster, stage: Stage) -> bool:
    return all(cluster.members(node) == stage.together(node) for node in stage.running)


def _link_down(cluster: Cluster, number: int, since_s: float) -> bool:
    return any("is down" in entry.text for entry in cluster.log(number, since_s))


def _quiet(cluster: Cluster, stage: Stage, quiet_s: float) -> dict[str, str]:
    """What the running nodes say, once they have said the same for some time."""

    def said() -> dict[str, str]:
        return {f"n{node}": _said(cluster.quorum(node)) for node in sorted(stage.running)}

    def differs(before: dict[str, str]) -> bool:
        return said() != before

    last, end_s = said(), time.monotonic() + LIMIT_S
    while cluster.until(partial(differs, last), quiet_s) and time.monotonic() < end_s:
        last = said()
    return last


def _said(quorum: Quorum | None) -> str:
    if quorum is None:
        return "no answer"
    verdict = "quorate" if quorum.quorate else "blocked"
    return f"{verdict} among {quorum.nodes} of {quorum.expected}"


def _times_s(
    cluster: Cluster, stage: Stage, begin_s: float, started: Iterable[int]
) -> dict[str, float | None]:
    """A node that has just started is alone at first: that is no news."""
    lost, formed, decided = [], [], []
    for node in stage.running:
        for at_s, _, text in cluster.log(node, begin_s):
            if text.startswith("A processor failed"):
                lost.append(at_s - begin_s)
            elif text.startswith("Sync members[") and not (
                node in started and text.startswith("Sync members[1]")
            ):
                formed.append(at_s - begin_s)
            elif text.startswith("This node is within the"):
                decided.append(at_s - begin_s)
    return {
        "token lost": min(lost, default=None),
        "membership": max(formed, default=None),
        "verdict": max(decided, default=None),
    }


# The twin


def run_twin(script: Script, seed: int) -> list[Outcome]:
    """What each act comes to in the twin."""
    twin, stage = _twin(script, seed), Stage(range(1, script.nodes + 1))
    twin.inject(Fault(FaultKind.NODE, f"n{number}") for number in stage.nodes)
    twin.run_until(ACT_S)
    outcomes = []
    for act in script.acts:
        begin_s = twin.now_s
        stage.follow(act)
        _follow(twin, stage, act)
        twin.run_until(begin_s + ACT_S)
        said = {f"n{node}": view(twin, f"n{node}") for node in sorted(stage.running)}
        outcomes.append(Outcome(said, _events_s(twin, begin_s)))
    return outcomes


def _twin(script: Script, seed: int) -> Twin:
    atoms = [frozenset({f"n{number}"}) for number in range(1, script.nodes + 1)]
    return twin_of(load({"lab.json": site(atoms, script.settings)}, rules=False), seed=seed)


def _follow(twin: Twin, stage: Stage, act: str) -> None:
    verb, numbers = _parsed(act)
    match verb:
        case "start":
            for number in numbers:
                restore(twin, f"node n{number}")
        case "stop":
            for number in numbers:
                leave(twin, f"n{number}")
        case "kill" if not numbers:
            twin.inject([Fault(FaultKind.BACKUP_SERVER, DEVICE)])
        case "kill":
            twin.inject(Fault(FaultKind.NODE, f"n{number}") for number in numbers)
        case "cut":
            twin.inject([Fault(FaultKind.CABLE, f"n{numbers[0]}-{numbers[1]}")])
        case "split" | "heal":
            _rewire(twin, stage)


def _rewire(twin: Twin, stage: Stage) -> None:
    """Cut every cable between groups, mend all others."""
    for subject in [text for text in twin.state.faults if text.startswith("cable ")]:
        restore(twin, subject)
    groups = stage.groups or [frozenset(stage.nodes)]
    twin.inject(
        Fault(FaultKind.CABLE, f"{one - 1}-{other - 1}")
        for one, other in combinations(stage.nodes, 2)
        if not any({one, other} <= group for group in groups)
    )


def _events_s(twin: Twin, begin_s: float) -> dict[str, float | None]:
    events = [event for event in twin.trace if event.at_s >= begin_s]
    return {
        what: max((event.at_s - begin_s for event in events if event.kind in kinds), default=None)
        for what, kinds in KINDS.items()
    }


def _parsed(act: str) -> tuple[str, list[int]]:
    """`kill 1 2` -> kill, [1, 2]; `kill device` names no node."""
    verb, *words = act.removeprefix(UNTIMED).split()
    return verb, [int(word) for word in words if word.isdecimal()]


def _groups(act: str) -> list[frozenset[int]]:
    """`split 1 2 | 3` -> {1, 2}, {3}."""
    return [frozenset(map(int, part.split())) for part in act.partition(" ")[2].split("|")]
