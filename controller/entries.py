"""Declared entries as they are written: their plain data, and more of it put into their file.

For adoption: a pool of a Ceph cluster or a dataset of an array belongs into the entry of the
cluster or the array, wherever that stands. What is written stays as it is, comments included; what
is added is observed only, where the language lets a part say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from lab.item import Part, Path
from lab.lab import WORDS, Lab
from lab.shape import model_at

Name = tuple[str, str]
"""A word and a name under it."""
Tree = Mapping[str, bytes]
"""File -> what it holds."""
Node = Callable[[Any, int], Any]
"""From plain data at a depth to YAML as people write it."""


def file_of(lab: Lab, name: Name, tree: Tree) -> str | None:
    """The file of the tree in which an entry is declared."""
    place = lab.place(*name)
    return place.file if place is not None and place.file in tree else None


def written(lab: Lab, name: Name, tree: Tree) -> dict[str, Any] | None:
    """An entry as plain data; None if the tree does not have its file."""
    if (file := file_of(lab, name, tree)) is None:
        return None
    document = YAML(typ="safe").load(tree[file]) or {}
    entry = document.get(name[0], {}).get(name[1])
    return dict(entry) if isinstance(entry, Mapping) else None


def adds(there: Any, new: Any) -> bool:
    """Whether `new` says nothing that is written otherwise, and only adds to maps."""
    if isinstance(there, Mapping) and isinstance(new, Mapping):
        return all(adds(there[key], new[key]) for key in there.keys() & new.keys())
    return bool(there == new)


def extended(
    text: str, name: Name, whole: Mapping[str, Any], node: Callable[[Any, int], Any]
) -> str:
    """The text of a file with an entry that says all of `whole`; `node` styles what is new."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000  # lines are not folded: a folded list ends its lines with blanks
    document = yaml.load(text)
    _extend(document[name[0]][name[1]], whole, name, whole, node)
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _extend(
    there: CommentedMap,
    more: Mapping[str, Any],
    path: Path,
    whole: Mapping[str, Any],
    node: Node,
) -> None:
    for key, value in more.items():
        inside = (*path, key)
        known = there.get(key)
        if isinstance(known, CommentedMap) and known and isinstance(value, Mapping):
            _extend(known, value, inside, whole, node)
        elif known is None or (known == {} and value):
            there[key] = node(_observed(value, inside, whole), len(inside) - 2)


def _observed(value: Any, path: Path, whole: Mapping[str, Any]) -> Any:
    """The same, each part in it to be observed only."""
    if not isinstance(value, Mapping):
        return value
    model = model_at(WORDS[path[0]], whole, path[2:])
    first = {"manage": ["observe"]} if model is not None and issubclass(model, Part) else {}
    return {**first, **{key: _observed(each, (*path, key), whole) for key, each in value.items()}}
