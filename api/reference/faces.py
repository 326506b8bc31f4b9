"""The pages of the faces: command line, HTTP API, exit codes and errors."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.testing import CliRunner

from api.exits import Exit
from api.http import create_app
from api.main import app
from api.reference.markdown import WRITTEN, page, paragraphs, prose, table
from api.view import View
from controller.history import open_history
from lab.errors import Refused, VlabError

WIDTH = "96"
Node = Mapping[str, Any]


def cli_page() -> str:
    """Every verb with its own help."""
    told = ["stdout has the result, stderr the talk. Exit codes: [errors](errors.md).", WRITTEN]
    sections: list[str] = []
    for verb in _verbs(typer.main.get_command(app)):
        help_text = CliRunner().invoke(
            app, [*verb, "--help"], prog_name="vlab", env={"COLUMNS": WIDTH, "NO_COLOR": "1"}
        )
        sections += ["", f"## {' '.join(('vlab', *verb))}", "", "```text"]
        sections += [*help_text.output.rstrip().splitlines(), "```"]
    return page("Command line", told, sections)


def _verbs(command: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, below in getattr(command, "commands", {}).items():
        if getattr(below, "commands", None):
            yield from _verbs(below, (*above, name))
        else:
            yield (*above, name)


def http_page() -> str:
    """Every route and every value, from OpenAPI."""
    history = open_history("sqlite://")
    try:
        made = create_app(View(history, lambda: None, lambda _reason: None, "127.0.0.1", None))
        told = made.openapi()
    finally:
        history.close()
    rows = [
        [f"`{method.upper()} {path}`", _said(route), ", ".join(route["responses"])]
        for path, methods in told["paths"].items()
        for method, route in methods.items()
    ]
    sections: list[str] = ["", "## Values"]
    for name, node in sorted(told["components"]["schemas"].items()):
        sections += ["", f"### {name}", "", " ".join(node.get("description", "").split())]
        required = node.get("required", ())
        fields = [
            [f"`{key}`", _shape(each), "" if key in required else "may be absent"]
            for key, each in node.get("properties", {}).items()
        ]
        sections += table(["key", "value", ""], fields)
    intro = prose(f"""{told["info"]["description"]} `/api/v1/openapi.json` says the same to
        programs. Whatever changes state needs the token of the settings as
        `Authorization: Bearer ...`. {WRITTEN}""")
    return page("HTTP API", intro, table(["call", "what", "answers"], rows), sections)


def _said(route: Node) -> str:
    return str(route.get("description") or route.get("summary", ""))


def _shape(node: Node) -> str:
    """A type in a few words."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in node:
            return " or ".join(dict.fromkeys(map(_shape, node[key])))
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("type") == "array":
        inner = node.get("items") or node.get("prefixItems", [{}])[0]
        return f"list of {_shape(inner)}"
    if isinstance(values := node.get("additionalProperties"), dict):
        return f"map of {_shape(values)}"
    return str(node.get("const") or node.get("type", "anything"))


def errors_page() -> str:
    """Exit codes, and every error that ends a command."""
    codes = re.findall(r"(\w+) = (\d+)(?:  # (.*))?", inspect.getsource(Exit))
    said = [paragraphs(Exit)]
    rows = [[number, name.lower(), note] for name, number, note in codes]
    found = sorted(_errors(VlabError), key=lambda error: error.__name__)
    shown = [
        [f"`{error.__name__}`", _mover(error), str(_exit(error)), paragraphs(error)]
        for error in found
    ]
    intro = ["", "## Errors", "", paragraphs(import_module("lab.errors")), "",
             "Each says where, what, why, and how to fix it."]  # fmt: skip
    return page(
        "Exit codes and errors",
        [WRITTEN, "", "## Exit codes", "", *said],
        table(["code", "name", "meaning"], rows),
        intro,
        table(["error", "kind of", "exit code", "meaning"], shown),
    )


def _errors(base: type[VlabError]) -> set[type[VlabError]]:
    """All that are derived, wherever they are defined."""
    for package in ("lab", "simulator", "controller", "api"):
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    found: set[type[VlabError]] = set()
    left = [base]
    while left:
        for known in left.pop().__subclasses__():
            if not known.__name__.startswith("_") and not known.__module__.startswith("tests"):
                found.add(known)
            left.append(known)
    return found


def _mover(error: type[VlabError]) -> str:
    return error.__mro__[1].__name__


def _exit(error: type[VlabError]) -> int:
    return int(Exit.REFUSED if issubclass(error, Refused) else Exit.FAILED)
