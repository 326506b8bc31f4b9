"""What is ours, from the journal into the history.

At a step's `begun` at once, before the step is sent, so that another controller that takes over
sees no stranger in what we made; the rest when a pass begins and when it has executed. Then the
journal is cleared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.history import History
from controller.journal import Event, FileJournal, Journal, Record, doubts, ownership
from controller.managed import Key
from controller.owned import Ownership
from controller.recover import recover
from controller.world import World


def open_journal(path: Path, history: History) -> FileJournal:
    """The journal of a state folder, as an earlier process left it. Raises Refused."""

    def keep(record: Record) -> None:
        if record["event"] == Event.BEGUN:
            key = Key(*record["key"])
            history.take_over(ownership(history.owned(key), [record]))

    return FileJournal(path, keep)


@dataclass(frozen=True)
class Settled:
    """What is ours, and what may still be at work; `findings`: what a crash had left behind."""

    owned: Ownership
    in_doubt: Mapping[Key, str]
    findings: tuple[str, ...] = ()


def settle(world: World, history: History, owned: Ownership) -> Settled:
    """Look at what was begun, keep what the journal says, and clear it.

    `owned`: as when the journal began.
    """
    recovery = recover(world.journal, world.devices, world.clock, owned)
    if recovery.changed:
        history.take_over(recovery.changed)
    if not recovery.in_doubt and world.journal.records:
        world.journal.clear()
    return Settled(recovery.owned(owned), recovery.in_doubt, recovery.findings)


def disown(journal: Journal) -> None:
    """Another controller has led since the journal was written, and what it knows is newer.

    Only steps in doubt are kept: nobody else can look at them.
    """
    begun = {Key(*record["key"]): record for record in journal.records}
    doubtful = [begun[doubt.key] for doubt in doubts(journal.records)]
    journal.clear()
    for record in doubtful:
        journal.write(record)
