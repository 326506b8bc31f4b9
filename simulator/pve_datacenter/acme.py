"""Certificates from an ACME server: accounts, and plugins for its challenges. Source:
PVE::API2::ACMEAccount, ::ACMEPlugin; PVE::ACME, PVE::ACME::DNSChallenge; RFC 8555.

No such server is reached from the lab: registering fails, so there is no account. Plugins are kept
in their file. Leaves out: the settings that each provider of DNS asks for, of which
`challenge-schema` tells none.
"""

from __future__ import annotations

import base64
import re

from simulator.pve.call import Call
from simulator.pve.outside import unreached
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.sections import (
    SectionFile,
    check_known,
    check_new,
    check_removable,
    section_type,
)
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, bad_parameters, died

routes = Routes()
index(routes, "/cluster/acme", "account challenge-schema directories meta plugins tos")
STANDALONE = "standalone"
LETS_ENCRYPT = {
    "Let's Encrypt V2": "https://acme-v02.api.letsencrypt.org/directory",
    "Let's Encrypt V2 Staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
_DIRECTORY = r"directory? /https?:\/\/.*/" "\n"
DNS_APIS = items(
    """
    1984hosting acmedns acmeproxy active24 ad ali alviy anx artfiles arvan aurora autodns aws
    azion azure beget bookmyname bunny cf clouddns cloudns cn conoha constellix cpanel curanet
    cyon da ddnss desec df dgon dnsexit dnshome dnsimple dnsservices doapi domeneshop dp dpi
    dreamhost duckdns durabledns dyn dynu dynv6 easydns edgecenter edgedns euserv exoscale
    fornex freedns freemyip gandi_livedns gcloud gcore gd geoscaling googledomains he he_ddns
    hetzner hetznercloud hexonet hostingde huaweicloud infoblox infomaniak internetbs inwx ionos
    ionos_cloud ipv64 ispconfig jd joker kappernet kas kinghost knot la leaseweb lexicon
    limacity linode linode_v4 loopia lua maradns me miab mijnhost misaka myapi mydevil mydnsjp
    mythic_beasts namecheap namecom namesilo nanelo nederhost neodigit netcup netlify nic njalla
    nm nsd nsone nsupdate nw oci omglol one online openprovider openprovider_rest openstack
    opnsense ovh pdns pleskxml pointhq porkbun rackcorp rackspace rage4 rcode0 regru scaleway
    schlundtech selectel selfhost servercow simply spaceship technitium tele3 tencent timeweb
    transip udr ultra unoeuro variomedia veesp vercel vscale vultr websupport west_cn world4you
    yandex360 yc zilore zone zoneedit zonomi
    """
)
"""Providers of DNS, as acme.sh names them."""
_KEYS = f"""
api?               enum({",".join(DNS_APIS)})
data?              string
disable?           boolean
nodes?             pve-node-list
validation-delay?  integer 0..172800
"""
PLUGINS = SectionFile(
    "priv/acme/plugins.cfg",
    _KEYS,
    {
        "dns": section_type("api+ data disable nodes validation-delay"),
        STANDALONE: section_type("disable nodes"),
    },
    builtin={STANDALONE: {"type": STANDALONE}},
)


def _asked(directory: str) -> str:
    return f"Error: GET to {directory}\n{unreached(directory)}"


def _directory(call: Call) -> str:
    return call.text("directory", LETS_ENCRYPT["Let's Encrypt V2"])


@routes.add("GET /cluster/acme/account")
def accounts(call: Call) -> object:
    """None."""
    del call
    return []


@routes.add(
    "POST /cluster/acme/account",
    "root",
    f"""
    contact        email-list
    {_DIRECTORY}
    eab-hmac-key?  string requires=eab-kid
    eab-kid?       string requires=eab-hmac-key
    name?          pve-configid
    tos_url?       string
    """,
)
def register(call: Call) -> object:
    """Register an account: a task."""
    return start_task(call, "acmeregister", "", {"directory": _directory(call)})


def _finish_register(worker: Worker) -> None:
    worker.say("Generating ACME account key..")
    worker.say("Registering ACME account..")
    raise TaskError(f"Registration failed: {_asked(worker.text('directory'))}")


FINISH["acmeregister"] = _finish_register


@routes.add("DELETE /cluster/acme/account/{name}", "root", "name? pve-configid\n")
@routes.add("GET /cluster/acme/account/{name}", "root", "name? pve-configid\n")
@routes.add("PUT /cluster/acme/account/{name}", "root", "contact? email-list\nname? pve-configid\n")
def account(call: Call) -> object:
    """One of them."""
    name = call.text("name", "default")
    raise bad_parameters(name=f"ACME account config file '{name}' does not exist.")


@routes.add("GET /cluster/acme/directories")
def directories(call: Call) -> object:
    """Servers that are known by name."""
    del call
    return [{"name": name, "url": url} for name, url in LETS_ENCRYPT.items()]


@routes.add("GET /cluster/acme/meta", "/nodes/{node} Sys.Audit", _DIRECTORY)
@routes.add("GET /cluster/acme/tos", takes=_DIRECTORY)
def ask_server(call: Call) -> object:
    """What a server says of itself."""
    raise died(_asked(_directory(call)))


def _apis(call: Call) -> tuple[str, ...]:
    """Those that the release knows."""
    create = next(route for route in routes.all if route.call == "POST /cluster/acme/plugins")
    return call.api.release.table(create).params["api"].enum


@routes.add("GET /cluster/acme/challenge-schema")
def challenge_schema(call: Call) -> object:
    """Providers of DNS."""
    return [{"id": api, "name": api, "type": "dns", "schema": {}} for api in sorted(_apis(call))]


def _shown(call: Call, name: str) -> dict[str, object]:
    known = PLUGINS.of(call.documents)
    if name not in known:
        raise died(f"ACME plugin '{name}' not defined")
    row: dict[str, object] = {**known[name], "plugin": name, "digest": known.digest}
    return row | ({"data": _decoded(str(row["data"]))} if "data" in row else {})


def _decoded(text: str) -> str:
    """What stands for it in base64, as Perl reads that: whatever is none of it is passed over."""
    plain = re.sub(r"[^A-Za-z0-9+/]", "", text.partition("=")[0])
    plain = plain[:-1] if len(plain) % 4 == 1 else plain
    return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("latin-1")


@routes.add("GET /cluster/acme/plugins", "/ Sys.Modify", "type? enum(dns,standalone)\n")
def plugins(call: Call) -> object:
    """All, or those of a type."""
    rows = [_shown(call, name) for name in PLUGINS.of(call.documents)]
    return [row for row in rows if call.text("type") in ("", row["type"])]


@routes.add("GET /cluster/acme/plugins/{id}", "/ Sys.Modify", "id pve-configid\n")
def plugin(call: Call) -> object:
    """One plugin."""
    return _shown(call, call.text("id"))


def _sent(call: Call) -> dict[str, Value]:
    skipped = ("id", "type", "delete", "digest")
    sent = {key: call.values[key] for key in call.values if call.has(key) and key not in skipped}
    if "data" in sent:
        plain = _decoded(call.text("data")).encode("latin-1")
        sent["data"] = base64.b64encode(plain).decode()
    return sent


@routes.add(
    "POST /cluster/acme/plugins",
    "/ Sys.Modify",
    f"id pve-configid\ntype enum(dns,standalone)\n{_KEYS}",
)
def create_plugin(call: Call) -> object:
    """A new plugin."""
    name, kind, sent = call.text("id"), call.text("type"), _sent(call)
    with call.locked(PLUGINS.path):
        known = PLUGINS.of(call.documents)
        if name in known:
            raise died(f"ACME plugin ID '{name}' already exists")
        check_new(PLUGINS.types[kind], sent)
        known[name] = {"type": kind, **sent}
    return None


@routes.add(
    "PUT /cluster/acme/plugins/{id}",
    "/ Sys.Modify",
    f"id pve-configid\n{_KEYS}delete? pve-configid-list ..4096\ndigest? string ..64\n",
)
def update_plugin(call: Call) -> object:
    """Change a plugin."""
    name, sent, gone = call.text("id"), _sent(call), call.words("delete")
    with call.locked(PLUGINS.path):
        known = PLUGINS.of(call.documents)
        call.need_digest(known.digest)
        if name not in known:
            raise died(f"ACME plugin ID '{name}' does not exist")
        kind = PLUGINS.types[str(known[name]["type"])]
        check_removable(kind, gone, {})
        check_known(kind, sent)
        left = {key: value for key, value in known[name].items() if key not in gone}
        known[name] = {**left, **sent}
    return None


@routes.add("DELETE /cluster/acme/plugins/{id}", "/ Sys.Modify", "id pve-configid\n")
def delete_plugin(call: Call) -> object:
    """Forget a plugin; the built-in one comes back by itself."""
    with call.locked(PLUGINS.path):
        PLUGINS.put(call.documents, call.text("id"), None)
    return None
