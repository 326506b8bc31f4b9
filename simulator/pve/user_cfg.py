"""/etc/pve/user.cfg: users, groups, roles, tokens, pools and rights, a colon between fields.

Read and written for `etc_pve`. Passwords and secrets of tokens are elsewhere (priv/) and never part
of it. Source: PVE::AccessControl, parse_user_config and write_user_config.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from simulator.pve.documents import Documents
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.sections import encode_text

_KINDS = {"user": "", "group": "@", "token": ""}
_TEXTS = ("firstname", "lastname", "email", "comment", "keys")


def read(text: str, documents: Documents) -> None:
    """Put what the file holds into the documents; lines of no known kind are left out."""
    for line in text.split("\n"):
        kind, *fields = line.strip().split(":")
        if (reader := _READERS.get(kind)) is not None and fields and fields[0]:
            reader(documents, [*fields, *[""] * 8])
    documents.users.setdefault("root@pam", {"enable": 1, "expire": 0})


def _number(text: str, default: int) -> int:
    return int(text) if text.isdecimal() else default


def _user(documents: Documents, fields: list[str]) -> None:
    name, enable, expire, *texts = fields
    entry: dict[str, Value] = {"enable": _number(enable, 0), "expire": _number(expire, 0)}
    kept = documents.users.get(name, {})
    entry |= {key: unquote(text) for key, text in zip(_TEXTS, texts, strict=False) if text}
    documents.users[name] = {**kept, **entry}


def _token(documents: Documents, fields: list[str]) -> None:
    name, expire, privsep, comment = fields[:4]
    entry: dict[str, Value] = {"expire": _number(expire, 0), "privsep": _number(privsep, 0)}
    documents.tokens[name] = entry | ({"comment": unquote(comment)} if comment else {})


def _group(documents: Documents, fields: list[str]) -> None:
    name, members, comment = fields[:3]
    documents.groups[name] = {"comment": unquote(comment)} if comment else {}
    for user in items(members):
        entry = dict(documents.users.get(user, {"enable": 1, "expire": 0}))
        groups = {*items(str(entry.get("groups") or "")), name}
        documents.users[user] = {**entry, "groups": ",".join(sorted(groups))}


def _role(documents: Documents, fields: list[str]) -> None:
    documents.roles[fields[0]] = {"privs": ",".join(sorted(set(items(fields[1]))))}


def _pool(documents: Documents, fields: list[str]) -> None:
    name, comment, vms, storage = fields[:4]
    entry: dict[str, Value] = {"comment": unquote(comment)} if comment else {}
    entry |= {"vms": ",".join(items(vms))} if items(vms) else {}
    documents.pools[name] = entry | (
        {"storage": ",".join(items(storage))} if items(storage) else {}
    )


def _acl(documents: Documents, fields: list[str]) -> None:
    propagate, path, subjects, roles = fields[:4]
    for subject in items(subjects):
        kind = "group" if subject.startswith("@") else "token" if "!" in subject else "user"
        for role in items(roles):
            entry = (path, kind, subject.removeprefix("@"), role)
            documents.acl[entry] = _number(propagate, 0)


_READERS: dict[str, Callable[[Documents, list[str]], None]] = {
    "user": _user, "token": _token, "group": _group, "role": _role, "pool": _pool, "acl": _acl,
}  # fmt: skip


def write(documents: Documents) -> str:
    """The file: a section for each kind, sorted by name."""
    return "".join(
        f"{''.join(f'{line}:{chr(10)}' for line in lines)}\n"
        for lines in (
            [_user_line(name, entry) for name, entry in sorted(documents.users.items())]
            + [_token_line(name, entry) for name, entry in sorted(documents.tokens.items())],
            [_group_line(documents, name) for name in sorted(documents.groups)],
            [
                _joined("pool", name, _comment(entry), entry.get("vms"), entry.get("storage"))
                for name, entry in sorted(documents.pools.items())
            ],
            [
                _joined("role", name, entry.get("privs"))
                for name, entry in sorted(documents.roles.items())
            ],
            [
                _joined("acl", propagate, path, f"{_KINDS[kind]}{who}", role)
                for (path, kind, who, role), propagate in sorted(documents.acl.items())
            ],
        )
    )


def _joined(*fields: object) -> str:
    return ":".join("" if field is None else str(field) for field in fields)


def _comment(entry: object) -> str:
    comment = entry.get("comment") if isinstance(entry, dict) else None
    return encode_text(str(comment)) if comment else ""


def _user_line(name: str, entry: object) -> str:
    known = entry if isinstance(entry, dict) else {}
    texts = [encode_text(str(known.get(key) or "")) for key in _TEXTS]
    return _joined("user", name, known.get("enable", 1), known.get("expire") or 0, *texts)


def _token_line(name: str, entry: object) -> str:
    known = entry if isinstance(entry, dict) else {}
    return _joined(
        "token", name, known.get("expire") or 0, known.get("privsep", 1), _comment(known)
    )


def _group_line(documents: Documents, name: str) -> str:
    members = [
        user
        for user, entry in sorted(documents.users.items())
        if name in items(str(entry.get("groups") or ""))
    ]
    return _joined("group", name, ",".join(members), _comment(documents.groups[name]))
