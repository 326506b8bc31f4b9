"""Authentication realms. Source: PVE::API2::Domains, PVE::Auth::*.

Kept as they are configured (`realm_sync` takes users over). Leaves out: asking anybody for a
password there, and checking a connection.
"""

from __future__ import annotations

from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.cluster_files import DOMAINS, REALM
from simulator.pve.documents import Entry
from simulator.pve.parameters import PROPERTY_STRINGS, Value, table
from simulator.pve.routes import Routes
from simulator.pve.sections import check_known
from simulator.pve.wire import died

routes = Routes()

BUILTIN = ("pam", "pve")
DIRECTORIES = ("ad", "ldap")
SYNC_KEYS = """
enable-new?       boolean
full?             boolean
purge?            boolean
remove-vanished?  /(?:(?:(?:acl|properties|entry);)*(?:acl|properties|entry))|none/
scope?            enum(users,groups,both)
"""
PROPERTY_STRINGS |= {
    "pve-tfa-config": table(
        """
        digits?  integer 6..8
        id?      string
        key?     string
        step?    integer 10..
        type     enum(yubico,oath)
        url?     string
        """
    ),
    "realm-sync-options": table(SYNC_KEYS),
}
MAY_CHANGE = "/access/realm Realm.Allocate"

CREATE = table(REALM + "type enum(ad,ldap,openid,pam,pve)\nusername-claim? string")
UPDATE = table(REALM + "delete? pve-configid-list ..4096\ndigest? string ..64")


@routes.add("GET /access/domains", "world")
def realms(call: Call) -> object:
    """All realms: what a login form needs."""
    shown = ("type", "comment", "default", "tfa")
    return [
        {"realm": name, **{key: entry[key] for key in shown if entry.get(key)}}
        for name, entry in call.documents.domains.items()
    ]


@routes.add(
    "GET /access/domains/{realm}", "/access/realm Realm.Allocate|Sys.Audit", "realm pve-realm ..32"
)
def realm(call: Call) -> object:
    """One realm, without its secrets."""
    name = call.text("realm")
    if (entry := call.documents.domains.get(name)) is None:
        raise died(f"domain '{name}' does not exist")
    return {**entry, "digest": call.documents.domains.digest}


def _sent(call: Call) -> dict[str, Value]:
    skipped = ("realm", "delete", "digest", "check-connection", "password")
    sent = {key: call.values[key] for key in call.values if call.has(key) and key not in skipped}
    if "sync-defaults-options" in sent:
        values = propertystring.split(str(sent["sync-defaults-options"]))
        sent["sync-defaults-options"] = propertystring.join(values)
    return sent


def _keep(call: Call, name: str, entry: Entry) -> None:
    """Only one realm is the default one."""
    domains = call.documents.domains
    changed = {}
    if entry.get("default"):
        for other, known in domains.items():
            if known.get("default"):
                changed[other] = {key: value for key, value in known.items() if key != "default"}
    domains.put({**changed, name: {key: value for key, value in entry.items() if value != ""}})


def _check_connection(call: Call, kind: str) -> None:
    if call.has("check-connection") and kind not in DIRECTORIES:
        name = "'check-connection' parameter"
        raise died(f"{name} can only be set for realms of type 'ldap' or 'ad'")


def _check_required(entry: Entry, where: str = "") -> None:
    for key in DOMAINS.types[str(entry["type"])].required:
        if key not in entry:
            raise died(f"{where}missing value for required option '{key}'")


@routes.add("POST /access/domains", MAY_CHANGE, CREATE)
def create_realm(call: Call) -> object:
    """A new realm."""
    name, sent = call.text("realm"), _sent(call)
    with call.locked("domains_cfg", "add auth server failed: "):
        if name in call.documents.domains:
            raise died(f"domain '{name}' already exists")
        if (kind := call.text("type")) in BUILTIN:
            raise died(f"unable to create builtin type '{kind}'")
        _check_connection(call, kind)
        check_known(DOMAINS.types[kind], sent.keys() - {"type"})
        _check_required(sent)
        _keep(call, name, sent)
    return None


@routes.add("PUT /access/domains/{realm}", MAY_CHANGE, UPDATE)
def update_realm(call: Call) -> object:
    """Change a realm; deleting what is not set is fine."""
    name, sent = call.text("realm"), _sent(call)
    with call.locked("domains_cfg", "update auth server failed: "):
        call.need_digest(call.documents.domains.digest)
        old = call.documents.domains.get(name)
        _check_connection(call, str((old or {}).get("type")))
        if not (sent or call.has("password") or call.words("delete")):
            raise died("no options specified")
        if old is None:
            raise died(
                "cannot lookup undefined type! at /usr/share/perl5/PVE/API2/Domains.pm line 261."
            )
        check_known(DOMAINS.types[str(old["type"])], sent)
        kept = {key: value for key, value in old.items() if key not in call.words("delete")}
        new = {**kept, **sent}
        _check_required(new, f"section '{name}' - ")
        _keep(call, name, new)
    return None


@routes.add("DELETE /access/domains/{realm}", MAY_CHANGE, "realm pve-realm ..32")
def delete_realm(call: Call) -> object:
    """Remove a realm; `pam` and `pve` only lose their settings."""
    name = call.text("realm")
    with call.locked("domains_cfg", "delete auth server failed: "):
        if name not in call.documents.domains:
            raise died(f"authentication domain '{name}' does not exist")
        call.documents.domains.pop(name, None)
    return None
