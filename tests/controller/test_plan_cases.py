"""Every file of `cases/`: what was applied, what is there, what is declared now, and the plan.

A case has `about` (a sentence), `applied` (the desired state of the last commit, taken as there and
ours), `there` and `hand` (things that are there as well, fields changed by hand; null takes away),
`unknown` and `doubtful` (what did not answer), `declared` (the desired state now), `approve`, and
`plan`, the whole text. Times and places are those of the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from controller.managed import Context, Key, Managed, Mark, Values
from controller.observed import Observed
from controller.owned import OwnedRecord
from controller.planning import EVERYTHING, plan_changes, wanted_things
from controller.render import render_text
from lab.lab import Lab
from tests.controller.shelf import CLUSTERS, KINDS
from tests.labs import lab_of

FOLDER = Path(__file__).parent / "cases"
CASES = sorted(FOLDER.glob("*.yaml"))
DEVICES = {"shelf/a": KINDS}


def _key(text: str) -> Key:
    kind, _, name = text.partition(" ")
    return Key("shelf/a", kind, name)


def _made(key: Key, values: Mapping[str, Any]) -> Managed:
    kind = next(kind for kind in KINDS if kind.kind == key.kind)
    tuples = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    made: Managed = kind.made(key.device, key.id, tuples)  # type: ignore[attr-defined]
    return made


def _things(case: Mapping[str, Any], applied: Mapping[Key, Managed]) -> dict[Key, Managed]:
    options = Key("shelf/a", "options", "main")
    things = {options: _made(options, {})}
    for key, thing in applied.items():
        values = {name: v for name, v in thing.values.items() if v is not Mark.RESET}
        things[key] = _made(key, values)
    things |= {_key(text): _made(_key(text), v) for text, v in case.get("there", {}).items()}
    for text, edit in case.get("hand", {}).items():
        before: Values = things.pop(_key(text)).values
        if edit is not None:
            values = {n: v for n, v in {**before, **edit}.items() if v is not None}
            things[_key(text)] = _made(_key(text), values)
    return things


def planned(case: Mapping[str, Any]) -> str:
    """The text of the plan of a case."""
    applied = wanted_things(_lab(case.get("applied", "")), DEVICES)
    unproved = [_key(text) for text in case.get("unproved", ())]
    owned = {
        key: OwnedRecord("c0ffee", thing.path, thing.values, thing.policy, key not in unproved)
        for key, thing in applied.items()
    }
    running = frozenset(_key(text) for text in case.get("running", ()))
    in_force = {_key(text): values for text, values in case.get("in_force", {}).items()}
    observed = Observed(
        kinds=DEVICES,
        things=_things(case, applied),
        contexts={"shelf/a": Context(running=running, current=in_force)},
        unknown={("shelf/a", kind): why for kind, why in case.get("unknown", {}).items()},
        doubtful={_key(text): why for text, why in case.get("doubtful", {}).items()},
    )
    for key in observed.doubtful:
        things = {k: v for k, v in observed.things.items() if k != key}
        observed = replace(observed, things=things)
    approved = case.get("approve", ())
    approve = EVERYTHING if approved == "all" else frozenset(_key(text) for text in approved)
    lab = _lab(case.get("declared", ""))
    return render_text(plan_changes(lab, observed, owned, "beef", approve=approve))


def _lab(text: str) -> Lab:
    return lab_of(*([] if "clusters: {a:" in text else [CLUSTERS]), text, rules=False)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_plan_of_a_case_is_as_written_in_it(path: Path) -> None:
    case = YAML(typ="safe").load(path)
    assert planned(case) == case["plan"], case["about"]
