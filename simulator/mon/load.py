"""From what monitors keep to the physics' `CephSpec`: the simulator's own parser of their rows."""

from __future__ import annotations

from simulator.mon.command import Site
from simulator.mon.documents import Row
from simulator.workload import CephPoolSpec, CephSpec, ceph_options

MANAGERS = frozenset(("mgr", "mgr_devicehealth"))
"""Applications of pools that hold nothing of anybody's."""


def spec_of(site: Site) -> CephSpec:
    """All that has weight."""
    config: dict[str, dict[str, str]] = {}
    for (section, mask, name), value in site.documents.config.items():
        if not mask:
            config.setdefault(section, {})[name] = value
    return CephSpec(
        pools={
            name: _pool(site, row)
            for name, row in site.documents.pools.items()
            if not MANAGERS & row["application_metadata"].keys()
        },
        flags=frozenset(site.documents.flags),
        **ceph_options(config),
    )


def _pool(site: Site, row: Row) -> CephPoolSpec:
    rules = {rule["rule_id"]: rule for rule in site.documents.rules.values()}
    steps = rules[row["crush_rule"]]["steps"] if row["crush_rule"] in rules else []
    class_ = next((s["item_name"].partition("~")[2] for s in steps if s["op"] == "take"), "")
    domain = next((s["type"] for s in steps if s["op"].startswith("choose")), "host")
    held = site.documents.classes
    osds = frozenset(str(osd) for osd in site.osds if not class_ or held.get(osd) == class_)
    return CephPoolSpec(
        row["pool_name"], row["size"], row["min_size"], osds, by_host=domain != "osd"
    )
