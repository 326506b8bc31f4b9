"""Pools: made, changed, limited, labelled and destroyed. Source: Ceph's manual, pools; what 16.2
answered.

Leaves out erasure-coded pools, snapshots, tiers, and what the autoscaler does with pg_num.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from simulator.mon.command import (
    SURE,
    Args,
    Command,
    MonError,
    Reply,
    Site,
    done,
    given,
    maybe,
    number,
    reading,
)
from simulator.mon.config import truth
from simulator.mon.documents import Row

REPLICATED = 1
LARGEST_SIZE = 10  # mon_max_pool_size
LARGEST_PG_NUM = 65536  # mon_max_pool_pg_num
PGS_PER_OSD = 250  # mon_max_pg_per_osd
DEFAULT_SIZE, DEFAULT_PG_NUM = 3, 32  # osd_pool_default_size, osd_pool_default_pg_num
MODES = ("on", "off", "warn")
FLAGS = (
    "hashpspool", "nodelete", "nopgchange", "nosizechange", "write_fadvise_dontneed", "noscrub",
    "nodeep-scrub",
)  # fmt: skip
COMPRESSION = {
    "compression_mode": ("none", "passive", "aggressive", "force"),
    "compression_algorithm": ("snappy", "zlib", "zstd", "lz4", "none"),
}
DELETE_SWITCH = "mon_allow_pool_delete"
SAID_TWICE = (
    "WARNING: this will *PERMANENTLY DESTROY* all data stored in pool {0}.  If you are *ABSOLUTELY"
    " CERTAIN* that is what you want, pass the pool name *twice*, followed by"
    " --yes-i-really-really-mean-it."
)
SWITCHED_OFF = (
    "pool deletion is disabled; you must first set the mon_allow_pool_delete config option to true"
    " before you can destroy a pool"
)


def default_min_size(size: int) -> int:
    """osd_pool_default_min_size 0: most of the copies."""
    return size - size // 2


def new_pool(id_: int, name: str, size: int, pg_num: int, rule: int) -> Row:
    """A row of `osd pool ls detail`."""
    return {
        "pool_id": id_,
        "pool_name": name,
        "type": REPLICATED,
        "size": size,
        "min_size": default_min_size(size),
        "crush_rule": rule,
        "pg_autoscale_mode": "on",
        "pg_num": pg_num,
        "pg_placement_num": pg_num,
        "pg_num_target": pg_num,
        "pg_placement_num_target": pg_num,
        "quota_max_bytes": 0,
        "quota_max_objects": 0,
        "erasure_code_profile": "",
        "flags_names": "hashpspool",
        "options": {},
        "application_metadata": {},
    }


def _pool(site: Site, args: Args, name: str = "pool") -> Row:
    found = site.documents.pools.get(str(args.get(name, "")))
    if found is None:
        raise MonError(errno.ENOENT, f"unrecognized pool '{args.get(name, '')}'")
    return found


def _ls(site: Site, args: Args) -> object:
    pools = sorted(site.documents.pools.values(), key=lambda row: int(row["pool_id"]))
    return pools if args.get("detail") == "detail" else [row["pool_name"] for row in pools]


def _create(site: Site, args: Args) -> Reply:
    documents, name = site.documents, str(args["pool"])
    if name in documents.pools:
        return done(f"pool '{name}' already exists")
    if args.get("pool_type", "replicated") != "replicated":
        raise MonError(errno.EOPNOTSUPP, "the twin has no erasure-coded pools")
    rule = str(args.get("rule") or "replicated_rule")
    if rule not in documents.rules:
        raise MonError(errno.ENOENT, f"specified rule {rule} doesn't exist")
    size, pg_num = number(args, "size", DEFAULT_SIZE), number(args, "pg_num", DEFAULT_PG_NUM)
    if (mode := str(args.get("autoscale_mode", "on"))) not in MODES:
        raise MonError(errno.EINVAL, f"specified invalid mode {mode}")
    _size_fits(size, sure=False)
    _pg_num_fits(site, name, size, pg_num)
    row = new_pool(documents.new_pool_id(), name, size, pg_num, documents.rules[rule]["rule_id"])
    documents.pools[name] = {**row, "pg_autoscale_mode": mode}
    return done(f"pool '{name}' created")


def _size_fits(size: int, *, sure: bool) -> None:
    if not 1 <= size <= LARGEST_SIZE:
        raise MonError(errno.EINVAL, f"pool size must be between 1 and {LARGEST_SIZE}")
    if size == 1 and not sure:
        text = "WARNING: setting pool size 1 could lead to data loss without recovery."
        how = "If you are *ABSOLUTELY CERTAIN* that is what you want, pass the flag"
        raise MonError(errno.EPERM, f"{text} {how} --yes-i-really-mean-it.")


def _pg_num_fits(site: Site, name: str, size: int, pg_num: int) -> None:
    if not 1 <= pg_num <= LARGEST_PG_NUM:
        text = f"'pg_num' must be greater than 0 and less than or equal to {LARGEST_PG_NUM}"
        raise MonError(errno.ERANGE, text)
    others = (row for row in site.documents.pools.values() if row["pool_name"] != name)
    total = size * pg_num + sum(row["size"] * row["pg_num_target"] for row in others)
    most = int(site.documents.option("mon_max_pg_per_osd", "mon") or PGS_PER_OSD)
    if total > most * max(1, len(site.inside)):
        text = f"pg_num {pg_num} size {size} would mean {total} total pgs, which exceeds max"
        limit = f"{most * len(site.inside)} (mon_max_pg_per_osd {most} * num_in_osds"
        raise MonError(errno.ERANGE, f"{text} {limit} {len(site.inside)})")


def _set(site: Site, args: Args) -> Reply:
    row, var, value = _pool(site, args), str(args.get("var", "")), str(args.get("val", ""))
    change = SETTABLE.get(var)
    if change is None:
        raise MonError(errno.EINVAL, f"unrecognized variable '{var}'")
    told = dict(change(site, row, var, args))
    site.documents.pools[row["pool_name"]] = {**row, **told}
    verb = "unset" if value == "unset" else "set"
    to = "" if value == "unset" else f" to {value}"
    return done(f"{verb} pool {row['pool_id']} {var}{to}")


Change = Iterator[tuple[str, Any]]


def _set_size(_site: Site, row: Row, _var: str, args: Args) -> Change:
    size = number(args, "val")
    _size_fits(size, sure=bool(args.get("yes_i_really_mean_it")))
    yield "size", size
    yield "min_size", default_min_size(size)


def _set_min_size(_site: Site, row: Row, _var: str, args: Args) -> Change:
    least = number(args, "val")
    if not 1 <= least <= row["size"]:
        text = f"pool min_size must be between 1 and size, which is set to {row['size']}"
        raise MonError(errno.EINVAL, text)
    yield "min_size", least


def _set_pg_num(site: Site, row: Row, var: str, args: Args) -> Change:
    pg_num = number(args, "val")
    _pg_num_fits(site, row["pool_name"], row["size"], pg_num)
    names = ("pg_num", "pg_num_target") if var == "pg_num" else ()
    for name in (*names, "pg_placement_num", "pg_placement_num_target"):
        yield name, pg_num


def _set_rule(site: Site, _row: Row, _var: str, args: Args) -> Change:
    rule = site.documents.rules.get(str(args["val"]))
    if rule is None:
        raise MonError(errno.ENOENT, f"crush rule {args['val']} does not exist")
    yield "crush_rule", rule["rule_id"]


def _set_mode(_site: Site, _row: Row, _var: str, args: Args) -> Change:
    if args["val"] not in MODES:
        raise MonError(errno.EINVAL, f"specified invalid mode {args['val']}")
    yield "pg_autoscale_mode", args["val"]


def _set_compression(_site: Site, row: Row, var: str, args: Args) -> Change:
    value = str(args["val"])
    if value not in (*COMPRESSION[var], "unset"):
        raise MonError(errno.EINVAL, f"unrecognized {var.replace('_', ' ')} '{value}'")
    yield "options", _options(row, var, "" if value == "unset" else value)


def _set_pg_num_min(_site: Site, row: Row, var: str, args: Args) -> Change:
    least = number(args, "val")
    if least > row["pg_num"]:
        text = f"specified pg_num_min {least} > pg_num {row['pg_num']}"
        raise MonError(errno.EINVAL, text)
    yield "options", _options(row, var, least)


def _set_target_bytes(_site: Site, row: Row, var: str, args: Args) -> Change:
    yield "options", _options(row, var, number(args, "val"))


def _set_target_ratio(_site: Site, row: Row, var: str, args: Args) -> Change:
    try:
        ratio = float(args["val"])
    except ValueError as error:
        told = f"strict_strtod: expected double, got: '{args['val']}'"
        text = f"error parsing floating point value '{args['val']}': {told}"
        raise MonError(errno.EINVAL, text) from error
    yield "options", _options(row, var, ratio)


def _options(row: Row, var: str, value: object) -> Row:
    """A pool's options with one of them changed; what is nothing is not kept."""
    others = {name: told for name, told in row["options"].items() if name != var}
    return {**others, var: value} if value else others


