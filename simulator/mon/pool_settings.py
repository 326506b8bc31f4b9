"""Settings of a pool, `osd pool set`: what each takes, and what is refused.

Source: Ceph's manual, pools, pool values; what 16.2 answered.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from simulator.mon.command import Args, MonError, Site, number
from simulator.mon.documents import Row

LARGEST_SIZE = 10  # mon_max_pool_size
LARGEST_PG_NUM = 65536  # mon_max_pool_pg_num
PGS_PER_OSD = 250  # mon_max_pg_per_osd
MODES = ("on", "off", "warn")
COMPRESSION = {
    "compression_mode": ("none", "passive", "aggressive", "force"),
    "compression_algorithm": ("snappy", "zlib", "zstd", "lz4", "none"),
}


def default_min_size(size: int) -> int:
    """osd_pool_default_min_size 0: most of the copies."""
    return size - size // 2


def size_fits(size: int, *, sure: bool) -> None:
    """Raise MonError unless a pool may have so many copies. `sure`: of a single one, too."""
    if not 1 <= size <= LARGEST_SIZE:
        raise MonError(errno.EINVAL, f"pool size must be between 1 and {LARGEST_SIZE}")
    if size == 1 and not sure:
        text = "WARNING: setting pool size 1 could lead to data loss without recovery."
        how = "If you are *ABSOLUTELY CERTAIN* that is what you want, pass the flag"
        raise MonError(errno.EPERM, f"{text} {how} --yes-i-really-mean-it.")


def pg_num_fits(site: Site, name: str, size: int, pg_num: int) -> None:
    """Raise MonError if placement groups are too many, or too many for the OSDs that are in."""
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


Change = Iterator[tuple[str, Any]]


def _set_size(_site: Site, row: Row, _var: str, args: Args) -> Change:
    size = number(args, "val")
    size_fits(size, sure=bool(args.get("yes_i_really_mean_it")))
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
    pg_num_fits(site, row["pool_name"], row["size"], pg_num)
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
