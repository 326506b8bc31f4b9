"""Who may do what: keys with their capabilities. Source: Ceph's manual, user management."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence

from simulator.mon.command import (
    Args,
    Command,
    MonError,
    Parameter,
    Reply,
    Site,
    done,
    given,
    reading,
)

DAEMONS = ("mds", "mgr", "mon", "osd")
ENTITY = re.compile(r"(client|osd|mon|mgr|mds)\.\S+")
CAP = re.compile(r"(allow\s+\S.*|profile\s+[\w-]+.*)(,\s*(allow\s+\S.*|profile\s+[\w-]+.*))*")


def _caps(args: Args) -> dict[str, str]:
    """`[mon, allow r, osd, allow rw]` as a map. Raises MonError."""
    words: Sequence[str] = args.get("caps", ())
    if len(words) % 2:
        raise MonError(errno.EINVAL, "bad capabilities request; odd number of arguments")
    caps = dict(zip(words[::2], words[1::2], strict=True))
    for kind, text in caps.items():
        if kind not in DAEMONS:
            raise MonError(errno.EINVAL, f"unknown cap type '{kind}'")
        if not CAP.fullmatch(text):
            told = f"{kind} capability parse failed, stopped at '{text}' of '{text}'"
            raise MonError(errno.EINVAL, told)
    return caps


def _entry(site: Site, args: Args, text: str) -> tuple[str, dict[str, str]]:
    found = site.documents.auth.get(str(args["entity"]))
    if found is None:
        raise MonError(errno.ENOENT, text.format(args["entity"]))
    return found


def _add(site: Site, args: Args) -> Reply:
    entity, caps = str(args["entity"]), _caps(args)
    if not ENTITY.fullmatch(entity):
        raise MonError(errno.EINVAL, f"bad entity name {entity}")
    if (known := site.documents.auth.get(entity)) is not None:
        for kind in DAEMONS:
            if known[1].get(kind) != caps.get(kind):
                text = f"entity {entity} exists but cap {kind} does not match"
                raise MonError(errno.EINVAL, text)
        return done()
    site.documents.auth[entity] = (site.documents.new_key(entity, site.name), caps)
    return done(f"added key for {entity}")


def _get_or_create(site: Site, args: Args) -> object:
    _add(site, args)
    key, _ = site.documents.auth[str(args["entity"])]
    return [{"entity": args["entity"], "key": key}]


def _change(site: Site, args: Args) -> Reply:
    key, _ = _entry(site, args, "couldn't find entry {0}")
    site.documents.auth[str(args["entity"])] = (key, _caps(args))
    return done(f"updated caps for {args['entity']}")


def _get(site: Site, args: Args) -> object:
    key, caps = _entry(site, args, "failed to find {0} in keyring")
    return [{"entity": args["entity"], "key": key, "caps": caps}]


def _get_key(site: Site, args: Args) -> object:
    return {"key": _entry(site, args, "don't have {0}")[0]}


def _ls(site: Site, _args: Args) -> object:
    rows = [
        {"entity": entity, "key": key, "caps": caps}
        for entity, (key, caps) in sorted(site.documents.auth.items())
    ]
    return {"auth_dump": rows}


def _rm(site: Site, args: Args) -> Reply:
    if site.documents.auth.pop(str(args["entity"]), None) is None:
        return done(f"entity {args['entity']} does not exist")
    return done("updated")


_CAPS = (*given("entity"), Parameter("caps", "list", needed=False))
COMMANDS: Mapping[str, Command] = {
    "auth add": Command(_add, _CAPS),
    "auth get-or-create": Command(_get_or_create, _CAPS),
    "auth caps": Command(_change, _CAPS),
    "auth get": reading(_get, *given("entity")),
    "auth get-key": reading(_get_key, *given("entity")),
    "auth ls": reading(_ls),
    "auth rm": Command(_rm, given("entity")),
    "auth del": Command(_rm, given("entity")),
}
