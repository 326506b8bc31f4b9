"""The two ways a method says no, and the numbers it says it with.

Each transport puts them into its own frame. Source: reference of the TrueNAS API, JSON-RPC
framing; middlewared.service_exception.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

ENOMETHOD = 201
ENOTAUTHENTICATED = 207
_OWN_NAMES = {
    ENOMETHOD: "ENOMETHOD",
    202: "ESERVICESTARTFAILURE",
    203: "EALERTCHECKERUNAVAILABLE",
    204: "EREMOTENODEERROR",
    205: "EDATASETISLOCKED",
    ENOTAUTHENTICATED: "ENOTAUTHENTICATED",
    209: "EREBOOTREQUIRED",
}

Problem = tuple[str, str, int]
"""Attribute (`iscsi_extent_create.disk`), what is wrong, errno."""


def name_of(number: int) -> str:
    """EBUSY for 16."""
    return _OWN_NAMES.get(number) or errno.errorcode.get(number, "EUNKNOWN")


class CallError(Exception):
    """A call that was refused."""

    def __init__(self, text: str, number: int = errno.EFAULT, extra: object = None) -> None:
        super().__init__(text)
        self.text = text
        self.number = number
        self.extra = extra

    def __str__(self) -> str:
        return f"[{name_of(self.number)}] {self.text}"


class Invalid(Exception):
    """Parameters that do not fit: all problems at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__()
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "".join(
            f"[{name_of(number)}] {attribute or 'ALL'}: {text}\n"
            for attribute, text, number in self.problems
        )


class Problems:
    """Collects what is wrong with one call; `schema` begins every attribute."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.found: list[Problem] = []

    def add(self, attribute: str, text: str, number: int = errno.EINVAL) -> None:
        """Note a problem with one attribute."""
        self.found.append((f"{self.schema}.{attribute}", text, number))

    def check(self) -> None:
        """Raises Invalid if there is any."""
        if self.found:
            raise Invalid(self.found)


def no_such(what: str, identity: object) -> CallError:
    """An object that is not there."""
    return CallError(f"{what} {identity} does not exist", errno.ENOENT)
