"""Alerts: what the array would have an administrator know. They come and go with their causes.

Source: reference of the TrueNAS API, alerts. Leaves out: mail, SMART, those of ended tasks.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from simulator.truenas import pools
from simulator.truenas.call import Call, Entry, Session, date, serves
from simulator.truenas.catalogue import METHODS
from simulator.truenas.errors import no_such
from simulator.truenas.space import Space
from simulator.twin import Twin

if TYPE_CHECKING:
    from simulator.truenas.api import TrueNasApi

# Percent of a pool in use, and how loud that is. 80 is the vendor's advice; 90 is assumed.
CAPACITY = ((90, "ZpoolCapacityCritical", "CRITICAL"), (80, "ZpoolCapacityWarning", "WARNING"))


def follow(api: TrueNasApi, twin: Twin) -> None:
    """Raise and drop the alerts that follow from how the pools are."""
    call = Call(api, twin, Session(user="root"), METHODS["alert.list"])
    now = _causes(call)
    for (klass, key), (level, text) in now.items():
        if _uuid(klass, key) not in api.documents.alerts:
            raise_alert(call, klass, level, key, text)
    for uuid, alert in list(api.documents.alerts.items()):
        if not alert["one_shot"] and (alert["klass"], alert["key"]) not in now:
            del api.documents.alerts[uuid]
            call.emit("alert.list", "removed", uuid, {})


def _causes(call: Call) -> dict[tuple[str, str], tuple[str, str]]:
    found: dict[tuple[str, str], tuple[str, str]] = {}
    space = Space(call.documents)
    klass = "VolumeStatus" if not call.version.scale else "PoolStatus"
    for row in call.documents.rows("pool").values():
        name, status = row["name"], pools.status(call, row)
        if status != "ONLINE":
            text = f"Pool {name} state is {status}: One or more devices could not be used."
            found[klass, name] = ("CRITICAL", text)
        used = 100 * space.used(name) // row["size"] if row["size"] else 0
        for percent, full, level in CAPACITY:
            if used >= percent:
                text = f'Space usage for pool "{name}" is {used}%.'
                found[full, name] = (level, text)
                break
    return found


def _uuid(klass: str, key: str) -> str:
    known = sha256(f"{klass} {key}".encode()).hexdigest()
    return f"{known[:8]}-{known[8:12]}-{known[12:16]}-{known[16:20]}-{known[20:32]}"


def raise_alert(call: Call, klass: str, level: str, key: str, text: str) -> None:
    """Keep an alert, and tell."""
    uuid = _uuid(klass, key)
    stays = klass == "ApiKeyRevoked"
    alert: Entry = {
        "uuid": uuid,
        "source": "" if stays else klass,
        "klass": klass,
        "args": {"key_name": key} if stays else {"volume": key},
        "node": "A",
        "key": key,
        "datetime": date(call.now_s),
        "last_occurrence": date(call.now_s),
        "dismissed": False,
        "mail": None,
        "text": text,
        "id": uuid,
        "level": level,
        "formatted": text,
        "one_shot": stays,
    }
    call.documents.alerts[uuid] = alert
    call.emit("alert.list", "added", uuid, alert)


@serves("alert.list")
def alert_list(call: Call) -> object:
    """All that hold."""
    return [dict(alert) for alert in call.documents.alerts.values()]


@serves("alert.dismiss")
def dismiss(call: Call) -> None:
    """Seen; it stays until its cause is gone."""
    uuid = call.args["uuid"]
    if (alert := call.documents.alerts.get(uuid)) is None:
        raise no_such("Alert", uuid)
    call.documents.alerts[uuid] = {**alert, "dismissed": True}
