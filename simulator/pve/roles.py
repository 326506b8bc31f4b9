"""Privileges and built-in roles, by release.

    the privileges of a release -> its roles: those that end in `.Audit`, that begin with `VM.`, ...

Used by `permissions`, and as a format by the calls that make roles. Source: recorded answers of
`GET /access/roles` for 9.2; for 8.4 and 7.4 the groups of privileges in PVE::AccessControl.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulator.pve.formats import FORMATS, PRIVILEGES, one_of
from simulator.pve.propertystring import items

Roles = Mapping[str, frozenset[str]]
"""Privileges by role."""

_BEFORE_9 = frozenset(
    {name for name in PRIVILEGES if not name.startswith("VM.GuestAgent.")} - {"VM.Replicate"}
) | {"VM.Monitor"}
_BEFORE_8 = _BEFORE_9.difference(
    items("Mapping.Audit Mapping.Modify Mapping.Use SDN.Use Sys.AccessNetwork")
)
_VM_USER = items(
    """
    VM.Audit VM.Backup VM.Config.CDROM VM.Config.Cloudinit VM.Console VM.GuestAgent.Audit
    VM.GuestAgent.FileRead VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.PowerMgmt
    """
)
_ADMIN_LACKS = items(
    """
    Mapping.Modify Permissions.Modify Realm.Allocate Sys.AccessNetwork Sys.Incoming Sys.Modify
    Sys.PowerMgmt
    """
)


def _roles(known: frozenset[str], lacking: str = "", admins_have: Iterable[str] = ()) -> Roles:
    """The roles of a release. `admins_have`: what the administrators of nodes and of all have
    besides.
    """
    wanted: dict[str, Iterable[str]] = {
        "Administrator": known,
        "NoAccess": (),
        "PVEAdmin": known.difference(_ADMIN_LACKS).union(admins_have),
        "PVEAuditor": [p for p in known if p.endswith(".Audit")],
        "PVEDatastoreAdmin": [p for p in known if p.startswith("Datastore.")],
        "PVEDatastoreUser": ["Datastore.AllocateSpace", "Datastore.Audit"],
        "PVEMappingAdmin": ["Mapping.Audit", "Mapping.Modify", "Mapping.Use"],
        "PVEMappingUser": ["Mapping.Audit", "Mapping.Use"],
        "PVEPoolAdmin": ["Pool.Allocate", "Pool.Audit"],
        "PVEPoolUser": ["Pool.Audit"],
        "PVESDNAdmin": ["SDN.Allocate", "SDN.Audit", "SDN.Use"],
        "PVESDNUser": ["SDN.Audit", "SDN.Use"],
        "PVESysAdmin": ["Sys.Audit", "Sys.Console", "Sys.Syslog", *admins_have],
        "PVETemplateUser": ["VM.Audit", "VM.Clone"],
        "PVEUserAdmin": ["Group.Allocate", "Realm.AllocateUser", "User.Modify"],
        "PVEVMAdmin": [p for p in known if p.startswith("VM.")],
        "PVEVMUser": _VM_USER,
    }
    absent = items(lacking)
    return {name: known.intersection(has) for name, has in wanted.items() if name not in absent}


ROLES_9 = _roles(PRIVILEGES)
ROLES_8 = _roles(_BEFORE_9)
ROLES_7 = _roles(_BEFORE_8, "PVEMappingAdmin PVEMappingUser PVESDNUser", ["Permissions.Modify"])

FORMATS |= {
    "pve-priv-8": one_of(_BEFORE_9, "invalid privilege '{}'"),
    "pve-priv-7": one_of(_BEFORE_8, "invalid privilege '{}'"),
}
