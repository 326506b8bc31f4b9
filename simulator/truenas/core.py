"""What a client asks of the middleware itself: is it there, which events, how jobs answer."""

from __future__ import annotations

from simulator.truenas.call import Call, serves


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
