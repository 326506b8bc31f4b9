"""Ceph's configuration as nodes show it: ceph.conf, the monitors' store, CRUSH rules and map.

Source: PVE::API2::Ceph::Cfg, PVE::API2::Ceph. The file has what follows from the lab and no option
that the twin's daemons would not obey; it is read, never written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from simulator.mon.crushtext import decompiled
from simulator.mon.install import QUINCY
from simulator.mon.metadata import release
from simulator.mon.status import address, fsid, mons
from simulator.pve.call import Call, Environment
from simulator.pve.routes import Routes, index
from simulator.pve_node.ceph_rados import AUDIT, NODE, mon_command, site

routes = Routes()
index(routes, "/nodes/{node}/ceph/cfg", "db raw value")
_ITEM = r"[0-9a-zA-Z\-_\.]+:[0-9a-zA-Z\-_]+"
CONFIG_KEYS = rf"/{_ITEM}([;,\x20]{_ITEM})*/"


def conf(scene: Environment) -> Mapping[str, Mapping[str, str]]:
    """/etc/pve/ceph.conf, by section."""
    here, lab = site(scene), scene.twin.model.lab
    subnet = lab.vlans[lab.ceph[scene.world.ceph].public].subnet
    networks = {f"{kind}_network": str(subnet) for kind in ("cluster", "public")} if subnet else {}
    places = {mon: address(here, mon) for mon in mons(here)}
    return {
        "global": {
            **{f"auth_{who}_required": "cephx" for who in ("client", "cluster", "service")},
            "fsid": fsid(here),
            "mon_host": " ".join(places.values()),
            "ms_bind_ipv4": "true",
            "ms_bind_ipv6": "false",
            **networks,
        },
        "client": {"keyring": "/etc/pve/priv/$cluster.$name.keyring"},
        **{f"mon.{mon}": {"public_addr": place} for mon, place in places.items()},
    }


@routes.add("GET /nodes/{node}/ceph/cfg/raw", AUDIT, NODE)
def raw(call: Call) -> object:
    """The file."""
    return "\n".join(
        f"[{section}]\n" + "".join(f"\t {key} = {value}\n" for key, value in sorted(keys.items()))
        for section, keys in conf(call).items()
    )


@routes.add("GET /nodes/{node}/ceph/cfg/db", AUDIT, NODE)
def store(call: Call) -> object:
    """What is set in the monitors' store."""
    rows = mon_command(call, "config dump")
    return [{**row, "can_update_at_runtime": int(row["can_update_at_runtime"])} for row in rows]


@routes.add(
    "GET /nodes/{node}/ceph/cfg/value",
    "/ Sys.Audit",
    f"{NODE}config-keys {CONFIG_KEYS} ..4096",
)
def values(call: Call) -> object:
    """Values of `section:key` from the file, else from the store; none of what is in neither.

    Names come out with hyphens, however they were asked.
    """
    known = {(row["section"], row["name"]): row["value"]
             for row in mon_command(call, "config dump") if not row["mask"]}  # fmt: skip
    known |= {(section, key): value for section, keys in conf(call).items()
              for key, value in keys.items()}  # fmt: skip
    answer: dict[str, dict[str, str]] = {}
    for item in re.split(r"[;, ]", call.text("config-keys")):
        section, _, key = item.partition(":")
        name = section, key.replace("-", "_")
        if name in known:
            shown, key = section.replace("_", "-"), key.replace("_", "-")
            answer.setdefault(shown, {})[key] = known[name]
    return answer


@routes.add("GET /nodes/{node}/ceph/rules", AUDIT, NODE)
def rules(call: Call) -> object:
    """CRUSH rules."""
    return [{"name": name} for name in mon_command(call, "osd crush rule ls")]


@routes.add("GET /nodes/{node}/ceph/crush", AUDIT, NODE)
def crush(call: Call) -> object:
    """The CRUSH map as text."""
    dump = mon_command(call, "osd crush dump")
    return decompiled(dump, bounds=release(call.world.ceph_version) < QUINCY)
