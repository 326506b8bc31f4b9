"""Parts that belong into an entry that is declared already, such as a volume into its array's.

Adoption may add a part that says by itself how it is managed (`Part`) to somebody's entry: it comes
as `manage: [observe]`, so nothing else of the entry means anything new. Whatever else a thing would
add there is the author's to write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from lab.compose import compose
from lab.errors import LabInvalid
from lab.format import format_text
from lab.item import Item, Part, Path
from lab.lab import WORDS
from lab.messages import problems_of
from lab.shape import model_at

Data = Mapping[str, Any]


def parts_of(word: str, entry: Data) -> dict[Path, Data] | None:
    """The parts in what is said of an entry, by path below it; None if it says anything else."""
    found: dict[Path, Data] = {}
    for path, value in _leaves(word, entry, ()):
        if value is None:
            return None
        found[path] = value
    return found


def _leaves(word: str, entry: Data, path: Path) -> Iterator[tuple[Path, Data | None]]:
    inside = value_at(entry, path)
    model = model_at(WORDS[word], entry, path)
    if not isinstance(inside, Mapping):
        yield path, None
    elif model is not None and issubclass(model, Part):
        yield path, inside
    else:
        for name in inside:
            yield from _leaves(word, entry, (*path, name))


def value_at(data: Any, path: Path) -> Any:
    """What stands at a path of plain data; None for nothing."""
    for step in path:
        data = data.get(step) if isinstance(data, Mapping) else None
    return data


def plain(item: Item) -> dict[str, Any]:
    """What the author wrote of an item, as plain data with canonical values."""
    return item.model_dump(by_alias=True, exclude_unset=True)


def grown(item: Item, parts: Mapping[Path, Data]) -> Item:
    """The item with these parts. Raises ValidationError."""
    data = plain(item)
    for path, part in parts.items():
        inside = data
        for step in path[:-1]:
            inside = inside.setdefault(step, {})
        inside[path[-1]] = part
    return type(item).model_validate(data, by_alias=True, by_name=False)


def problem(word: str, path: Path, part: Data) -> str:
    """Why a part can't be read; empty if it can."""
    entry: Any = part
    for step in reversed(path):
        entry = {step: entry}
    model = model_at(WORDS[word], entry, path)
    assert model is not None, f"{word} has no part {path}"
    try:
        TypeAdapter(model).validate_python(part, by_alias=True, by_name=False)
    except ValidationError as error:
        return problems_of(error, "", model, (), part, lambda _path: None)[0].what
    return ""


def quoted(text: str) -> str:
    """A text that may stand between braces as well, where a colon needs quotes."""
    return DoubleQuotedScalarString(text) if ":" in text else text


def written(file: str, text: str, parts: Mapping[Path, Any]) -> str | None:
    """A file of the tree with parts added at their paths, all else of it and its comments kept.

    `parts` are nodes of ruamel.yaml or plain data. None if that can't be done without a loss.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    document = yaml.load(text)
    for path, part in parts.items():
        inside = document
        for step in path[:-1]:
            if inside.get(step) is None:
                inside[quoted(step)] = CommentedMap()
            inside = inside[step]
        inside[quoted(path[-1])] = part
    out = StringIO()
    yaml.dump(document, out)
    before, after = compose(file, text.encode()), compose(file, out.getvalue().encode())
    if after.problems or not _kept(before.data, after.data):
        return None
    try:
        return format_text(out.getvalue(), file)
    except LabInvalid:
        return out.getvalue()


def _kept(before: Any, after: Any) -> bool:
    """Whether everything is still there."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(name in after and _kept(before[name], after[name]) for name in before)
    return bool(before == after)
