"""The shape of the words: which items, and which references, stand inside an item.

Found once per class from its annotations and kept; `lab.references`, the flaws of the loader and
the messages about unknown keys all use it, so a new word or field needs nothing here. A union
stands for its first class that holds what is looked for, or for the class of the value where the
classes are items.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from lab.item import After, Item, Owned, Path, Ref, kebab

Found = list[tuple[Path, Any, Any]]
Walk = Callable[[Any, Path, Found], None]
"""Appends each (path, mark, value) inside a value at a path. Walks are called, not iterated: a
large lab has many.
"""
Leaf = Callable[[Any, tuple[Any, ...]], Any]
"""From a type and its metadata to the mark that is looked for, or None."""


def flawed(item: Item, path: Path) -> list[tuple[Path, Item]]:
    """The items that have rules of their own, with their paths: this one or any inside it."""
    return [(at, each) for at, _mark, each in _found(item, path, _flaws_leaf)]


def refs(item: Item, path: Path) -> list[tuple[Path, str, str]]:
    """References that stand anywhere in the item: (path, map, name)."""
    return [(at, mark.map, name) for at, mark, name in _found(item, path, _ref_leaf)]


def _found(item: Item, path: Path, leaf: Leaf) -> Found:
    found: Found = []
    if (walk := _item_walk(type(item), leaf)) is not None:
        walk(item, path, found)
    return found


def model_at(hint: Any, data: Any, path: Path) -> type[BaseModel] | None:
    """The class of the item at `path` inside `data`, a plain value of type `hint`."""
    classes = _classes(hint)
    if not path:
        tag = data.get("type") if isinstance(data, dict) else None
        fits = [known for known in classes if len(classes) == 1 or tag in _tags(known)]
        return fits[0] if fits else None
    step, rest = path[0], path[1:]
    inner = data.get(step) if isinstance(data, dict) else None
    if classes:
        model = model_at(hint, data, ())
        fields = {} if model is None else {f.alias or n: f for n, f in model.model_fields.items()}
        return model_at(fields[step].annotation, inner, rest) if step in fields else None
    for argument in _arguments(hint):
        if (found := model_at(argument, inner, rest)) is not None:
            return found
    return None


IDENTITY = ("type", "vmid", "id", "cluster", "clusters", "version")  # what people look for first


@cache
def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of an item in the order of the language: identity, its own, how it is managed."""
    owned = [name for name in Owned.model_fields if name in model.model_fields]
    names = [name for name in IDENTITY if name in model.model_fields]
    names += [name for name in model.model_fields if name not in (*names, *owned)]
    for name, known in model.model_fields.items():
        for mark in known.metadata:
            if isinstance(mark, After):
                names.remove(name)
                names.insert(names.index(mark.field) + 1, name)
    return tuple(kebab(name) for name in (*names, *owned))


def tags(hint: Any) -> list[str]:
    """The values of `type` that tell the classes of a union apart."""
    return [tag for known in _classes(hint) for tag in _tags(known)]


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get("type")
    return get_args(field.annotation) if field is not None else ()


def _classes(hint: Any) -> list[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [hint]
    if get_origin(hint) in (Annotated, Union, UnionType):
        return [known for argument in get_args(hint) for known in _classes(argument)]
    return []


def _arguments(hint: Any) -> list[Any]:
    """The types of what a container holds, seen through Annotated and unions."""
    if get_origin(hint) in (Annotated, Union, UnionType):
        return [inner for argument in get_args(hint) for inner in _arguments(argument)]
    return [argument for argument in get_args(hint) if argument is not Ellipsis]


def _flaws_leaf(hint: Any, _metadata: tuple[Any, ...]) -> Any:
    """Classes of items that override `flaws`."""
    if isinstance(hint, type) and issubclass(hint, Item) and hint.flaws is not Item.flaws:
        return hint
    return None


def _ref_leaf(_hint: Any, metadata: tuple[Any, ...]) -> Any:
    return next((mark for mark in metadata if isinstance(mark, Ref)), None)


@cache
def _item_walk(model: type[BaseModel], leaf: Leaf) -> Walk | None:
    """A walk over an item itself and its fields."""
    mark = leaf(model, ())
    walks = (
        (name, kebab(name), _walk(known.annotation, tuple(known.metadata), leaf))
        for name, known in model.model_fields.items()
    )
    fields = [(name, key, walk) for name, key, walk in walks if walk is not None]
    if mark is None and not fields:
        return None

    def inner(item: Any, path: Path, found: Found) -> None:
        if mark is not None:
            found.append((path, mark, item))
        for name, key, walk in fields:
            if (value := getattr(item, name)) is not None and value != ():
                walk(value, (*path, key), found)

    return inner


def _walk(hint: Any, metadata: tuple[Any, ...], leaf: Leaf) -> Walk | None:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _walk(arguments[0], (*metadata, *arguments[1:]), leaf)
    if isinstance(hint, type) and issubclass(hint, Item):
        return _item_walk(hint, leaf)
    if (mark := leaf(hint, metadata)) is not None:
        return lambda value, path, found: found.append((path, mark, value))
    if origin in (Union, UnionType):
        return _union_walk(arguments, leaf)
    if origin is dict:
        return _dict_walk(_walk(arguments[0], (), leaf), _walk(arguments[1], (), leaf))
    if origin in (tuple, frozenset) and (each := _walk(arguments[0], (), leaf)) is not None:
        return _list_walk(each) if origin is tuple else _set_walk(each)
    return None


def _union_walk(arguments: tuple[Any, ...], leaf: Leaf) -> Walk | None:
    classes = [known for one in arguments for known in _classes(one)]
    if not classes:
        walks = (_walk(one, (), leaf) for one in arguments)
        return next((walk for walk in walks if walk is not None), None)
    by_class = {known: walk for known in classes if (walk := _item_walk(known, leaf)) is not None}
    if len(classes) == 1 or not by_class:
        return by_class.get(classes[0])

    def inner(value: Any, path: Path, found: Found) -> None:
        if (walk := by_class.get(type(value))) is not None:
            walk(value, path, found)

    return inner


def _dict_walk(keys: Walk | None, values: Walk | None) -> Walk | None:
    if keys is None and values is None:
        return None

    def inner(value: Any, path: Path, found: Found) -> None:
        for key, below in value.items():
            at = (*path, key)
            if keys is not None:
                keys(key, at, found)
            if values is not None:
                values(below, at, found)

    return inner


def _list_walk(walk: Walk) -> Walk:
    def inner(value: Any, path: Path, found: Found) -> None:
        for position, each in enumerate(value):
            walk(each, (*path, str(position)), found)

    return inner


def _set_walk(walk: Walk) -> Walk:
    def inner(value: Any, path: Path, found: Found) -> None:
        for each in sorted(value):
            walk(each, path, found)

    return inner
