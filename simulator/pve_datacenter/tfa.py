"""Second factors of users. Source: PVE::API2::TFA, PVE::API2::User.

Nobody has one. Leaves out: adding, changing and removing them, and so being locked out by them.
"""

from __future__ import annotations

from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.wire import died
from simulator.pve_datacenter.access import (
    find_user,
    may_read_user,
    need_users_groups,
    realm_of,
    realm_type,
)

routes = Routes()
_USER = "userid pve-userid ..64\n"


def _may_read(call: Call) -> None:
    """The user in question, or somebody who may look at users."""
    if call.user.partition("!")[0] != call.text("userid"):
        may_read_user(call)


@routes.add("GET /access/tfa")
def factors(call: Call) -> object:
    """Of all users that have some."""
    del call
    return []


@routes.add("GET /access/tfa/{userid}", _may_read, _USER)
def factors_of_user(call: Call) -> object:
    """Of one user."""
    find_user(call, call.text("userid"))
    return []


@routes.add("GET /access/tfa/{userid}/{id}", _may_read, _USER + "id string\n")
def factor(call: Call) -> object:
    """One of them."""
    raise died(f"No such tfa entry '{call.text('id')}'")


@routes.add("GET /access/users/{userid}/tfa", _may_read, _USER + "multiple? boolean\n")
def user_factors(call: Call) -> object:
    """Types of a user's factors, and the one that the realm asks for."""
    user = call.text("userid")
    find_user(call, user)
    realm = realm_of(user)
    if not realm_type(call, realm):
        raise died(f"auth domain '{realm}' does not exist")
    asked = str(call.documents.domains.get(realm, {}).get("tfa") or "")
    kind = propertystring.split(asked, "type").get("type") if asked else None
    return ({"realm": kind} if kind else {}) | ({"types": []} if call.flag("multiple") else {})


@routes.add("PUT /access/users/{userid}/unlock-tfa", need_users_groups, _USER)
def unlock(call: Call) -> object:
    """Whether the user was locked out: never."""
    find_user(call, call.text("userid"))
    return 0