SETTABLE: Mapping[str, Callable[[Site, Row, str, Args], Change]] = {
    "size": _set_size,
    "min_size": _set_min_size,
    "pg_num": _set_pg_num,
    "pgp_num": _set_pg_num,
    "crush_rule": _set_rule,
    "pg_autoscale_mode": _set_mode,
    "pg_num_min": _set_pg_num_min,
    "target_size_bytes": _set_target_bytes,
    "target_size_ratio": _set_target_ratio,
    "compression_mode": _set_compression,
    "compression_algorithm": _set_compression,
}


def _get(site: Site, args: Args) -> object:
    row, var = _pool(site, args), str(args["var"])
    rules = {rule["rule_id"]: name for name, rule in site.documents.rules.items()}
    known = {name: row[name] for name in ("size", "min_size", "pg_num", "pg_autoscale_mode")}
    known |= {"pgp_num": row["pg_placement_num"], "crush_rule": rules.get(row["crush_rule"])}
    known |= {flag: flag in row["flags_names"].split(",") for flag in FLAGS}
    known |= {"use_gmt_hitset": True, "fast_read": 0, "bulk": False, **row["options"]}
    if var == "all":
        return {"pool": row["pool_name"], "pool_id": row["pool_id"], **known}
    if var not in known:
        code = errno.ENOENT if var in SETTABLE else errno.EINVAL
        raise MonError(code, f"option '{var}' is not set on pool '{row['pool_name']}'")
    return {"pool": row["pool_name"], "pool_id": row["pool_id"], var: known[var]}


