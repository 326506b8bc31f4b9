"""All kinds of things on an array, and what their steps and costs depend on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from controller.managed import Context, Cost, Managed, Value
from controller.step import Answers
from controller.truenas.chap import Chap
from controller.truenas.clients import AROUND, SESSIONS, session_rows
from controller.truenas.dataset import NAMESPACE as DATASETS
from controller.truenas.dataset import Dataset
from controller.truenas.extent import Extent
from controller.truenas.initiator_group import InitiatorGroup
from controller.truenas.iscsi import Iscsi
from controller.truenas.lun import EXTENT, Lun
from controller.truenas.nfs_share import NfsShare
from controller.truenas.pool import Pool
from controller.truenas.portal import Portal
from controller.truenas.service import NFS_CLIENTS, Service
from controller.truenas.session import Session
from controller.truenas.snapshot_task import SnapshotTask
from controller.truenas.target import Target
from controller.truenas.thing import NasThing, rows
from controller.truenas.versions import REST1_ONLY, VERSION, release_in
from controller.truenas.zvol import VOLSIZE, Zvol

NAS_KINDS: tuple[type[NasThing], ...] = (
    Pool,
    Iscsi,
    Service,
    Dataset,
    Zvol,
    Portal,
    InitiatorGroup,
    Chap,
    Target,
    Extent,
    Lun,
    NfsShare,
    SnapshotTask,
    Session,
)
KINDS: tuple[type[Managed], ...] = NAS_KINDS


def context(device: str, answers: Answers) -> Context:
    """Sessions and mounts, which extent is in which target, how full the pools are."""
    around: dict[str, Value] = {}
    if VERSION.text not in answers:
        return Context()
    if (release := release_in(device, answers)) < REST1_ONLY:
        around["only_read"] = str(release)
    if SESSIONS.text in answers:
        around |= _sessions(device, answers)
    if isinstance(count := answers.get(NFS_CLIENTS.text), int):
        around["mounts"] = count
    if all(f"{kind.namespace}.query" in answers for kind in (Target, Extent, Lun)):
        for identity, row in Lun.found(device, answers):
            around[f"extents.{row[EXTENT.api]}.target"] = identity.rpartition("/")[0]
    if f"{DATASETS}.query" in answers:
        around |= _pools(device, answers)
    return Context(around=around)


def _sessions(device: str, answers: Answers) -> dict[str, Value]:
    found: dict[str, set[str]] = {}
    sessions = session_rows(device, answers)
    for initiator, _, target in sessions:
        found.setdefault(target, set()).add(initiator)
    each = {f"{AROUND}{target}": tuple(sorted(names)) for target, names in found.items()}
    return {"sessions": len(sessions), **each}


def _pools(device: str, answers: Answers) -> dict[str, Value]:
    """Room of a pool is what its root uses and has left; its volumes promise their sizes."""
    around: dict[str, Value] = {}
    promised: Counter[str] = Counter()
    for row in rows(device, answers, DATASETS):
        name, used, left = str(row["name"]), row.get("used"), row.get("available")
        if "/" not in name and used and left:
            around[f"pools.{name}.size_bytes"] = int(used["parsed"]) + int(left["parsed"])
            promised[name] += 0
    for zvol in Zvol.read(device, answers):
        size = zvol.values.get(VOLSIZE.name)
        promised[zvol.id.partition("/")[0]] += size if isinstance(size, int) else 0
    return around | {f"pools.{name}.promised_bytes": total for name, total in promised.items()}


def costs() -> Mapping[str, Cost]:
    """What a change of each field of the language costs at most: `nas.zvols.*.size`."""
    found: dict[str, Cost] = {}
    for kind in NAS_KINDS:
        for section, fields in kind.sections.items():
            below = section if section in ("", *Service.sections) else f"{section}.*"
            for known in fields:
                if known.path:
                    name = ".".join(["nas", *filter(None, [below]), *known.path])
                    found[name] = max(known.cost, found.get(name, known.cost))
    users = ("portals", "initiators", "initiator-group", "chap")
    found |= {f"nas.targets.*.{name}": Cost.STOP_START for name in users}
    return found | {"nas.targets.*.luns.*": Cost.REPLACE}
