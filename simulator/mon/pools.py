"""Pools: made, changed, limited, labelled and destroyed. Source: Ceph's manual, pools; what 16.2
answered.

Leaves out erasure-coded pools, snapshots, tiers, and what the autoscaler does with pg_num.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

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
from simulator.mon.pool_settings import (
    MODES,
    SETTABLE,
    default_min_size,
    pg_num_fits,
    size_fits,
)

REPLICATED = 1
DEFAULT_SIZE, DEFAULT_PG_NUM = 3, 32  # osd_pool_default_size, osd_pool_default_pg_num
FLAGS = (
    "hashpspool", "nodelete", "nopgchange", "nosizechange", "write_fadvise_dontneed", "noscrub",
    "nodeep-scrub",
)  # fmt: skip
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
    size_fits(size, sure=False)
    pg_num_fits(site, name, size, pg_num)
    row = new_pool(documents.new_pool_id(), name, size, pg_num, documents.rules[rule]["rule_id"])
    documents.pools[name] = {**row, "pg_autoscale_mode": mode}
    return done(f"pool '{name}' created")


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
