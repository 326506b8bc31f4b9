"""The regression suite's clock: a list of commands played on a cluster, and the log it makes.

    commands + cluster -> play -> log

A round is every node's CRM, LRM and all watchdogs, in order of names; after every fifth round the
next commands are carried out. Nobody sleeps: time passes a second a daemon, then to the next round.
Source: PVE::HA::Sim of pve-ha-manager.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.cluster import crm, guests, lrm
from simulator.cluster.hardware import set_power, shoot, start_lrm
from simulator.cluster.script import ScriptError, execute
from simulator.cluster.state import CRM, LRM, Cluster

ROUND_S = 20
NODE_S = 2  # what a node takes of a round
LONGEST_ROUND_S = 60  # as the watchdog
ROUNDS_PER_ENTRY = 5
QUIET_S = 500  # the run ends so long after its last command
LONGEST_RUN_S = 10000


@dataclass
class Play:
    """A cluster and how far its script is played; plain data, so `fork` at any instant."""

    cluster: Cluster
    entries: Sequence[Sequence[str]]
    rounds: int = 0
    next_command_s: float = 0
    last_command_s: float = 0
    skips: dict[str, int] = field(default_factory=lambda: {CRM: 0, LRM: 0})

    def fork(self) -> Play:
        """Another that goes on from here by itself."""
        return Play(
            self.cluster.fork(),
            self.entries,
            self.rounds,
            self.next_command_s,
            self.last_command_s,
            dict(self.skips),
        )


def play(cluster: Cluster, entries: Sequence[Sequence[str]]) -> str:
    """Play a case to its end; returns the whole log as text."""
    game = Play(cluster, entries)
    cluster.tell_hardware("starting simulation")
    try:
        while advance(game):
            pass
    except ScriptError as error:
        cluster.tell_hardware(f"exit simulation - {error} ", level="err")
    else:
        cluster.tell_hardware("exit simulation - done")
    return "".join(f"{entry}\n" for entry in cluster.log)


def advance(game: Play) -> bool:
    """Play one round and the commands that are due after it; False at the end.

    Raises ScriptError for a command that can't be carried out, and for a run without end.
    """
    cluster = game.cluster
    _round(game)
    if cluster.now_s < game.next_command_s:
        return True
    if game.rounds % ROUNDS_PER_ENTRY == 0:
        entry = game.rounds // ROUNDS_PER_ENTRY
        if entry < len(game.entries):
            for command in game.entries[entry]:
                _execute(game, command)
                game.last_command_s = cluster.now_s
        elif cluster.now_s - game.last_command_s > QUIET_S:
            return False
    game.rounds += 1
    return True


def _round(game: Play) -> None:
    cluster, start_s = game.cluster, game.cluster.now_s
    nodes = sorted(cluster.machines)
    length_s = max(ROUND_S, NODE_S * len(nodes))
    if length_s >= LONGEST_ROUND_S:
        raise ScriptError(f"too many nodes: a round of {length_s} s outlasts the watchdog")
    for node in nodes:
        _step_crm(game, node, first=node == nodes[0])
        _step_lrm(game, node, first=node == nodes[0])
        shoot(cluster)
    game.skips = {kind: max(0, n - 1) for kind, n in game.skips.items()}
    cluster.now_s = max(cluster.now_s, start_s + length_s)
    if cluster.now_s > LONGEST_RUN_S:
        raise ScriptError("simulation end")
    cluster.clocks_s = {(node, kind): cluster.now_s for node in nodes for kind in (CRM, LRM)}


def _skipped(game: Play, kind: str, *, first: bool) -> bool:
    if game.skips[kind] and first:
        game.cluster.tell_hardware(f"skipping {kind.upper()} round", "run-loop")
    return game.skips[kind] > 0


def _tick(cluster: Cluster, node: str, kind: str) -> None:
    cluster.clocks_s[node, kind] += 1
    cluster.now_s = max(cluster.now_s, cluster.clocks_s[node, kind])


def _step_crm(game: Play, node: str, *, first: bool) -> None:
    cluster = game.cluster
    if node not in cluster.crms or _skipped(game, CRM, first=first):
        return
    cluster.clocks_s[node, CRM] = cluster.now_s
    exits = crm.iterate(cluster, node)
    _tick(cluster, node, CRM)
    if not exits:
        return
    cluster.tell(node, CRM, "info", "exit (loop end)")
    del cluster.crms[node]
    word = cluster.machines[node].shutdown
    if word:
        set_power(cluster, node, word, on=False)
    if word == "reboot":
        set_power(cluster, node, word, on=True)


def _step_lrm(game: Play, node: str, *, first: bool) -> None:
    cluster = game.cluster
    if node not in cluster.lrms or _skipped(game, LRM, first=first):
        return
    cluster.clocks_s[node, LRM] = cluster.now_s
    exits = lrm.iterate(cluster, node, guests)
    _tick(cluster, node, LRM)
    if not exits:
        return
    cluster.tell(node, LRM, "info", "exit (loop end)")
    restart = cluster.lrms.pop(node).restart
    word = cluster.machines[node].shutdown
    if restart:
        start_lrm(cluster, node)
    elif word:
        execute(cluster, f"crm {node} stop", word)


def _execute(game: Play, command: str) -> None:
    match command.split():
        case ["delay", seconds] if seconds.isdecimal():
            game.cluster.tell_hardware(f"execute {command}", "cmdlist")
            game.next_command_s = game.cluster.now_s + int(seconds)
        case ["skip-round", ("crm" | "lrm") as kind, *count] if len(count) < 2:
            game.cluster.tell_hardware(f"execute {command}", "cmdlist")
            if not all(word.isdecimal() for word in count):
                raise ScriptError(f"unknown command '{command}'")
            game.skips[kind] += int(count[0]) if count else 1
        case _:
            execute(game.cluster, command)
