"""Several calls below a node made in one, each with an answer of its own. Source: PVE::API2::Nodes
execute, verify_command_batch. The wording of a refused batch is that of JSON::XS and assumed.
"""

from __future__ import annotations

import json
from typing import Any

from simulator.pve.call import Call
from simulator.pve.formats import FORMATS
from simulator.pve.routes import Routes
from simulator.pve.wire import ApiError

routes = Routes()

METHODS = ("GET", "POST", "PUT", "DELETE")


def _batch_problem(text: str) -> str:
    """What is wrong with commands that are to be run."""
    try:
        commands = json.loads(text)
    except ValueError as error:
        return f"commands param did not contain valid JSON: {error}\n"
    if not isinstance(commands, list):
        return f"commands is not an array: {text}\n"
    return "".join(filter(None, (_problem(number, each) for number, each in enumerate(commands))))


def _problem(number: int, command: object) -> str:
    at = f"[{number}]"
    if not isinstance(command, dict):
        return f"{at}: type check ('object') failed\n"
    for name in ("path", "method"):
        if not isinstance(command.get(name), str):
            return f"{at}.{name}: property is missing and it is not optional\n"
    if command["method"] not in METHODS:
        known = ", ".join(METHODS)
        text = f"value '{command['method']}' does not have a value in the enumeration '{known}'"
        return f"{at}.method: {text}\n"
    if not isinstance(command.get("args", {}), dict):
        return f"{at}.args: type check ('object') failed\n"
    return ""


FORMATS["pve-command-batch"] = _batch_problem


@routes.add("POST /nodes/{node}/execute", "root", "node pve-node\ncommands pve-command-batch\n")
def execute(call: Call) -> object:
    """Make the calls in their order; one that fails does not keep the next from being made."""
    return [_answer(call, command) for command in json.loads(call.text("commands"))]


def _answer(call: Call, command: dict[str, Any]) -> dict[str, object]:
    path = f"nodes/{call.text('node')}/{command['path']}"
    try:
        data = call.api.inner(call, command["method"], path, command.get("args") or {})
    except ApiError as error:
        told: dict[str, object] = {"status": error.status, "message": error.text}
        return told if error.errors is None else {**told, "errors": dict(error.errors)}
    return {"status": 200, "data": data}
