"""The locks of an HA stack: their names, their life, and the pace in which they are renewed.

They are kept in `HaState.locks` by `simulator/ha_daemons.py`; before the manager fences it looks at
them.
Source: the behaviour of pve-ha-manager 5.2 and of the cluster file system's locks.
"""

from __future__ import annotations

from math import inf

from simulator.state import GuestKey

# A lock is free this long after its last renewal.
LOCK_LIFETIME_S = 120.0
# A master, and an LRM with its lock, aim at one round in this time, and renew their lock in it.
ACTIVE_ROUND_S = 10.0
# A slave CRM, and an LRM without its lock, aim at one round in this time.
WAITING_ROUND_S = 5.0
# watchdog-mux: a node is reset this long after its LRM renewed its lock last.
WATCHDOG_S = 60.0

MANAGER_LOCK = "ha_manager_lock"
RENEWED = inf  # last renewal of a lock that its holder renews in every round


def agent_lock(node: str) -> str:
    """The name of the lock that a node's LRM holds while it answers for services."""
    return f"ha_agent_{node}_lock"


def lock_free(lock: tuple[str, float] | None, now_s: float) -> bool:
    """Whether nobody holds this lock any more."""
    return lock is None or now_s - lock[1] > LOCK_LIFETIME_S


def guest_key(cluster: str, sid: str) -> GuestKey:
    """The guest of a service: ("a", 101) of `vm:101`."""
    return cluster, int(sid.partition(":")[2])
