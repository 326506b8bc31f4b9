"""One installation of the controller: everything made from its settings, and let go again.

The faces (command line, HTTP) get what they need from here and make nothing themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from controller.clock import Clock, SystemClock
from controller.desired import Commits
from controller.devices import Device
from controller.families import FAMILIES
from controller.gate import TwinGate
from controller.history import History, open_history
from controller.keeping import open_journal
from controller.lease import only_process
from controller.loop import Controller, Pace
from controller.managed import Key, Managed
from controller.placing import place_new
from controller.planning import wanted_things
from controller.reconcile import Gate
from controller.secrets import Vault, resolve
from controller.settings import Apply, Settings
from controller.source import Source
from controller.triggers import Triggers
from controller.world import World
from lab.lab import Lab

PARALLEL = 4  # devices at work at a time


@dataclass(frozen=True)
class Installation:
    """All parts of one controller."""

    settings: Settings
    history: History
    source: Source
    commits: Commits
    world: World
    gate: Gate
    triggers: Triggers
    controller: Controller


@contextmanager
def install(
    settings: Settings,
    *,
    apply: Apply | None = None,
    clock: Clock | None = None,
    gate: Gate | None = None,
    progress: Callable[[str], None] = lambda _text: None,
) -> Iterator[Installation]:
    """The controller of `settings`, alone in its state folder while the context lasts.

    `apply` and `gate` override the usual ones; `progress` hears of the rehearsal. Raises Refused if
    another process works there, SettingsInvalid for secrets that are not there, HistoryAway.
    """
    settings.check_secrets("pve", "nas", "linux")
    with ExitStack() as opened:
        holder = opened.enter_context(only_process(settings.state_folder))
        history = open_history(settings.history_url)
        opened.callback(history.close)
        journal = open_journal(settings.state_folder / "journal", history)
        opened.callback(journal.close)
        now = clock or SystemClock()
        vault = Vault(lambda reference: resolve(reference, settings.folder))
        vault.learn(history.owned().values())  # also of what is not declared any more
        devices = devices_of(settings, now, vault)
        for device in devices:
            opened.callback(device.close)
        kinds = {device.name: device.kinds for device in devices}
        written = settings.source
        mirror = settings.state_folder / "mirror"
        source = Source(settings.remote, written.branch, written.path, mirror)

        def things(lab: Lab) -> Mapping[Key, Managed]:
            found = wanted_things(lab, kinds)
            vault.learn(found.values())
            return found

        commits = Commits(source, history, things)
        trails = {device.name: device.trail for device in devices if device.trail is not None}
        world = World(devices, journal, now, trails, PARALLEL, place_new)
        judge = gate or TwinGate(settings.rehearse, progress)
        triggers = Triggers()
        controller = Controller(
            commits,
            world,
            history,
            judge,
            triggers,
            holder=holder,
            apply=apply or settings.apply,
            pace=Pace(written.poll_s, settings.drift_s),
        )
        opened.callback(controller.let_go)
        yield Installation(settings, history, source, commits, world, judge, triggers, controller)


def devices_of(settings: Settings, clock: Clock, vault: Vault) -> Sequence[Device]:
    """The ways to all devices of the settings. Raises SecretMissing."""
    return [device for family in FAMILIES for device in family.opened(settings, clock, vault)]