def _set_quota(site: Site, args: Args) -> Reply:
    row, field, value = _pool(site, args), str(args.get("field", "")), number(args, "val")
    if field not in ("max_bytes", "max_objects"):
        raise MonError(errno.EINVAL, f"{field} not in max_objects|max_bytes")
    site.documents.pools[row["pool_name"]] = {**row, f"quota_{field}": value}
    return done(f"set-quota {field} = {value} for pool {row['pool_name']}")


def _get_quota(site: Site, args: Args) -> object:
    row = _pool(site, args)
    limits = {name: row[name] for name in ("quota_max_objects", "quota_max_bytes")}
    return {"pool_name": row["pool_name"], "pool_id": row["pool_id"], **limits}


def _enable(site: Site, args: Args) -> Reply:
    row, app = _pool(site, args), str(args["app"])
    apps = row["application_metadata"]
    if apps and app not in apps and not args.get("yes_i_really_mean_it"):
        text = f"Are you SURE? Pool '{row['pool_name']}' already has an enabled application;"
        raise MonError(errno.EPERM, f"{text} pass --yes-i-really-mean-it to proceed anyway")
    new = {**row, "application_metadata": {**apps, app: apps.get(app, {})}}
    site.documents.pools[row["pool_name"]] = new
    return done(f"enabled application '{app}' on pool '{row['pool_name']}'")


def _disable(site: Site, args: Args) -> Reply:
    row, app = _pool(site, args), str(args["app"])
    if not args.get("yes_i_really_mean_it"):
        text = "Are you SURE? Disabling an application within a pool might result in loss of"
        how = "pass --yes-i-really-mean-it to proceed anyway"
        raise MonError(errno.EPERM, f"{text} application functionality; {how}")
    left = {name: value for name, value in row["application_metadata"].items() if name != app}
    site.documents.pools[row["pool_name"]] = {**row, "application_metadata": left}
    return done(f"disable application '{app}' on pool '{row['pool_name']}'")


def _applications(site: Site, args: Args) -> object:
    return _pool(site, args)["application_metadata"]


def _rename(site: Site, args: Args) -> Reply:
    row, new = _pool(site, args, "srcpool"), str(args["destpool"])
    if new in site.documents.pools:
        raise MonError(errno.EEXIST, f"pool '{new}' exists")
    del site.documents.pools[row["pool_name"]]
    site.documents.pools[new] = {**row, "pool_name": new}
    return done(f"pool '{row['pool_name']}' renamed to '{new}'")


def _delete(site: Site, args: Args) -> Reply:
    name = str(args["pool"])
    if name not in site.documents.pools:
        return done(f"pool '{name}' does not exist")
    if args.get("pool2") != name or not args.get("yes_i_really_really_mean_it"):
        raise MonError(errno.EPERM, SAID_TWICE.format(name))
    if not truth(site.documents.option(DELETE_SWITCH, "mon") or "false"):
        raise MonError(errno.EPERM, SWITCHED_OFF)
    del site.documents.pools[name]
    return done(f"pool '{name}' removed")


_DELETE = Command(
    _delete, (*given("pool"), *maybe("pool2"), *maybe("yes_i_really_really_mean_it", kind="flag"))
)
_CREATE = (
    *given("pool"),
    *maybe("pg_num", "pgp_num", kind="number"),
    *maybe("pool_type", "erasure_code_profile", "rule"),
    *maybe("expected_num_objects", "size", "pg_num_min", kind="number"),
    *maybe("autoscale_mode"),
)
COMMANDS: Mapping[str, Command] = {
    "osd pool ls": reading(_ls, *maybe("detail")),
    "osd pool create": Command(_create, _CREATE),
    "osd pool set": Command(_set, (*given("pool", "var", "val"), *SURE)),
    "osd pool get": reading(_get, *given("pool", "var")),
    "osd pool set-quota": Command(_set_quota, given("pool", "field", "val")),
    "osd pool get-quota": reading(_get_quota, *given("pool")),
    "osd pool application enable": Command(_enable, (*given("pool", "app"), *SURE)),
    "osd pool application disable": Command(_disable, (*given("pool", "app"), *SURE)),
    "osd pool application get": reading(_applications, *given("pool")),
    "osd pool rename": Command(_rename, given("srcpool", "destpool")),
    "osd pool delete": _DELETE,
    "osd pool rm": _DELETE,
}
