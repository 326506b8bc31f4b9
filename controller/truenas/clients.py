"""Who has sessions with an array now, and how guards ask about it.

Source: RFC 7143, 2.1, sessions. FreeNAS 11.1 lists none; then a guard can't say yes.
"""

from __future__ import annotations

from controller.managed import Context
from controller.step import Answers, Query
from lab.errors import DeviceError, Refused

SESSIONS = Query("iscsi.global.sessions")
AROUND = "sessions."


def session_rows(device: str, answers: Answers) -> list[tuple[str, str, str]]:
    """Initiator, its address, and the name of the target, of each session."""
    answer = answers[SESSIONS.text]
    if not isinstance(answer, list):
        raise DeviceError(device, f"{SESSIONS.path} answered no list: {str(answer)[:80]!r}")
    return [
        (str(row["initiator"]), str(row["initiator_addr"]), target_name(str(row["target"])))
        for row in answer
    ]


def target_name(iqn: str) -> str:
    """The name of a target without the array's base: what follows its last colon.

    A name that stands for itself (iqn., naa., eui. of its own) is not told from others by this;
    the array gives none to those that we make.
    """
    return iqn.rpartition(":")[2] or iqn


def clients(context: Context, target: str) -> frozenset[str]:
    """Initiators with a session on a target. Raises Refused if nobody can tell."""
    if "sessions" not in context.around:
        what = f"the array does not tell who has sessions with {target}"
        raise Refused(what, "try again when iscsi.global.sessions answers")
    found = context.around.get(f"{AROUND}{target}", ())
    return frozenset(map(str, found)) if isinstance(found, tuple) else frozenset()
