"""The last look before a call that the array would do whatever depends on it.

The plan has judged the same by what it observed; the world may have moved since. The array deletes
a volume with its extents, empties target groups of what is deleted, and stops what is in use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.step import Json
from lab.errors import Refused

Ask = Callable[..., Any]
"""Calls a method of the array that changes nothing."""


def check(method: str, params: Sequence[Json], ask: Ask) -> None:
    """Raises Refused if something uses what this call takes away."""
    if method in GUARDS:
        GUARDS[method](params, ask)


def _no_attachments(params: Sequence[Json], ask: Ask) -> None:
    found = [each for each in ask("pool.dataset.attachments", params[0]) if each["attachments"]]
    if found:
        told = "; ".join(
            f"{each['type']}: {', '.join(map(str, each['attachments']))}" for each in found
        )
        raise Refused(f"{params[0]} is used by {told}")


def _in_no_group(member: str) -> Callable[[Sequence[Json], Ask], None]:
    def judge(params: Sequence[Json], ask: Ask) -> None:
        users = [
            target["name"]
            for target in ask("iscsi.target.query")
            if any(group[member] == params[0] for group in target["groups"])
        ]
        if users:
            raise Refused(f"{member} {params[0]} is used by target {', '.join(users)}")

    return judge


def _no_login(params: Sequence[Json], ask: Ask) -> None:
    """A login goes while another one of its tag stays, or when no target names the tag."""
    logins: list[Mapping[str, Any]] = ask("iscsi.auth.query")
    tags = [row["tag"] for row in logins if row["id"] == params[0]]
    if tags and [row["tag"] for row in logins].count(tags[0]) == 1:
        _in_no_group("auth")([tags[0]], ask)


def _no_session(_params: Sequence[Json], ask: Ask) -> None:
    if sessions := ask("iscsi.global.sessions"):
        who = ", ".join(sorted({str(row["initiator"]) for row in sessions}))
        raise Refused(f"there are sessions of {who}", "log them out first")


def _stops(params: Sequence[Json], ask: Ask) -> None:
    if list(params[:2]) == ["STOP", "iscsitarget"]:
        _no_session(params, ask)


GUARDS: Mapping[str, Callable[[Sequence[Json], Ask], None]] = {
    "pool.dataset.delete": _no_attachments,
    "iscsi.portal.delete": _in_no_group("portal"),
    "iscsi.initiator.delete": _in_no_group("initiator"),
    "iscsi.auth.delete": _no_login,
    "iscsi.global.update": _no_session,
    "service.control": _stops,
}
