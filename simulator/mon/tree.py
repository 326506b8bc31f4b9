"""The CRUSH tree of a cluster, its rules and device classes. Source: Ceph's manual, CRUSH maps.

The tree is that of the lab: a root, a bucket for each host with OSDs, weights as sizes in TiB. Its
bucket ids are given out as a new cluster does for hosts that come in order; those of a cluster that
grew otherwise are not known here, so its placement groups lie on other OSDs than these.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from typing import Any

from simulator.crush.crushmap import WEIGHT_ONE, CrushMap, Step, bucket
from simulator.mon.command import (
    Args,
    Command,
    MonError,
    Parameter,
    Reply,
    Site,
    done,
    given,
    maybe,
    reading,
)
from simulator.mon.documents import Row

ROOT = "default"
TYPES = {
    "osd": 0, "host": 1, "chassis": 2, "rack": 3, "row": 4, "pdu": 5, "pod": 6, "room": 7,
    "datacenter": 8, "zone": 9, "region": 10, "root": 11,
}  # fmt: skip
TIB = 2**40


def device(site: Site, osd: int) -> str:
    """The disk that an OSD is on."""
    declared = site.twin.model.lab.ceph[site.name].osds[str(osd)]
    raid = site.twin.model.hosts[declared.node].raids.get(declared.disk)
    return declared.disk if raid is None else raid.disks[0]


def size_bytes(site: Site, osd: int) -> int:
    """Its size."""
    return site.twin.model.hosts[site.osds[osd]].disks[device(site, osd)].size


def weight(site: Site, osd: int) -> int:
    """CRUSH weight, 16.16: its size in TiB."""
    return size_bytes(site, osd) * WEIGHT_ONE // TIB


def hosts(site: Site) -> dict[str, list[int]]:
    """Host -> its OSDs, in the order of the OSDs."""
    found: dict[str, list[int]] = {}
    for osd, host in site.osds.items():
        found.setdefault(host, []).append(osd)
    return found


def classes(site: Site) -> list[str]:
    """The device classes that OSDs have."""
    return sorted({name for name in site.documents.classes.values() if name})


def bucket_ids(site: Site) -> dict[str, int]:
    """Bucket -> its id: every name is followed by its shadows."""
    names = [
        name
        for base in (ROOT, *hosts(site))
        for name in (base, *(f"{base}~{each}" for each in classes(site)))
    ]
    return {name: -1 - number for number, name in enumerate(names)}


def crush_map(site: Site) -> CrushMap:
    """The map that places this cluster's data."""
    ids = bucket_ids(site)
    made = {}
    for suffix in ("", *(f"~{each}" for each in classes(site))):
        top = {}
        for host, osds in hosts(site).items():
            kept = {
                osd: weight(site, osd)
                for osd in osds
                if not suffix or site.documents.classes.get(osd) == suffix[1:]
            }
            id_ = ids[f"{host}{suffix}"]
            made[id_] = bucket(id_, TYPES["host"], kept)
            top[id_] = sum(kept.values())
        made[ids[f"{ROOT}{suffix}"]] = bucket(ids[f"{ROOT}{suffix}"], TYPES["root"], top)
    rules = {
        rule["rule_id"]: tuple(_step(step, ids) for step in rule["steps"])
        for rule in site.documents.rules.values()
    }
    return CrushMap(made, rules, max_devices=max(site.osds, default=-1) + 1, types=TYPES, names=ids)


def _step(row: Row, ids: Mapping[str, int]) -> Step:
    item = ids.get(row.get("item_name", ""), row.get("item", 0))
    return Step(row["op"], row.get("num", 0), TYPES.get(row.get("type", ""), 0), item)


def new_rule(id_: int, name: str, root: str, type_: str, class_: str = "") -> Row:
    """A rule for copies, as `osd crush rule create-replicated` makes it."""
    choose = "choose_firstn" if type_ == "osd" else "chooseleaf_firstn"
    return {
        "rule_id": id_,
        "rule_name": name,
        "type": 1,
        "steps": [
            {"op": "take", "item": 0, "item_name": f"{root}~{class_}" if class_ else root},
            {"op": choose, "num": 0, "type": type_},
            {"op": "emit"},
        ],
    }


def _shown(site: Site, rule: Row) -> Row:
    """A rule with the ids that its names stand for now."""
    ids = bucket_ids(site)
    steps = [
        {**step, "item": ids.get(step["item_name"], step["item"])} if "item_name" in step else step
        for step in rule["steps"]
    ]
    return {**rule, "steps": steps}


def _rules(site: Site, args: Args) -> object:
    name = args.get("name")
    if name is None:
        rows = sorted(site.documents.rules.values(), key=lambda row: int(row["rule_id"]))
        return [_shown(site, row) for row in rows]
    if name not in site.documents.rules:
        raise MonError(errno.ENOENT, f"unknown crush rule '{name}'")
    return _shown(site, site.documents.rules[name])


def _rule_names(site: Site, _args: Args) -> object:
    return sorted(site.documents.rules)


