"""pvs, vgs and lvs: LVM's reports as JSON, or as columns without headings.

Source: lvmreport(7); values, attributes and JSON compared with LVM 2.03. Leaves out: reports drawn
for people, selection by more than a value, sorting, fields of volume types that are not simulated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from simulator.linux import blocks
from simulator.linux.call import SBIN, Call, Failed, Options, Programs, word_set
from simulator.linux.lvm import FAILED, INVALID, need_root
from simulator.storage.disks import LVM

programs = Programs()
Row = dict[str, str | int]
_PLAIN = re.compile(r"[\w.+-]+")

_DEFAULTS = {
    "pvs": "pv_name,vg_name,pv_fmt,pv_attr,pv_size,pv_free",
    "vgs": "vg_name,pv_count,lv_count,snap_count,vg_attr,vg_size,vg_free",
    "lvs": "lv_name,vg_name,lv_attr,lv_size,pool_lv,origin,data_percent,metadata_percent,move_pv,"
    "mirror_log,copy_percent,convert_lv",
}
_EMPTY = ("pool_lv", "origin", "data_percent", "metadata_percent", "move_pv", "mirror_log",
          "copy_percent", "convert_lv", "lv_tags", "pv_tags", "lv_active")  # fmt: skip


@programs.add("pvs vgs lvs", "lvm2", SBIN)
def report(call: Call) -> int:
    """Rows about all, or about those named; 5 if one of them is not there."""
    options, operands = call.options(
        "o:avqS:O:",
        "options=", "reportformat=", "units=", "nosuffix", "noheadings", "separator=", "all",
        "select=", "readonly", "quiet", "nolocking", "foreign",
        status=INVALID,
    )  # fmt: skip
    need_root(call)
    rows = {"pvs": _physical, "vgs": _groups, "lvs": _logical}[call.name](call)
    fields = _fields(call, options)
    chosen, status = _chosen(call, rows, operands)
    name, _, value = options.get("-S", "--select").partition("=")
    if name and (name not in _KNOWN[call.name] or not _PLAIN.fullmatch(value)):
        raise Failed(INVALID, "  only `-S NAME=VALUE' is simulated\n")
    chosen = [row for row in chosen if not name or str(row.get(name, "")) == value]
    shown = [{name: _shown(options, row.get(name, "")) for name in fields} for row in chosen]
    _write(call, options, shown)
    return status


def _fields(call: Call, options: Options) -> list[str]:
    text = options.get("-o", "--options", default=_DEFAULTS[call.name])
    if text.startswith("+"):
        text = f"{_DEFAULTS[call.name]},{text[1:]}"
    fields = text.split(",")
    known = _KNOWN[call.name]
    if odd := [name for name in fields if name not in known]:
        raise Failed(FAILED, f"  Unrecognised field: {odd[0]}\n")
    return fields


def _chosen(call: Call, rows: list[Row], operands: Sequence[str]) -> tuple[list[Row], int]:
    if not operands:
        return rows, 0
    chosen: list[Row] = []
    status = 0
    for word in operands:
        found = [row for row in rows if word in _names(call, row)]
        chosen += found
        if not found:
            status = FAILED
            call.err.append(
                f"  Cannot use {word}: device not found\n"
                if call.name == "pvs"
                else f'  Volume group "{word}" not found\n  Cannot process volume group {word}\n'
            )
    return chosen, status


def _names(call: Call, row: Row) -> set[object]:
    match call.name:
        case "pvs":
            return {row["pv_name"]}
        case "vgs":
            return {row["vg_name"]}
        case _:
            return {row["vg_name"], f"{row['vg_name']}/{row['lv_name']}", row["lv_path"]}


def _write(call: Call, options: Options, rows: list[dict[str, str]]) -> None:
    kind = call.name[:2]
    if options.get("--reportformat") in ("json", "json_std"):
        lines = [
            "{" + ", ".join(f'"{name}":"{value}"' for name, value in row.items()) + "}"
            for row in rows
        ]
        body = ",\n".join(f"                  {line}" for line in lines)
        body = f"{body}\n" if lines else ""
        call.out.append(
            "  {\n"
            '      "report": [\n'
            "          {\n"
            f'              "{kind}": [\n{body}'
            "              ]\n"
            "          }\n"
            "      ]\n"
            "  }\n"
        )
    elif "--noheadings" in options:
        separator = options.get("--separator", default=" ")
        for each in rows:
            call.say("  " + separator.join(each.values()))
    elif rows:
        raise Failed(INVALID, "  only --reportformat json and --noheadings are simulated\n")


def _shown(options: Options, value: str | int) -> str:
    """A size in the unit asked for; other values as they are."""
    if isinstance(value, str):
        return value
    unit = options.get("--units", default="r")
    if unit.lower() == "b":
        return f"{value}" + ("" if "--nosuffix" in options else "B")
    size, name = float(value), "b"
    for larger in "kmgtp":
        if size < 1024 and unit in "rh" or name == unit.lower():
            break
        size, name = size / 1024, larger
    return f"{size:.2f}" + ("" if "--nosuffix" in options else name)


def _groups(call: Call) -> list[Row]:
    known = blocks.devices(call.host, call.twin)
    rows: list[Row] = []
    for group in blocks.groups(call.host, call.twin, known):
        seen = blocks.group_devices(call.twin, group, known)
        missing = len(group.members) - len(seen)
        volumes = blocks.logical_volumes(call.host, call.twin, group)
        free = blocks.free_bytes(call.host, call.twin, group)
        rows.append(
            {
                "vg_name": group.name,
                "vg_uuid": group.uuid,
                "vg_fmt": "lvm2",
                "pv_count": str(len(group.members)),
                "lv_count": str(len(volumes)),
                "snap_count": "0",
                "vg_attr": f"wz-{'p' if missing else '-'}n-",
                "vg_size": group.size_bytes,
                "vg_free": free,
                "vg_extent_size": group.extent_bytes,
                "vg_extent_count": str(group.size_bytes // group.extent_bytes),
                "vg_free_count": str(free // group.extent_bytes),
                "vg_missing_pv_count": str(missing),
                "vg_seqno": str(group.changes),
                "vg_tags": ",".join(group.tags),
                **dict.fromkeys(_EMPTY, ""),
            }
        )
    return rows


def _physical(call: Call) -> list[Row]:
    known = blocks.devices(call.host, call.twin)
    tops = blocks.tops(known)
    rows: list[Row] = []
    for device in known.values():
        carried = blocks.signature(call.twin, device)
        if carried is None or carried.type != LVM or tops[device.volume] is not device:
            continue
        group = call.twin.state.volume_groups.get(carried.group)
        if group is None:
            size = free = device.size_bytes
        else:
            size, free = blocks.member_bytes(call.host, call.twin, group, device.volume)
        rows.append(
            {
                "pv_name": device.path,
                "vg_name": group.name if group is not None else "",
                "vg_uuid": group.uuid if group is not None else "",
                "pv_fmt": "lvm2",
                "pv_attr": "a--" if group is not None else "---",
                "pv_size": size,
                "pv_free": free,
                "pv_used": size - free,
                "dev_size": device.size_bytes,
                "pv_uuid": carried.uuid,
                "pv_missing": "",
                **dict.fromkeys(_EMPTY, ""),
            }
        )
    return rows


def _logical(call: Call) -> list[Row]:
    known = blocks.devices(call.host, call.twin)
    rows: list[Row] = []
    for group in blocks.groups(call.host, call.twin, known):
        for volume in blocks.logical_volumes(call.host, call.twin, group):
            in_use = bool(blocks.guests_on(call.host, call.twin, group.name))
            rows.append(
                {
                    **dict.fromkeys(_EMPTY, ""),
                    "lv_name": volume.name,
                    "vg_name": group.name,
                    "vg_uuid": group.uuid,
                    "lv_uuid": volume.uuid,
                    "lv_path": f"/dev/{group.name}/{volume.name}",
                    "lv_full_name": f"{group.name}/{volume.name}",
                    "lv_attr": f"-wi-a{'o' if in_use else '-'}----",
                    "lv_size": volume.size_bytes,
                    "lv_active": "active",
                }
            )
    return rows


_COMMON = frozenset(_EMPTY)
_KNOWN: Mapping[str, frozenset[str]] = {
    "pvs": _COMMON
    | word_set(
        "pv_name vg_name vg_uuid pv_fmt pv_attr pv_size pv_free pv_used dev_size pv_uuid pv_missing"
    ),
    "vgs": _COMMON
    | word_set(
        "vg_name vg_uuid vg_fmt pv_count lv_count snap_count vg_attr vg_size vg_free "
        "vg_extent_size vg_extent_count vg_free_count vg_missing_pv_count vg_seqno vg_tags"
    ),
    "lvs": _COMMON
    | word_set("lv_name vg_name vg_uuid lv_uuid lv_path lv_full_name lv_attr lv_size"),
}
