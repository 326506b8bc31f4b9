"""The monitors' own configuration store: options by section. Source: Ceph's manual, configuration.

An option that Ceph has and this table does not is taken as it is written, if its name is one of a
family of Ceph's; of those in the table the value is checked and rewritten as the store does.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping

from simulator.mon.command import Args, Command, MonError, Reply, Site, done, given, maybe, reading

SECTION = re.compile(r"(global|mon|mgr|osd|mds|client)(\.[^/\s]+)?")
FAMILY = re.compile(
    r"(auth|bdev|bluefs|bluestore|client|cluster|crush|debug|erasure|filestore|fuse|journal|kstore"
    r"|leveldb|log|mds|mgr|mon|ms|objecter|osd|paxos|public|rados|rbd|rgw|rocksdb|target|throttler)"
    r"_[a-z0-9_]+|mgr/[a-z]+/[a-z0-9_/.]+|fsid|keyring|container_image"
)
# Option -> type and default. Source: the options' own metadata, 16.2.
OPTIONS: Mapping[str, tuple[str, str]] = {
    "mon_allow_pool_delete": ("bool", "false"),
    "mon_allow_pool_size_one": ("bool", "false"),
    "mon_max_pg_per_osd": ("int", "250"),
    "mon_target_pg_per_osd": ("int", "100"),
    "mon_osd_down_out_interval": ("int", "600"),
    "mon_osd_min_down_reporters": ("int", "2"),
    "mon_osd_min_in_ratio": ("float", "0.75"),
    "mon_osd_min_up_ratio": ("float", "0.3"),
    "mon_osd_report_timeout": ("int", "900"),
    "mon_osd_adjust_heartbeat_grace": ("bool", "true"),
    "osd_heartbeat_interval": ("int", "6"),
    "osd_heartbeat_grace": ("int", "20"),
    "osd_memory_target": ("size", "4294967296"),
    "osd_max_backfills": ("int", "1"),
    "osd_recovery_max_active": ("int", "0"),
    "osd_pool_default_size": ("int", "3"),
    "osd_pool_default_min_size": ("int", "0"),
    "osd_pool_default_pg_num": ("int", "32"),
}
PREFIXES = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50}


def truth(text: str) -> bool:
    """As the store reads a flag."""
    return text.lower() in ("true", "1", "yes", "on")


def stored(name: str, value: str) -> str:
    """A value as the store keeps it. Raises MonError for one that it can't be."""
    if not FAMILY.fullmatch(name):
        raise MonError(errno.EINVAL, f"unrecognized config option '{name}'")
    kind = OPTIONS.get(name, ("text", ""))[0]
    try:
        match kind:
            case "bool":
                return "true" if truth(value) else "false"
            case "int":
                return str(int(value))
            case "float":
                return f"{float(value):f}"
            case "size":
                found = re.fullmatch(r"(\d+)([KMGTP]?)i?B?", value)
                return str(int(found[1]) << PREFIXES[found[2]]) if found else str(int(value))
    except ValueError as error:
        text = "error parsing value: strict_si_cast: unit prefix not recognized"
        raise MonError(errno.EINVAL, text) from error
    return value


def _who(args: Args) -> tuple[str, str]:
    """Section and mask of `osd/class:ssd`."""
    section, _, mask = str(args.get("who", "")).partition("/")
    if not SECTION.fullmatch(section):
        raise MonError(errno.EINVAL, f"unrecognized config target '{args.get('who', '')}'")
    return section, mask


def _set(site: Site, args: Args) -> Reply:
    section, mask = _who(args)
    name = str(args["name"])
    site.documents.config[section, mask, name] = stored(name, str(args["value"]))
    return done()


def _rm(site: Site, args: Args) -> Reply:
    section, mask = _who(args)
    site.documents.config.pop((section, mask, str(args["name"])), None)
    return done()


def _dump(site: Site, _args: Args) -> object:
    return [
        {
            "section": section,
            "name": name,
            "value": value,
            "level": "advanced",
            "can_update_at_runtime": True,
            "mask": mask,
        }
        for (section, mask, name), value in sorted(site.documents.config.items())
    ]


def _get(site: Site, args: Args) -> object:
    section, _ = _who(args)
    kind = section.partition(".")[0]
    if (name := args.get("key")) is None:
        names = sorted({known for where, _, known in site.documents.config
                        if where in ("global", kind, section)})  # fmt: skip
        return {each: {"value": site.documents.option(each, kind, section)} for each in names}
    set_to = site.documents.option(str(name), kind, section)
    if set_to is None and name not in OPTIONS:
        raise MonError(errno.ENOENT, f"unrecognized key '{name}'")
    return Reply(0, (OPTIONS[name][1] if set_to is None else set_to) + "\n")


COMMANDS: Mapping[str, Command] = {
    "config set": Command(_set, (*given("who", "name", "value"), *maybe("force", kind="flag"))),
    "config rm": Command(_rm, given("who", "name")),
    "config dump": reading(_dump),
    "config get": reading(_get, *given("who"), *maybe("key")),
}