def _create(site: Site, args: Args) -> Reply:
    documents, name = site.documents, str(args["name"])
    root, type_, class_ = str(args["root"]), str(args["type"]), str(args.get("class", ""))
    if name in documents.rules:
        return done(f"rule {name} already exists")
    if root not in bucket_ids(site):
        raise MonError(errno.ENOENT, f"root item {root} does not exist")
    if type_ not in TYPES:
        raise MonError(errno.EINVAL, f"unknown type {type_}")
    if class_ and class_ not in classes(site):
        raise MonError(errno.EINVAL, f"device class {class_} does not exist")
    documents.rules[name] = new_rule(documents.new_rule_id(), name, root, type_, class_)
    return done()


def _users(site: Site, rule: Row) -> list[str]:
    pools = site.documents.pools.values()
    return [row["pool_name"] for row in pools if row["crush_rule"] == rule["rule_id"]]


def _remove(site: Site, args: Args) -> Reply:
    name = str(args["name"])
    if (rule := site.documents.rules.get(name)) is None:
        return done(f"rule {name} does not exist")
    if _users(site, rule):
        raise MonError(errno.EBUSY, f"crush rule {name} ({rule['rule_id']}) is in use")
    del site.documents.rules[name]
    return done()


def _rename(site: Site, args: Args) -> Reply:
    old, new = str(args["srcname"]), str(args["dstname"])
    if new in site.documents.rules:
        raise MonError(errno.EEXIST, f"dstname: '{new}' already exists")
    if old not in site.documents.rules:
        raise MonError(errno.ENOENT, f"srcname: '{old}' does not exist")
    site.documents.rules[new] = {**site.documents.rules.pop(old), "rule_name": new}
    return done()


def _numbers(site: Site, args: Args) -> Iterator[int]:
    """OSDs of `ids`: 0, osd.0, all. Raises MonError."""
    for word in args.get("ids", ()):
        if word in ("all", "any", "*"):
            yield from site.osds
            continue
        text = str(word).removeprefix("osd.")
        if not text.isdigit():
            raise MonError(errno.EINVAL, f"invalid osd id {word}")
        if int(text) in site.osds:
            yield int(text)


def _class_names(site: Site, _args: Args) -> object:
    return classes(site)


def _set_class(site: Site, args: Args) -> Reply:
    class_ = str(args["class"])
    osds = list(_numbers(site, args))
    for osd in osds:
        if (old := site.documents.classes.get(osd, "")) not in ("", class_):
            text = f"osd.{osd} has already bound to class '{old}', can not reset class to"
            how = "use 'ceph osd crush rm-device-class <id>' to remove old class first"
            raise MonError(errno.EBUSY, f"{text} '{class_}'; {how}")
    site.documents.classes |= dict.fromkeys(osds, class_)
    return done(f"set osd(s) {','.join(map(str, osds))} to class '{class_}'")


def _remove_class(site: Site, args: Args) -> Reply:
    osds = list(_numbers(site, args))
    site.documents.classes |= dict.fromkeys(osds, "")
    return done(f"done removing class of osd(s): {','.join(map(str, osds))}")


def _dump(site: Site, _args: Args) -> object:
    crush, names = crush_map(site), {id_: name for name, id_ in bucket_ids(site).items()}
    kinds = {number: name for name, number in TYPES.items()}
    return {
        "devices": [
            {"id": osd, "name": f"osd.{osd}", "class": site.documents.classes.get(osd, "")}
            for osd in site.osds
        ],
        "types": [{"type_id": number, "name": name} for name, number in TYPES.items()],
        "buckets": [_bucket(each.id, names, kinds, crush) for each in crush.buckets.values()],
        "rules": _rules(site, {}),
        "tunables": {name: getattr(crush.tunables, name)
                     for name in crush.tunables.__dataclass_fields__},
        "choose_args": {},
    }  # fmt: skip


def _bucket(
    id_: int, names: Mapping[int, str], kinds: Mapping[int, str], crush: CrushMap
) -> dict[str, Any]:
    here = crush.buckets[id_]
    pairs = zip(here.items, here.weights, strict=True)
    return {
        "id": id_,
        "name": names[id_],
        "type_id": here.type,
        "type_name": kinds[here.type],
        "weight": sum(here.weights),
        "alg": here.alg,
        "hash": "rjenkins1",
        "items": [
            {"id": item, "weight": heavy, "pos": pos} for pos, (item, heavy) in enumerate(pairs)
        ],
    }


_IDS = Parameter("ids", "list")
COMMANDS: Mapping[str, Command] = {
    "osd crush rule ls": reading(_rule_names),
    "osd crush rule dump": reading(_rules, *maybe("name")),
    "osd crush rule create-replicated": Command(
        _create, (*given("name", "root", "type"), *maybe("class"))
    ),
    "osd crush rule rm": Command(_remove, given("name")),
    "osd crush rule rename": Command(_rename, given("srcname", "dstname")),
    "osd crush class ls": reading(_class_names),
    "osd crush set-device-class": Command(_set_class, (*given("class"), _IDS)),
    "osd crush rm-device-class": Command(_remove_class, (_IDS,)),
    "osd crush dump": reading(_dump),
}
