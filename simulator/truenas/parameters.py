"""What methods take, read from tables of text, and the check of what was sent.

A line is `name kind[!][?] [low..high] [= default] [@first..last]`: `!` must be given, `?` may be
null, the bounds are a number's value or the length of a text or list, the default is JSON, `@`
names the releases that have it. Kinds: text, int, number, bool, any, object, ip, network,
`A|B` one of these, `[kind]` a list, `{table}` an object; `{table}~` one whose members may all be
left out. `int|INHERIT` is one of both. The check is pydantic's, as in the vendor's own releases
since 25.04; older ones had words of their own. A line `*table` stands for the lines of another one.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from simulator.truenas.errors import CallError, Invalid, Problem
from simulator.truenas.version import Version

_LINE = re.compile(
    r"(?P<names>[\w|.-]+)\s+(?P<kind>\S+?)(?P<required>!?)(?P<null>\??)"
    r"(\s+(?P<low>-?\d*)\.\.(?P<high>\d*))?(\s+=\s+(?P<default>.*?))?(\s+@(?P<span>[\d.]+))?\s*"
)


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `older` is its name before 25.04."""

    name: str
    older: str
    kind: str
    required: bool = False
    null: bool = False
    low: int | None = None
    high: int | None = None
    default: str | None = None  # JSON
    span: str = ""

    def called(self, version: Version) -> str:
        """Its name in a release."""
        return self.name if version.strict else self.older


def read_params(lines: Sequence[str]) -> tuple[Param, ...]:
    """The lines of a table."""
    return tuple(_param(line) for line in lines)


def _param(line: str) -> Param:
    match = _LINE.fullmatch(line.strip())
    assert match, f"not a parameter: {line}"
    name, _, older = match["names"].partition("|")
    return Param(
        name,
        older or name,
        match["kind"],
        bool(match["required"]),
        bool(match["null"]),
        int(match["low"]) if match["low"] else None,
        int(match["high"]) if match["high"] else None,
        match["default"],
        match["span"] or "",
    )


def read_tables(text: str) -> dict[str, tuple[Param, ...]]:
    """Tables by the `[name]` above their lines."""
    tables: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if heading := re.fullmatch(r"\[([\w.-]+)\]", line):
            lines = tables[heading[1]] = []
        elif line.startswith("*"):
            lines += tables[line[1:]]
        else:
            lines.append(line)
    return {name: read_params(lines) for name, lines in tables.items()}


class Checker:
    """Checks values against tables, as one release does."""

    def __init__(self, tables: Mapping[str, tuple[Param, ...]], version: Version) -> None:
        self.tables = tables
        self.version = version
        self._models: dict[tuple[str, bool], type[BaseModel]] = {}

    def arguments(self, params: Sequence[Param], given: Sequence[object]) -> dict[str, Any]:
        """Positional arguments by name, defaults filled in.

        Raises Invalid with every problem, CallError if there are too many.
        """
        known = [param for param in params if self.version.has(param.span)]
        if len(given) > len(known):
            text = f"Too many arguments (expected {len(known)}, found {len(given)})"
            raise CallError(text, errno.EINVAL)
        model = self._arguments_model(tuple(known))
        by_name = {
            param.called(self.version): value for param, value in zip(known, given, strict=False)
        }
        checked = self._checked(model, by_name)
        return {param.name: checked[param.called(self.version)] for param in known}

    def _checked(self, model: type[BaseModel], given: Mapping[str, object]) -> dict[str, Any]:
        try:
            made = model.model_validate(given)
        except ValidationError as error:
            raise Invalid([self._problem(each) for each in error.errors()]) from error
        return {name: _plain(getattr(made, name)) for name in model.model_fields}

    def _problem(self, error: ErrorDetails) -> Problem:
        attribute = ".".join(str(part) for part in error["loc"])
        return attribute, _words(error, self.version), errno.EINVAL

    def _arguments_model(self, params: tuple[Param, ...]) -> type[BaseModel]:
        key = (repr(params), False)
        if key not in self._models:
            self._models[key] = self._model(params, partial=False)
        return self._models[key]

    def _table_model(self, name: str, *, partial: bool) -> type[BaseModel]:
        if (name, partial) not in self._models:
            model = self._model(self.tables[name], partial=partial)
            self._models[name, partial] = model
        return self._models[name, partial]

    def _model(self, params: Sequence[Param], *, partial: bool) -> type[BaseModel]:
        members: dict[str, Any] = {
            param.called(self.version): (
                self._annotation(param),
                self._default(param, partial=partial),
            )
            for param in params
            if self.version.has(param.span)
        }
        base: type[BaseModel] = _StrictPartial if partial else _Strict
        if not self.version.strict:
            base = _LoosePartial if partial else _Loose
        return create_model("Parameters", __base__=base, **members)

    def _default(self, param: Param, *, partial: bool) -> Any:
        if param.required and not partial:
            return Field(default=...)
        if (text := param.default) is None or partial:
            return Field(default=None)
        if param.kind.startswith("{") and text == "{}":
            return Field(default_factory=self._table_model(param.kind.strip("{}~"), partial=False))
        return Field(default_factory=lambda: json.loads(text))

    def _annotation(self, param: Param) -> Any:
        found = self._kind(param.kind)
        if param.low is not None or param.high is not None:
            sized = param.kind not in ("int", "number") and not param.kind.startswith("int|")
            low, high = ("min_length", "max_length") if sized else ("ge", "le")
            bounds: dict[str, Any] = {low: param.low, high: param.high}
            found = Annotated[found, Field(**bounds)]
        return Union[found, None] if param.null else found  # noqa: UP007 - built at run time

    def _kind(self, kind: str) -> Any:
        if kind.startswith("["):
            inner = kind[1:-1]
            return list[self._kind(inner)]  # type: ignore[misc]
        if kind.startswith("{"):
            partial = kind.endswith("~")
            return self._table_model(kind.strip("{}~"), partial=partial)
        words = kind.split("|")
        known = [_KINDS[word] for word in words if word in _KINDS]
        chosen = [_literal(word) for word in words if word not in _KINDS]
        if chosen:
            known.append(Literal[tuple(chosen)])
        return known[0] if len(known) == 1 else Union[tuple(known)]  # noqa: UP007


