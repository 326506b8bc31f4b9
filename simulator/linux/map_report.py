"""How multipath and multipathd tell of maps: the tree of -ll, and JSON.

Source: libmultipath's print.c. Leaves out: marginal paths, foreign devices, priorities that differ.
"""

from __future__ import annotations

from simulator.linux import sessions
from simulator.linux.call import Call
from simulator.linux.mpconf import Conf
from simulator.linux.state import Map, ScsiDisk


def describe(call: Call, conf: Conf, wwid: str, known: Map) -> None:
    """A map as multipath -ll draws it."""
    paths = [(name, disk) for name, disk in call.state.disks.items() if disk.wwid == wwid]
    settings = conf.of_map(wwid, paths[0][1].vendor, paths[0][1].product)
    alias = f"{known.name} ({wwid})" if known.name != wwid else wwid
    first = paths[0][1]
    call.say(f"{alias} dm-{known.minor} {first.vendor},{first.product}")
    call.say(f"size={_size(known.size_bytes)} features='{_features(settings)}' hwhandler='0' wp=rw")
    together = settings["path_grouping_policy"] == "multibus"
    groups = [paths] if together else [[path] for path in paths]
    for number, group in enumerate(groups):
        last = number == len(groups) - 1
        alive = [sessions.lun_works(call.host, call.twin, disk) for _, disk in group]
        status = "active" if any(alive) and number == 0 else "enabled"
        call.say(
            f"{'`' if last else '|'}-+- policy='{settings['path_selector']}' "
            f"prio={sum(alive)} status={status}"
        )
        for place, ((name, disk), works) in enumerate(zip(group, alive, strict=True)):
            bar, end = " " if last else "|", "`" if place == len(group) - 1 else "|"
            state = "active ready running" if works else "failed faulty running"
            number_text = f"8:{16 * (ord(name[-1]) - 97)}"
            call.say(f"{bar} {end}- {_hcil(disk)} {name} {number_text:5} {state}")


def _hcil(disk: ScsiDisk) -> str:
    return f"{disk.session + 2}:0:0:{disk.number}"


def _features(settings: dict[str, str]) -> str:
    retry = settings["no_path_retry"]
    return "1 queue_if_no_path" if retry == "queue" or retry.isdigit() and retry != "0" else "0"


def _size(size_bytes: int) -> str:
    """As libmultipath shows sizes: 100G, 1.0T."""
    size, unit = size_bytes / 2**10, "K"
    for larger in "MGTP":
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}{unit}" if size < 10 else f"{size:.0f}{unit}"


def list_paths(call: Call) -> None:
    """Every path, as `show paths` lists them."""
    call.say("hcil    dev dev_t pri dm_st  chk_st dev_st  next_check")
    for name, disk in call.state.disks.items():
        works = sessions.lun_works(call.host, call.twin, disk)
        mapped = disk.wwid in call.state.maps
        state = ("active" if works else "failed") if mapped else "undef "
        number = f"8:{16 * (ord(name[-1]) - 97)}"
        check = "ready " if works else "faulty"
        tail = "XXXX...... 8/20" if mapped else "orphan"
        call.say(f"{_hcil(disk)} {name} {number:5} 1   {state} {check} running {tail}")


def map_json(call: Call, conf: Conf, wwid: str, known: Map) -> dict[str, object]:
    """A map with its paths."""
    paths = [(name, disk) for name, disk in call.state.disks.items() if disk.wwid == wwid]
    settings = conf.of_map(wwid, paths[0][1].vendor, paths[0][1].product)
    alive = {name: sessions.lun_works(call.host, call.twin, disk) for name, disk in paths}
    together = settings["path_grouping_policy"] == "multibus"
    grouped = [paths] if together else [[path] for path in paths]
    return {
        "name": known.name,
        "uuid": wwid,
        "sysfs": f"dm-{known.minor}",
        "failback": settings["failback"],
        "queueing": {"queue": "on", "fail": "off"}.get(
            settings["no_path_retry"], f"{settings['no_path_retry']} chk"
        ),
        "paths": sum(alive.values()),
        "write_prot": "rw",
        "dm_st": "active",
        "features": _features(settings),
        "hwhandler": "0",
        "action": "",
        "path_faults": 0,
        "vend": paths[0][1].vendor,
        "prod": paths[0][1].product,
        "rev": "0123",
        "switch_grp": 0,
        "map_loads": 1,
        "total_q_time": 0,
        "q_timeouts": 0,
        "path_groups": [
            {
                "selector": settings["path_selector"],
                "pri": 1,
                "dm_st": "active" if number == 1 else "enabled",
                "marginal_st": "normal",
                "group": number,
                "paths": [_path_json(call, name, disk, alive[name]) for name, disk in group],
            }
            for number, group in enumerate(grouped, 1)
        ],
    }


def _path_json(call: Call, name: str, disk: ScsiDisk, works: bool) -> dict[str, object]:
    session = call.state.sessions[disk.session]
    return {
        "dev": name,
        "dev_t": f"8:{16 * (ord(name[-1]) - 97)}",
        "dm_st": "active" if works else "failed",
        "dev_st": "running",
        "chk_st": "ready" if works else "faulty",
        "checker": "tur",
        "pri": 1,
        "host_wwnn": "[undef]",
        "target_wwnn": session.iqn,
        "host_wwpn": "[undef]",
        "target_wwpn": "[undef]",
        "host_adapter": session.address,
        "lun_hex": f"0x{disk.number:016x}",
        "marginal_st": "normal",
    }
