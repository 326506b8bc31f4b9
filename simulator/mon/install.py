"""What the monitors keep of a cluster just made, of one as declared, and of one that was observed.

Source: Ceph's manual and Proxmox VE's, installation: a rule for copies on hosts, the manager's own
pool, the keys of the daemons and of the first administrator. Keys of an observed cluster are not
known here; others stand for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab.kinds.ceph import Ceph
from simulator.mon import metadata, osds, pools, tree
from simulator.mon.command import Site
from simulator.mon.documents import Documents, Row
from simulator.twin import Twin

Answers = Mapping[str, object]
"""Prefix, with its arguments as a query -> the answer."""
DEFAULT_CLASS = "hdd"  # of a disk of which nobody said more
DEFAULT_RULE = "replicated_rule"
ALL = {"mds": "allow *", "mgr": "allow *", "mon": "allow *", "osd": "allow *"}
QUINCY = 17


def installed(twin: Twin, name: str) -> Documents:
    """A cluster with monitors and OSDs, and nothing else."""
    declared, documents = twin.model.lab.ceph[name], Documents()
    documents.rules[DEFAULT_RULE] = tree.new_rule(0, DEFAULT_RULE, tree.ROOT, "host")
    documents.classes = {int(osd): DEFAULT_CLASS for osd in declared.osds}
    own, app = _managers_pool(declared)
    row = pools.new_pool(documents.new_pool_id(), own, min(3, _hosts(declared)), 1, 0)
    documents.pools[own] = {**row, "application_metadata": {app: {}}}
    for entity, caps in {
        "client.admin": ALL,
        "client.bootstrap-osd": {"mon": "allow profile bootstrap-osd"},
        **{f"osd.{osd}": {"mon": "allow profile osd", "osd": "allow *"} for osd in declared.osds},
    }.items():
        documents.auth[entity] = (documents.new_key(entity, name), caps)
    return documents


def declared(twin: Twin, name: str) -> Documents:
    """A cluster that holds what the lab says."""
    ceph, documents = twin.model.lab.ceph[name], installed(twin, name)
    documents.classes |= {
        int(osd): known.device_class for osd, known in ceph.osds.items() if known.device_class
    }
    needed = {ceph.rule_name(pool): ceph.rule_of(pool) for pool in ceph.pools.values()}
    for rule, known in {**needed, **ceph.rules}.items():
        if rule not in documents.rules:
            made = (documents.new_rule_id(), rule, known.root, known.domain.value)
            documents.rules[rule] = tree.new_rule(*made, known.device_class or "")
    for pool, said in ceph.pools.items():
        rule_id = documents.rules[ceph.rule_name(said)]["rule_id"]
        row = pools.new_pool(documents.new_pool_id(), pool, said.size, said.pgs, rule_id)
        apps: Row = {said.application: {}} if said.application else {}
        documents.pools[pool] = {**row, "min_size": said.needed, "application_metadata": apps}
    documents.flags = {word for flag in ceph.flags for word in osds.flag_words(flag.value)}
    for where, options in _options(ceph).items():
        section, _, mask = where.partition("/")
        documents.config |= {(section, mask, option): value for option, value in options.items()}
    for client, known_client in ceph.clients.items():
        entity = f"client.{client}"
        documents.auth[entity] = (documents.new_key(entity, name), dict(known_client.caps))
    return documents


def _options(ceph: Ceph) -> dict[str, dict[str, str]]:
    """Options by section, those that have a word of their own among them."""
    found = {where: dict(options) for where, options in ceph.config.items()}
    if "osd_memory_target" in ceph.written:
        found.setdefault("osd", {})["osd_memory_target"] = str(ceph.osd_memory_target)
    if "down_out" in ceph.written:
        found.setdefault("mon", {})["mon_osd_down_out_interval"] = f"{ceph.down_out:.0f}"
    return found


def _managers_pool(ceph: Ceph) -> tuple[str, str]:
    """Its name, and the application that it is for."""
    if metadata.release(ceph.version) >= QUINCY:
        return ".mgr", "mgr"
    return "device_health_metrics", "mgr_devicehealth"


def _hosts(ceph: Ceph) -> int:
    return max(1, len({osd.node for osd in ceph.osds.values()}))


def from_answers(twin: Twin, name: str, answers: Answers) -> Documents:
    """A cluster that would give these answers. What was not asked is as just installed."""
    documents = installed(twin, name)
    for text, told in answers.items():
        prefix = text.partition("?")[0]
        if prefix == "osd pool ls" and isinstance(told, list):
            documents.pools = {row["pool_name"]: dict(row) for row in told}
            documents.pool_ids = max((int(row["pool_id"]) for row in told), default=0)
        elif prefix == "osd crush rule dump" and isinstance(told, list):
            documents.rules = {row["rule_name"]: dict(row) for row in told}
        elif prefix == "osd tree" and isinstance(told, dict):
            documents.classes |= {
                row["id"]: row.get("device_class", "")
                for row in told["nodes"]
                if row["type"] == "osd"
            }
        elif prefix == "osd dump" and isinstance(told, dict):
            documents.flags = set(told["flags_set"])
        elif prefix == "config dump" and isinstance(told, list):
            documents.config = {
                (row["section"], row.get("mask", ""), row["name"]): str(row["value"])
                for row in told
            }
        elif prefix == "auth ls" and isinstance(told, dict):
            documents.auth = {
                row["entity"]: (documents.new_key(row["entity"], name), dict(row["caps"]))
                for row in told["auth_dump"]
            }
    return documents


def mark(site: Site, answers: Answers) -> list[int]:
    """Put OSDs out as an observed `osd dump` has them; answers those that it has down."""
    told: Any = answers.get("osd dump")
    down = []
    for row in told["osds"] if isinstance(told, dict) else ():
        key = f"{site.name}/{row['osd']}"
        if key in site.twin.state.osds:
            inside = bool(row["in"])
            site.twin.state.osds[key] = replace(site.twin.state.osds[key], inside=inside)
            down += [] if row["up"] else [row["osd"]]
    return down
