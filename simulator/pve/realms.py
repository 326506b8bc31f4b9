"""Authentication realms. Source: PVE::API2::Domains, PVE::Auth::*.

Kept as they are configured; nobody is asked for a password there, and nothing is synchronised:
those calls are left out, and so is checking a connection.
"""

from __future__ import annotations

from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.documents import Entry, digest_of
from simulator.pve.parameters import Value, table
from simulator.pve.routes import Routes
from simulator.pve.sections import CHANGED, check_lines
from simulator.pve.wire import died

routes = Routes()

ALWAYS: dict[str, Entry] = {
    "pam": {"type": "pam", "comment": "Linux PAM standard authentication"},
    "pve": {"type": "pve", "comment": "Proxmox VE authentication server"},
}
REQUIRED = {
    "ad": ("server1", "domain"),
    "ldap": ("server1", "base_dn", "user_attr"),
    "openid": ("issuer-url", "client-id"),
}
FIXED = ("username-claim",)
SECRETS = ("password", "client-key")
MAY_CHANGE = "/access/realm Realm.Allocate"

SETTINGS = r"""
acr-values?             /[^\x00-\x1F\x7F <>#"]*/
audiences?              /[^\x00-\x1F\x7F <>#"]*/
autocreate?             boolean
base_dn?                string ..256
bind_dn?                string ..256
capath?                 string
case-sensitive?         boolean
cert?                   string
certkey?                string
check-connection?       boolean
client-id?              string ..256
client-key?             string ..256
comment?                string ..4096
default?                boolean
domain?                 /\S+/ ..256
filter?                 string ..2048
group_classes?          ldap-simple-attr-list
group_dn?               string ..256
group_filter?           string ..2048
group_name_attr?        ldap-simple-attr ..256
groups-autocreate?      boolean
groups-claim?           /[A-Za-z0-9.\-_]+/ ..256
groups-overwrite?       boolean
issuer-url?             string ..256
mode?                   enum(ldap,ldaps,ldap+starttls)
password?               string
port?                   integer 1..65535
prompt?                 /(?:none|login|consent|select_account|\S+)/
query-userinfo?         boolean
realm                   pve-realm ..32
scopes?                 string
secure?                 boolean
server1?                address ..256
server2?                address ..256
sslversion?             enum(tlsv1,tlsv1_1,tlsv1_2,tlsv1_3)
sync-defaults-options?  realm-sync-options
sync_attributes?        /\w+=[^,]+(,\s*\w+=[^,]+)*/
tfa?                    pve-tfa-config ..128
user_attr?              /\S{2,}/ ..256
user_classes?           ldap-simple-attr-list
verify?                 boolean
"""
CREATE = table(SETTINGS + "type enum(ad,ldap,openid,pam,pve)\nusername-claim? string")
UPDATE = table(SETTINGS + "delete? pve-configid-list ..4096\ndigest? string ..64")


def _all(call: Call) -> dict[str, Entry]:
    return {**ALWAYS, **call.documents.domains}


@routes.add("GET /access/domains", "world")
def realms(call: Call) -> object:
    """All realms: what a login form needs."""
    shown = ("type", "comment", "default", "tfa")
    return [
        {"realm": name, **{key: entry[key] for key in shown if entry.get(key)}}
        for name, entry in _all(call).items()
    ]


@routes.add(
    "GET /access/domains/{realm}", "/access/realm Realm.Allocate|Sys.Audit", "realm pve-realm ..32"
)
def realm(call: Call) -> object:
    """One realm, without its secrets."""
    name = call.text("realm")
    if (entry := _all(call).get(name)) is None:
        raise died(f"domain '{name}' does not exist")
    shown = {key: value for key, value in entry.items() if key not in SECRETS}
    plugin = {"plugin": "PVE::Auth::PAM"} if entry is ALWAYS["pam"] else {}
    return {**shown, **plugin, "digest": digest_of(call.documents.domains)}


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
    check_lines(entry)
    if entry.get("default"):
        for other, known in list(domains.items()):
            domains[other] = {key: value for key, value in known.items() if key != "default"}
    domains[name] = {key: value for key, value in entry.items() if value != ""}


def _check_required(entry: Entry, where: str = "") -> None:
    for key in REQUIRED.get(str(entry["type"]), ()):
        if key not in entry:
            raise died(f"{where}missing value for required option '{key}'")


@routes.add("POST /access/domains", MAY_CHANGE, CREATE)
def create_realm(call: Call) -> object:
    """A new realm."""
    name, sent = call.text("realm"), _sent(call)
    with call.locked("domains_cfg", "add auth server failed: "):
        if name in _all(call):
            raise died(f"domain '{name}' already exists")
        _check_required(sent)
        _keep(call, name, sent)
    return None


@routes.add("PUT /access/domains/{realm}", MAY_CHANGE, UPDATE)
def update_realm(call: Call) -> object:
    """Change a realm; deleting what is not set is fine."""
    name, sent = call.text("realm"), _sent(call)
    with call.locked("domains_cfg", "update auth server failed: "):
        if call.has("digest") and call.text("digest") != digest_of(call.documents.domains):
            raise died(CHANGED)
        if (old := _all(call).get(name)) is None:
            raise died(
                "cannot lookup undefined type! at /usr/share/perl5/PVE/API2/Domains.pm line 261."
            )
        new = {**old, **sent}
        for key in call.words("delete"):
            new.pop(key, None)
        _check_required(new, f"section '{name}' - ")
        _keep(call, name, new)
    return None


@routes.add("DELETE /access/domains/{realm}", MAY_CHANGE, "realm pve-realm ..32")
def delete_realm(call: Call) -> object:
    """Remove a realm; `pam` and `pve` only lose their settings."""
    name = call.text("realm")
    with call.locked("domains_cfg", "delete auth server failed: "):
        if name not in _all(call):
            raise died(f"authentication domain '{name}' does not exist")
        call.documents.domains.pop(name, None)
    return None
