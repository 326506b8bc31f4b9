"""The array itself: version, hardware, time. What is measured on a real one is a constant."""

from __future__ import annotations

from simulator.truenas.call import Call, date, serves


@serves("system.version")
def version(call: Call) -> object:
    """`TrueNAS-25.10.5`."""
    return call.version.full


@serves("system.version_short")
def version_short(call: Call) -> object:
    """`25.10.5`."""
    return call.version.short


@serves("system.ready")
def ready(call: Call) -> object:
    """Whether it has started: it answers, so it has."""
    del call
    return True


@serves("system.info")
def info(call: Call) -> object:
    """Version, hardware, uptime."""
    host, up_s = call.world.host, call.twin.now_s - call.api.booted_s
    return {
        "version": call.version.full,
        "buildtime": date(call.api.epoch_s - 90 * 86_400),
        "hostname": call.api.nas,
        "physmem": host.memory,
        "model": "Intel(R) Xeon(R) CPU E5620 @ 2.40GHz",
        "cores": host.cores,
        "physical_cores": host.cores,
        "loadavg": [0.0, 0.0, 0.0],
        "uptime": f"{int(up_s // 86_400)} days, {int(up_s % 86_400) // 3600}:00:00",
        "uptime_seconds": up_s,
        "system_serial": None,
        "system_product": None,
        "system_product_version": None,
        "license": None,
        "boottime": date(call.now_s - up_s),
        "datetime": date(call.now_s),
        "timezone": "Etc/UTC",
        "system_manufacturer": None,
        "ecc_memory": True,
    }
