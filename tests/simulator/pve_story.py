"""A story: writing calls made one after the other, and what went wrong on the way.

Its chapters are `pve_story_cluster`, `pve_story_nodes` and `pve_story_guests`; the same story is
told in every release, with the calls and the parameters that it has.
"""

from __future__ import annotations

import re
from typing import Any

from simulator.mon.monitors import monitors_of
from simulator.pve.api import tree
from simulator.served.multipart import File
from tests.simulator.ceph_nodes import with_ceph
from tests.simulator.pve_cluster import Cluster

Step = tuple[str, dict[str, Any]]
"""A call and its parameters; `file` among them is a file that is sent along, and a function makes
a value of the cluster as it is then.
"""
SENT = File("filename", "a.iso", 5000)

REFUSED = {
    r"POST /access/domains/corp/sync": "connect: Connection timed out",  # no directory is there
    r"POST /access/openid/auth-url": "wrong realm type",
    r"POST /access/openid/login": "authentication failure",  # no issuer is there
    r"\w+ /nodes/.*/apt/repositories": "not implemented for this release",  # but in 9.2
    r"\w+ /cluster/sdn/dns.*": "dns",  # no such server is there to be asked
    r"(PUT|DELETE) /cluster/acme/account/own": "config file 'own' does not exist",
    r"(POST|DELETE) /nodes/.*/certificates/acme/.*": "ACME domain list in configuration is missing",
    r"PUT /nodes/.*/certificates/acme/.*": "No current (custom) certificate found",
    r"PUT /nodes/.*/subscription": "subscription check failed: Can't connect to shop",
    r"POST /cluster/acme/account": "Registration failed: Error: GET to https://ca",
    r"POST /cluster/notifications/targets/push/test": "could not notify via endpoint",  # nor this
    r"POST /nodes/.*/lxc/.*/status/suspend": "command 'lxc-checkpoint -n 200 -s",  # no CRIU
    r"POST /nodes/.*/lxc/200/status/resume": "already running",
    r"POST /nodes/.*/(qemu|lxc)/.*/remote_migrate": "Can't connect to 192.0.2.1:8006",
    r"POST /nodes/.*/qemu/.*/spiceproxy": "no spice port",
    r"POST /access/vncticket": "authentication failure",
    r"PUT /nodes/.*/qemu/100/sendkey": "not running",  # of one that runs nobody knows the answer
    r"PUT /nodes/.*/content/.*": "only backups can have notes",
    r"\w+ /cluster/ha/groups.*": "ha groups have been migrated to rules",
}
"""Calls of the story that are refused, with what is said then."""


def beginning() -> Cluster:
    """Nodes with Ceph and an unused disk each, and storages for disks on every node's own ones."""
    here = with_ceph()
    more = {"type": "dir", "path": "/srv/data", "content": "images,rootdir"}
    here.ok("POST /storage", storage="data", **more)
    here.ok("POST /storage", storage="tank", type="zfspool", pool="tank", content="rootdir")
    allow = "config set mon mon_allow_pool_delete true"
    assert monitors_of(here.twin, "a").line(here.twin, allow.split()).code == 0
    return here


def tell(here: Cluster, story: list[Step]) -> tuple[set[str], dict[str, str]]:
    """The calls that were made, and what went wrong."""
    release, made, wrong = here.api.release, {"POST /access/ticket"}, dict[str, str]()
    headers = here.login()
    for call, params in story:
        method, _, path = call.partition(" ")
        path = path.replace("{upid}", next(iter(here.api.documents.tasks), ""))
        factors = here.api.documents.factors.values()
        path = path.replace("{factor}", next((one.totp[0].id for one in factors), ""))
        segments = [part.replace("%2F", "/") for part in path.split("/") if part]
        found = tree().find(method, segments)
        assert found is not None, call
        if release.lacks(found[0].call):
            continue
        known = release.table(found[0]).params
        sent = {
            f"_{key}": value(here) if callable(value) else value
            for key, value in params.items()
            if key in known
        }
        response = here.send(
            f"{method} {path}", None, headers=headers, upload=params.get("file"), **sent
        )
        made.add(found[0].call)
        data = (response.members or {}).get("data")
        if response.status != 200:
            told = f"{response.reason} {(response.members or {}).get('errors')}"
            if not _refused(call, told):
                wrong[call] = told
        elif str(data).startswith("UPID:"):
            while (task := here.api.documents.tasks[str(data)]).running:
                here.wait(1)
            if task.status != "OK" and not _refused(call, task.status):
                wrong[call] = task.status
        here.wait(1)
    return made, wrong


def _refused(call: str, told: str) -> bool:
    """Whether a call is one that is refused so."""
    return any(re.fullmatch(at, call) and said in told for at, said in REFUSED.items())
