"""Who has sessions with an array now, and how guards ask about it.

Source: RFC 7143, 2.1, sessions. FreeNAS 11.1 lists none; then a guard can't say yes.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.managed import Context
from controller.step import Answers, Query
from lab.errors import DeviceError, Refused

SESSIONS = Query("iscsi.global.sessions")
TARGETS = Query("iscsi.target.query")
AROUND = "sessions."


def session_rows(device: str, answers: Answers) -> list[tuple[str, str, str]]:
    """Initiator, its address, and the name of the target, of each session."""
    answer, targets = answers[SESSIONS.text], answers.get(TARGETS.text)
    if not isinstance(answer, list):
        raise DeviceError(device, f"{SESSIONS.path} answered no list: {str(answer)[:80]!r}")
    names = [str(row["name"]) for row in targets] if isinstance(targets, list) else []
    return [
        (str(row["initiator"]), str(row["initiator_addr"]), target_name(str(row["target"]), names))
        for row in answer
    ]


def target_name(iqn: str, names: Iterable[str]) -> str:
    """Which of the targets has this iSCSI name: the array's base, a colon and its own, or its own.

    What is of none of them is what follows the last colon.
    """
    mine = [name for name in names if iqn == name or iqn.endswith(f":{name}")]
    return max(mine, key=len, default=iqn.rpartition(":")[2])


def clients(context: Context, target: str) -> frozenset[str]:
    """Initiators with a session on a target. Raises Refused if nobody can tell."""
    if "sessions" not in context.around:
        what = f"the array does not tell who has sessions with {target}"
        raise Refused(what, "try again when iscsi.global.sessions answers")
    found = context.around.get(f"{AROUND}{target}", ())
    return frozenset(map(str, found)) if isinstance(found, tuple) else frozenset()
