"""Certificates from an ACME server: what a cluster knows before anybody set one up. Source:
PVE::API2::ACME, ::ACMEAccount, ::ACMEPlugin; RFC 8555.

No account and no plugin but the built-in one. Leaves out: registering, which speaks to the server
(terms and metadata, too), plugins of one's own with the settings that each asks for, orders.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.routes import Routes, index
from simulator.pve.sections import digest_of_text
from simulator.pve.wire import bad_parameters, died

routes = Routes()
index(routes, "/cluster/acme", "account challenge-schema directories meta plugins tos")
STANDALONE = "standalone"
LETS_ENCRYPT = {
    "Let's Encrypt V2": "https://acme-v02.api.letsencrypt.org/directory",
    "Let's Encrypt V2 Staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}


@routes.add("GET /cluster/acme/account")
def accounts(call: Call) -> object:
    """None."""
    del call
    return []


@routes.add("GET /cluster/acme/account/{name}", "root", "name? pve-configid\n")
def account(call: Call) -> object:
    """One of them."""
    name = call.text("name", "default")
    raise bad_parameters(name=f"ACME account config file '{name}' does not exist.")


@routes.add("GET /cluster/acme/directories")
def directories(call: Call) -> object:
    """Servers that are known by name."""
    del call
    return [{"name": name, "url": url} for name, url in LETS_ENCRYPT.items()]


def _plugin() -> dict[str, object]:
    return {"plugin": STANDALONE, "type": STANDALONE, "digest": digest_of_text("")}


@routes.add("GET /cluster/acme/plugins", "/ Sys.Modify", "type? enum(dns,standalone)\n")
def plugins(call: Call) -> object:
    """The built-in one, unless others are asked for."""
    return [_plugin()] if call.text("type", STANDALONE) == STANDALONE else []


@routes.add("GET /cluster/acme/plugins/{id}", "/ Sys.Modify", "id pve-configid\n")
def plugin(call: Call) -> object:
    """One plugin."""
    if (name := call.text("id")) != STANDALONE:
        raise died(f"ACME plugin '{name}' not defined")
    return _plugin()
