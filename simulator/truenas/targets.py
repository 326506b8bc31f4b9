"""iSCSI targets: a name, and groups that say over which portal whom is let in, and how.

Deletion is refused while a host is logged in, unless forced; changing the groups is not. Source:
reference of the TrueNAS API, block storage chain.
"""

from __future__ import annotations

import errno
import re
from itertools import count

from simulator.truenas.attachments import ASSOCIATIONS, remove_extent
from simulator.truenas.call import Call, Entry, serves
from simulator.truenas.crud import Draft, Resource
from simulator.truenas.documents import Row
from simulator.truenas.errors import CallError, Problems
from simulator.truenas.sessions import busy_targets

TABLE = "iscsi.target"
_NAME = re.compile(r"[a-z0-9.:-]+")


def _name_problem(call: Call, name: str, others: dict[int, Row]) -> tuple[str, int] | None:
    """In the words of the release: clients that repeat themselves look for them."""
    scale = call.version.scale
    if not _NAME.fullmatch(name):
        characters = "owercase alphanumeric characters plus dot (.), dash (-), and colon (:)"
        return f"{'Only l' if scale else 'L'}{characters} are allowed.", errno.EINVAL
    if any(row["name"] == name for row in others.values()):
        return f"Target {'with this ' if scale else ''}name already exists", errno.EEXIST
    return None


def _check(call: Call, draft: Draft) -> None:
    new, problems = draft.new, draft.problems
    others = draft.others(call, TABLE)
    if problem := _name_problem(call, new["name"], others):
        problems.add("name", *problem)
    alias = new["alias"]
    if alias and (alias == "target" or any(row["alias"] == alias for row in others.values())):
        problems.add("alias", f"Alias {alias} is already in use", errno.EEXIST)
    if new["mode"] != "ISCSI":
        problems.add("mode", "Fibre Channel not licensed")
    for number, group in enumerate(new["groups"]):
        _check_group(call, new["groups"][:number], group, f"groups.{number}", problems)
    if call.version.strict and draft.old is None:
        taken = {row["rel_tgt_id"] for row in others.values()}
        new["rel_tgt_id"] = next(number for number in count(1) if number not in taken)


def _check_group(
    call: Call, before: list[Entry], group: Entry, place: str, problems: Problems
) -> None:
    documents = call.documents
    if group["portal"] not in documents.rows("iscsi.portal"):
        problems.add(f"{place}.portal", f"{group['portal']} Portal not found", errno.ENOENT)
    elif group["portal"] in [other["portal"] for other in before]:
        problems.add(
            f"{place}.portal", f"Portal {group['portal']} cannot be duplicated on a target"
        )
    if group["initiator"] not in (None, *documents.rows("iscsi.initiator")):
        text = f"{group['initiator']} Initiator not found"
        problems.add(f"{place}.initiator", text, errno.ENOENT)
    tag, method = group["auth"], group["authmethod"]
    rows = [row for row in documents.rows("iscsi.auth").values() if row["tag"] == tag]
    if tag is None and method != "NONE":
        text = "Authentication group is required for CHAP and CHAP mutual"
        problems.add(f"{place}.auth", text)
    elif tag is not None and not rows:
        problems.add(f"{place}.auth", f"Authentication group {tag} not found", errno.ENOENT)
    elif method == "CHAP_MUTUAL" and not any(row["peeruser"] for row in rows):
        text = f"Authentication group {tag} does not support CHAP Mutual"
        problems.add(f"{place}.authmethod", text)


@serves("iscsi.target.validate_name")
def validate_name(call: Call) -> object:
    """What is wrong with a name, or null."""
    rows = call.documents.rows(TABLE)
    others = {key: row for key, row in rows.items() if key != call.args["existing_id"]}
    problem = _name_problem(call, call.args["name"], others)
    return problem[0] if problem else None


def _delete(call: Call, identity: int) -> None:
    row = call.documents.rows(TABLE)[identity]
    if busy_targets(call, {identity}) and not call.args["force"]:
        raise CallError(f"Target {row['name']} is in use.")
    associations = call.documents.rows(ASSOCIATIONS)
    own = {key: known for key, known in associations.items() if known["target"] == identity}
    for key, known in own.items():
        del associations[key]
        call.emit(f"{ASSOCIATIONS}.query", "removed", key, {})
        if call.args.get("delete_extents"):
            remove_extent(call, known["extent"], empty_targets=False)
    RESOURCE.drop(call, identity)


RESOURCE = Resource(TABLE, "iscsi_target", "Target", _check, delete=_delete)
