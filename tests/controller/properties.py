"""What must hold for every kind of every device; used by the tests of each of them."""

from __future__ import annotations

from controller.adopt import as_yaml
from controller.managed import Managed
from controller.planning import wanted_things
from lab.lab import Lab
from tests.labs import lab_of


def declared_back(thing: Managed, lab: Lab, around: str = "") -> Managed | None:
    """`thing`, said in the language, written as adoption writes it, loaded, and wanted again.

    `lab` has the names of what it refers to; `around` is YAML for what its entry can't do without.
    """
    fragment = thing.declare(lab)
    entries = {
        (word, name): entry for word, named in fragment.items() for name, entry in named.items()
    }
    loaded = lab_of(as_yaml(entries), around, rules=False)
    return wanted_things(loaded, {thing.key.device: (type(thing),)}).get(thing.key)


def assert_declares_itself(thing: Managed, lab: Lab, around: str = "") -> None:
    """wanted(load(declare(x))) == x: same identity, same values, same needs."""
    back = declared_back(thing, lab, around)
    assert back is not None, f"{thing.key} is not among what {thing.declare(lab)} wants"
    assert (back.key, dict(back.values), back.needs) == (thing.key, dict(thing.values), thing.needs)