def _literal(word: str) -> object:
    return int(word) if word.isdigit() else word


def _of(kind: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        try:
            kind(text)
        except ValueError as error:
            raise ValueError(f"{text} is not valid: {error}") from error
        return text

    return AfterValidator(check)


_KINDS: Mapping[str, Any] = {
    "text": str,
    "int": int,
    "number": float,
    "bool": bool,
    "any": Any,
    "object": dict[str, Any],
    "ip": Annotated[str, _of(ip_address)],
    "network": Annotated[str, _of(lambda text: ip_network(text, strict=False))],
}


class _Strict(BaseModel):
    """A whole object, types checked strictly."""

    model_config = ConfigDict(extra="forbid", strict=True)
    PARTIAL: ClassVar[bool] = False


class _Loose(BaseModel):
    """A whole object; digits pass for a number."""

    model_config = ConfigDict(extra="forbid")
    PARTIAL: ClassVar[bool] = False


class _StrictPartial(_Strict):
    """What shall change."""

    PARTIAL: ClassVar[bool] = True


class _LoosePartial(_Loose):
    """What shall change."""

    PARTIAL: ClassVar[bool] = True


def _plain(value: object) -> object:
    """Without models; of a partial object only what was given."""
    match value:
        case _Strict() | _Loose():
            names = type(value).model_fields
            kept = value.model_fields_set if value.PARTIAL else _given(value, names)
            return {name: _plain(getattr(value, name)) for name in names if name in kept}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value


def _given(value: BaseModel, names: Mapping[str, FieldInfo]) -> set[str]:
    """Members that were given, or have a default other than 'not there'."""
    return {
        name
        for name, info in names.items()
        if name in value.model_fields_set or info.default_factory is not None
    }


_OLD_WORDS = {
    "missing": "attribute required",
    "extra_forbidden": "Field was not expected",
    "string_type": "Not a string",
    "int_type": "Not an integer",
    "int_parsing": "Not an integer",
    "bool_type": "Not a boolean",
    "bool_parsing": "Not a boolean",
    "list_type": "Not a list",
    "model_type": "A dict was expected",
}


def _words(error: ErrorDetails, version: Version) -> str:
    text = error["msg"].removeprefix("Value error, ")
    if version.strict:
        return text
    if error.get("input", ...) is None and error["type"] != "missing":
        return "null not allowed"
    if error["type"] == "literal_error":
        return f"Invalid choice: {error['input']}"
    return _OLD_WORDS.get(error["type"], text)
