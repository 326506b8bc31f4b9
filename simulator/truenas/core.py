"""What a client asks of the middleware itself: is it there, which events, how jobs answer."""

from __future__ import annotations

from simulator.truenas.call import Call, serves
from simulator.truenas.catalogue import METHODS


@serves("core.ping")
def ping(call: Call) -> object:
    """Whether anybody is there."""
    del call
    return "pong"


@serves("core.set_options")
def set_options(call: Call) -> object:
    """How this connection wants its answers."""
    session = call.session
    session.legacy_jobs = call.data.get("legacy_jobs", session.legacy_jobs)
    asked = {name: call.data.get(name, False) for name in ("private_methods", "py_exceptions")}
    return {"legacy_jobs": session.legacy_jobs, **asked}


@serves("core.subscribe")
def subscribe(call: Call) -> object:
    """Events of a collection, from now on."""
    session = call.session
    session.last_subscription += 1
    identity = f"subscription-{session.last_subscription}"
    session.subscriptions[identity] = call.args["event"]
    return identity


@serves("core.unsubscribe")
def unsubscribe(call: Call) -> None:
    """No more of them; an unknown id is nothing to refuse."""
    call.session.subscriptions.pop(call.args["id_"], None)


@serves("core.get_methods")
def get_methods(call: Call) -> object:
    """Methods of this release, of one namespace or all; clients choose among names by it."""
    service = call.args["service"]
    return {
        name: {
            "description": None,
            "cli_description": None,
            "examples": {},
            "item_method": method.item,
            "no_auth_required": method.open,
            "filterable": method.query,
            "downloadable": False,
            "uploadable": False,
            "require_pipes": False,
            "job": method.job,
        }
        for name, method in sorted(METHODS.items())
        if call.version.has(method.span) and service in (None, method.namespace)
    }
