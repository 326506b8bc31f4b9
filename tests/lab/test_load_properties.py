"""What holds for any tree: its cut into files does not matter, and none crashes the loader."""

from __future__ import annotations

import io
import random
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lab import rules
from lab.compose import compose
from lab.errors import LabInvalid, Problem
from lab.lab import Lab
from lab.load import load
from lab.references import references

SOUND = Path(__file__).parent / "sound.yaml"
seeds = st.integers(0, 2**32).map(random.Random)


@cache
def sound() -> Lab:
    return load({"lab.yaml": SOUND.read_bytes()})


def data() -> dict[str, Any]:
    return compose("lab.yaml", SOUND.read_bytes()).data


def written(tree: dict[str, Any]) -> bytes:
    text = io.StringIO()
    YAML(typ="safe", pure=False).dump(tree, text)
    return text.getvalue().encode()


@settings(max_examples=15)
@given(seeds, st.integers(1, 6))
def test_the_cut_into_files_and_their_order_change_nothing(
    chance: random.Random, count: int
) -> None:
    files: list[dict[str, Any]] = [{} for _ in range(count)]
    entries = [(word, name, entry) for word, of in data().items() for name, entry in of.items()]
    chance.shuffle(entries)
    for word, name, entry in entries:
        chance.choice(files).setdefault(word, {})[name] = entry
    lab = load({f"{chance.random()}.yaml": written(file) for file in files})
    assert lab == sound()
    assert sorted(references(lab)) == sorted(references(sound()))


@settings(max_examples=60)
@given(seeds)
def test_a_lab_with_parts_missing_or_swapped_is_judged_and_never_crashes(
    chance: random.Random,
) -> None:
    tree = data()
    for _ in range(chance.randrange(1, 12)):
        _disturb(tree, chance)
    said = judged({"lab.yaml": written(tree)})
    assert all(problem.place is not None and problem.what for problem in said)


def judged(files: dict[str, bytes]) -> tuple[Problem, ...]:
    """All that is said about a lab; rules are run on it even if they would not be asked."""
    try:
        return rules.problems(load(files))
    except LabInvalid as invalid:
        said = invalid.problems
    try:
        return said + rules.problems(load(files, rules=False))
    except LabInvalid:
        return said


def _disturb(tree: Any, chance: random.Random) -> None:
    """Drop a part of a tree, or put another value in its place."""
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = chance.choice(keys)
        if not isinstance(tree[key], dict | list) or chance.random() < 0.25:
            break
        tree = tree[key]
    if chance.random() < 0.5:
        del tree[key]
    else:
        others = [each for each in tree.values()] if isinstance(tree, dict) else tree
        tree[key] = chance.choice([*others, "pve1", "iscsi-1", "7", "9" * 400 + "GiB", [], {}])
