"""Logins by OpenID Connect: nobody gets in, as no issuer is there to be asked.

Source: PVE::API2::OpenId; proxmox-openid (Rust) for what is said of an issuer that does not answer.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.routes import Routes, index
from simulator.pve.wire import ApiError, died

routes = Routes()
index(routes, "/access/openid", "auth-url login", "subdir")


@routes.add(
    "POST /access/openid/auth-url",
    "world",
    "realm pve-realm ..32\nredirect-url string ..255\n",
)
def auth_url(call: Call) -> object:
    """Where a browser goes to log in: the realm's issuer would say."""
    name = call.text("realm")
    if (realm := call.documents.domains.get(name)) is None:
        raise died(f"authentication domain '{name}' does not exist")
    if realm["type"] != "openid":
        raise died(f"wrong realm type ({realm['type']} != openid)")
    raise died("Request failed")


@routes.add(
    "POST /access/openid/login",
    "world",
    "code string ..4096\nredirect-url string ..255\nstate string ..1024\n",
)
def login(call: Call) -> object:
    """What an issuer sends back: none was ever asked, so no state is a known one."""
    del call
    raise ApiError(401, "authentication failure\n")
