"""The loop: a pass at the start, after each trigger and when a timer is due, until it is stopped.

One pass at a time, by the process that has the lease. Nothing that git, a device or the database
does ends the loop; it becomes a condition, and the next pass tries again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from controller.conditions import Condition, ConditionType, Status
from controller.desired import Commits, NothingInForce
from controller.gate import Judgement
from controller.history import History, HistoryAway
from controller.keeping import disown
from controller.lease import Lease, Tenure, acquire, release
from controller.observed import Observed
from controller.plan import Plan
from controller.reconcile import Ending, Gate, Orders, Pass, reconcile
from controller.settings import Apply
from controller.standing import Board, reconciling, without_pass
from controller.triggers import Triggers
from controller.world import World
from lab.errors import Interrupted, VlabError
from lab.lab import Lab

log = structlog.get_logger()

TIMERS = frozenset({"poll", "drift", "verify"})  # reasons that come by themselves
RETRY_MAX_S = 600.0  # between attempts at a plan that keeps failing


@dataclass(frozen=True)
class Pace:
    """How often to look at the remote and at the devices without being told to."""

    poll_s: float = 30.0
    drift_s: float = 15.0


class Controller:
    """Keeps one lab as its branch says."""

    def __init__(
        self,
        commits: Commits,
        world: World,
        history: History,
        gate: Gate,
        triggers: Triggers,
        *,
        holder: str,
        apply: Apply,
        pace: Pace | None = None,
    ) -> None:
        self._commits = commits
        self._world = world
        self._history = history
        self._gate = Remembered(gate)
        self._triggers = triggers
        self.heard: Callable[[Pass | None, float], None] = lambda _done, _took_s: None
        """Hears of each pass (None: there was none) and the seconds that it took."""
        self._holder = holder
        self._apply = apply
        self._pace = pace or Pace()
        self._retries = Retries(self._pace.drift_s)
        self._led: Lease | None = None
        self._standby = False
        self._board: Board | None = None
        self._last: tuple[str, Ending] | None = None
        self._applied = ""
        self._polled_s = self._looked_s = -math.inf

    def run(self) -> None:
        """Pass after pass, until the triggers are stopped."""
        reasons = {"start"}
        try:
            while not self._triggers.stopped:
                if reasons:
                    self.once(reasons)
                reasons = self._wait()
        finally:
            self.let_go()

    def once(self, reasons: Collection[str]) -> Pass | None:
        """One pass; None if there was none. Never raises for what the world does."""
        begun_s = self._world.clock.now()
        done = self._tried(reasons)
        self.heard(done, self._world.clock.now() - begun_s)
        return done

    def _tried(self, reasons: Collection[str]) -> Pass | None:
        why = frozenset(reasons)
        now_s = self._world.clock.now()
        self._looked_s = now_s
        if fetch := bool(why - {"drift", "verify"}):
            self._polled_s = now_s
        try:
            return self._lead(why, fetch=fetch)
        except Interrupted as stopped:
            self._show(
                [Condition(ConditionType.RECONCILING, Status.FALSE, "Interrupted", str(stopped))]
            )
            log.warning("pass interrupted", why=str(stopped))
        except HistoryAway as away:
            log.warning("history does not answer", why=str(away))
        except NothingInForce as nothing:
            self._no_pass(nothing.trouble.reason, nothing.trouble.message)
        except VlabError as error:
            self._no_pass(type(error).__name__, str(error))
        return None

    def _wait(self) -> set[str]:
        """Reasons for the next pass; none if it was only the clock that jumped."""
        timers = {
            "poll": (self._polled_s, self._pace.poll_s),
            "drift": (self._looked_s, self._pace.drift_s),
        }
        now_s = self._world.clock.now()
        reasons = self._triggers.wait(min(_left_s(*timer, now_s) for timer in timers.values()))
        now_s = self._world.clock.now()
        return reasons | {name for name, timer in timers.items() if not _left_s(*timer, now_s)}

    def _lead(self, reasons: frozenset[str], *, fetch: bool) -> Pass | None:
        """One pass with the lease; None while another controller has it."""
        clock = self._world.clock
        lease = acquire(self._history.engine, self._holder, clock.now())
        if lease is None:
            self._stand_by()
            return None
        board = self._take_up(lease)
        begun_s = clock.now()
        with Tenure(self._history.engine, lease, clock) as tenure:

            def check() -> None:
                tenure.check()
                if self._triggers.stopped:
                    raise Interrupted("asked to stop")

            desired = self._commits.look(begun_s, fetch=fetch)
            orders = Orders(
                self._apply,
                reasons,
                check,
                lambda plan: self._retries.hold(plan, reasons, clock.now()),
                lambda plan: board.show(clock.now(), reconciling(plan)),
            )
            done = reconcile(desired, self._world, self._history, self._gate, orders)
        board.show_pass(clock.now(), done)
        self._after(done, clock.now(), clock.now() - begun_s)
        return done

    def _stand_by(self) -> None:
        """Another controller leads; what is shown is what it shows."""
        if not self._standby:
            log.info("another controller has the lease", reason="LeaseHeldElsewhere")
        self._standby, self._led, self._board = True, None, None

    def _take_up(self, lease: Lease) -> Board:
        """The board, after a look at who led before us."""
        if self._led is None or self._led.token != lease.token or self._board is None:
            name = f"led by {self._holder}"
            before = self._history.recall(name)
            if before not in ("", str(lease.token)):
                disown(self._world.journal)
            self._history.remember({name: str(lease.token)})
            self._history.end_interrupted("its controller ended", self._world.clock.now())
            self._board = Board(self._history)
        self._led, self._standby = lease, False
        return self._board

    def _after(self, done: Pass, now_s: float, took_s: float) -> None:
        """What a pass means for the next one, and a line about it if it was no repetition."""
        self._retries.note(done, now_s)
        applied = done.plan.fingerprint if done.ending is Ending.APPLIED else ""
        if applied and applied != self._applied:  # where others undo what we do, the timer will do
            self._triggers.pull("verify")
        self._applied = applied
        commit = done.desired.revision.commit
        news = (commit, done.ending) != self._last or done.ending in (
            Ending.APPLIED,
            Ending.FAILED,
        )
        self._last = (commit, done.ending)
        tell = log.info if news else log.debug
        operations = len(list(done.plan.operations))
        tell(
            "pass finished",
            commit=commit[:12],
            ending=str(done.ending),
            operations=operations,
            took_s=round(took_s, 3),
        )

    def _no_pass(self, reason: str, message: str) -> None:
        log.warning("no pass", reason=reason, why=message)
        self._show(without_pass(reason, message))

    def _show(self, conditions: list[Condition]) -> None:
        """Conditions of the lab, if the history takes them and we lead."""
        if self._board is None:
            return
        try:
            self._board.show(self._world.clock.now(), conditions)
        except HistoryAway as away:
            log.warning("history does not answer", why=str(away))

    def let_go(self) -> None:
        """End here: another controller may lead at once."""
        try:
            release(self._history.engine, self._holder)
        except HistoryAway as away:
            log.warning("history does not answer", why=str(away))


def _left_s(since_s: float, every_s: float, now_s: float) -> float:
    """Until a timer is due again; 0 if it is, and if the clock was set back before its start."""
    return max(every_s - (now_s - since_s), 0.0) if now_s >= since_s else 0.0


class Remembered:
    """A gate that is not asked twice about the same plan in the same world."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._asked: tuple[object, ...] = ()
        self._said = Judgement()

    def __call__(self, plan: Plan, lab: Lab, observed: Observed) -> Judgement:
        asked = (plan.fingerprint, observed.contexts, observed.unknown, observed.doubtful)
        if asked != self._asked:
            self._said = self._gate(plan, lab, observed)
            self._asked = asked
        return self._said


class Retries:
    """A plan that failed is tried again after a while, then after twice that, and so on."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._plan = ""
        self._failures = 0
        self._again_s = 0.0
        self._why = ""

    def hold(self, plan: Plan, reasons: frozenset[str], now_s: float) -> str:
        """Why a plan is not tried now; empty if it is. What a person asks for is always tried."""
        if plan.fingerprint != self._plan or reasons - TIMERS or now_s >= self._again_s:
            return ""
        return f"failed {self._failures} times, tried again in {self._again_s - now_s:.0f} s"

    def note(self, done: Pass, now_s: float) -> None:
        """Learn from a pass."""
        if done.ending is Ending.HELD:
            return
        if done.ending is not Ending.FAILED:
            self._plan, self._failures = "", 0
            return
        fingerprint = done.plan.fingerprint
        self._failures = self._failures + 1 if fingerprint == self._plan else 1
        self._plan = fingerprint
        self._again_s = now_s + min(self._first_s * 2 ** (self._failures - 1), RETRY_MAX_S)
