"""CHAP credentials, grouped by the tag that targets name.

Source: RFC 1994; reference of the TrueNAS API, block storage chain.
"""

from __future__ import annotations

import errno

from simulator.truenas.call import Call
from simulator.truenas.crud import Draft, Resource
from simulator.truenas.errors import CallError

TABLE = "iscsi.auth"
SECRET_LENGTHS = range(12, 17)


def _check(call: Call, draft: Draft) -> None:
    new, problems = draft.new, draft.problems
    for user, secret in (("user", "secret"), ("peeruser", "peersecret")):
        text = new[secret]
        if new[user] and len(text) not in SECRET_LENGTHS:
            problems.add(secret, "Secret must be between 12 and 16 characters.")
        if text != text.strip():
            problems.add(secret, "Leading and trailing blanks are not allowed.")
        if text and not new[user]:
            problems.add(user, f"{user} is required when {secret} is set.")
    if new["peeruser"] and new["peersecret"] == new["secret"]:
        problems.add("peersecret", "The peer secret cannot be the same as user secret.")
    for row in draft.others(call, TABLE).values():
        if (row["tag"], row["user"]) == (new["tag"], new["user"]):
            text = f"User {new['user']!r} is already in group {new['tag']}."
            problems.add("user", text, errno.EEXIST)


def _delete(call: Call, identity: int) -> None:
    rows = call.documents.rows(TABLE)
    tag = rows[identity]["tag"]
    last = all(row["tag"] != tag for key, row in rows.items() if key != identity)
    users = [
        row["name"]
        for row in call.documents.rows("iscsi.target").values()
        if any(group["auth"] == tag for group in row["groups"])
    ]
    if last and users:
        raise CallError(
            f"Authorized access of {tag} is being used by target(s): {', '.join(users)}"
        )
    RESOURCE.drop(call, identity)


RESOURCE = Resource(TABLE, "iscsi_auth", "iSCSI Authorized Access", _check, delete=_delete)
