"""What notifications.cfg holds: the types of its sections, and the two entries that are built in.

Tokens and passwords have no place in it. Source: proxmox-notify; administration guide,
notifications.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulator.pve.sections import SectionFile, section_type

_COMMON = "comment? string\ndisable? boolean\n"
_MAIL = "author? string\nmailto? array:email-or-username\nmailto-user? array:pve-userid\n"


@dataclass(frozen=True)
class Kind:
    """A type of section. `keys` are its parameters, `hidden` those that are not kept."""

    name: str
    keys: str
    hidden: frozenset[str] = frozenset()

    @property
    def optional_keys(self) -> str:
        """The same where nothing has to be sent."""
        return re.sub(r"^([\w-]+) ", r"\1? ", self.keys, flags=re.MULTILINE)

    @property
    def names(self) -> list[str]:
        """Its keys."""
        return re.findall(r"^([\w-]+)", self.keys, re.MULTILINE)

    @property
    def required(self) -> list[str]:
        """The keys that can't be unset."""
        return re.findall(r"^([\w-]+) ", self.keys, re.MULTILINE)


ENDPOINTS = {
    kind.name: kind
    for kind in (
        Kind("gotify", _COMMON + "server string\ntoken string\n", frozenset({"token"})),
        Kind("sendmail", _COMMON + _MAIL + "from-address? string\n"),
        Kind(
            "smtp",
            _COMMON
            + _MAIL
            + "from-address string\nmode? enum(insecure,starttls,tls)\npassword? string\n"
            "port? integer\nserver string\nusername? string\n",
            frozenset({"password"}),
        ),
        Kind(
            "webhook",
            _COMMON
            + "body? string\nheader? array\nmethod enum(post,put,get)\nsecret? array\nurl string\n",
        ),
    )
}
MATCHER = Kind(
    "matcher",
    _COMMON
    + "invert-match? boolean\nmatch-calendar? array\nmatch-field? array\nmatch-severity? array\n"
    "mode? enum(all,any)\ntarget? array:pve-configid\n",
)
KINDS = {**ENDPOINTS, "matcher": MATCHER}
SEVERITIES = frozenset({"info", "notice", "warning", "error", "unknown"})
FILE = SectionFile(
    "notifications.cfg",
    "".join(dict.fromkeys("".join(k.optional_keys for k in KINDS.values()).splitlines(True))),
    {
        kind.name: section_type(" ".join(name for name in kind.names if name not in kind.hidden))
        for kind in KINDS.values()
    },
    builtin={
        "mail-to-root": {
            "type": "sendmail",
            "mailto-user": ("root@pam",),
            "comment": "Send mails to root@pam's email address",
        },
        "default-matcher": {
            "type": "matcher",
            "mode": "all",
            "target": ("mail-to-root",),
            "comment": "Route all notifications to mail-to-root",
        },
    },
)
