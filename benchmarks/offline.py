"""What needs only the files: loading, validating, planning."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.bench import Run
from benchmarks.lab import lab_of, tree
from controller.managed import Context, Key, Managed
from controller.observed import Observed
from controller.owned import OwnedRecord
from controller.planning import plan_changes, wanted_things
from controller.pve import KINDS
from lab.lab import Lab
from lab.load import load
from lab.rules import problems
from lab.tree import read_tree

DEVICE = "pve/a"


def loading(guests: int, _opened: ExitStack) -> Run:
    """Files in memory to a judged lab."""
    files = tree(guests)
    return lambda: load(files)


def validating(guests: int, opened: ExitStack) -> Run:
    """Files on disk to every problem and warning, as `vlab validate` does."""
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
    for name, content in tree(guests).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return lambda: tuple(problems(load(read_tree(folder))))


def planning_new(objects: int, _opened: ExitStack) -> Run:
    """A plan that makes everything."""
    lab = _lab(objects)
    wanted = wanted_things(lab, {DEVICE: KINDS})
    there = {key: thing for key, thing in wanted.items() if thing.inherent}
    return lambda: plan_changes(lab, _observed(lab, there), {}, "new")


def planning_drifted(objects: int, _opened: ExitStack) -> Run:
    """A plan that changes everything back."""
    lab = _lab(objects)
    wanted = wanted_things(lab, {DEVICE: KINDS})
    changed = {key: _halved(thing) for key, thing in wanted.items()}
    return lambda: plan_changes(lab, _observed(lab, changed), _owned(wanted), "new")


def planning_nothing(objects: int, _opened: ExitStack) -> Run:
    """A plan that finds everything as it should be."""
    lab = _lab(objects)
    wanted = wanted_things(lab, {DEVICE: KINDS})
    return lambda: plan_changes(lab, _observed(lab, wanted), _owned(wanted), "new")


def _lab(objects: int) -> Lab:
    """A guest is two objects on its cluster, the machine and its entry in HA."""
    return lab_of(objects // 2)


def _observed(lab: Lab, things: Mapping[Key, Managed]) -> Observed:
    nodes = lab.members("a")
    places = {
        str(guest.vmid): nodes[number % len(nodes)]
        for number, guest in enumerate(lab.guests.values())
    }
    context = Context(locations=places, placement=places)
    return Observed(kinds={DEVICE: KINDS}, things=things, contexts={DEVICE: context})


def _owned(things: Mapping[Key, Managed]) -> Mapping[Key, OwnedRecord]:
    return {
        key: OwnedRecord("old", thing.path, thing.values, thing.policy)
        for key, thing in things.items()
    }


def _halved(thing: Managed) -> Managed:
    """The same with every number and size halved."""
    values = {
        name: value // 2 if type(value) is int else value for name, value in thing.values.items()
    }
    return replace(thing, values=values)
