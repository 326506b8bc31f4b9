"""The ceph command of a served lab: a real program, over a real socket, for people and for us."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI
from pve_exporter.collector import CollectorsOptions, collect_pve

from controller.ceph.transport import CephCommand, NoAnswer
from controller.execute import execute
from controller.journal import Journal
from controller.planning import EVERYTHING, plan_changes
from simulator.build import twin_of
from simulator.mon.served import MonitorSocket
from simulator.served.lab import ServedLab
from simulator.served.unixsocket import short
from tests.controller.ceph.sites import ceph, real_site

POOL = "pools: {vm: {size: 3, min-size: 2, pgs: 16}}"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedLab]:
    with ServedLab.start(twin_of(ceph(POOL)), tmp_path, speed=50.0, port=0) as lab:
        yield lab


def run(served: ServedLab, line: str) -> subprocess.CompletedProcess[str]:
    conf = served.ceph.parent / "a.conf"
    argv = [str(served.ceph), "--conf", str(conf), *line.split()]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_an_administrator_works_as_on_a_real_cluster(served: ServedLab) -> None:
    done = run(served, "osd pool set vm size 2")
    assert (done.returncode, done.stderr) == (0, "set pool 2 size to 2\n")
    done = run(served, "osd pool set none size 2")
    assert (done.returncode, done.stderr) == (2, "Error ENOENT: unrecognized pool 'none'\n")
    assert json.loads(run(served, "osd tree -f json").stdout)["nodes"][0]["name"] == "default"
    run(served, "osd set noout")  # while it is out nobody tells that it is down
    served.fail("fail-osd a/0")
    while "OSD_DOWN" not in json.loads(run(served, "health").stdout)["checks"]:
        pass  # each look takes a while, and the lab's time passes


def test_the_controller_works_through_it(served: ServedLab) -> None:
    argv = (str(served.ceph), "--conf", str(served.ceph.parent / "a.conf"))
    site = real_site(CephCommand(argv), lambda *_words: None)
    lab = ceph(POOL.replace("min-size: 2", "min-size: 1"), "flags: [noscrub]")
    plan = plan_changes(lab, site.observe(), {}, "c", approve=EVERYTHING)
    assert execute(plan, [site.device], Journal(), site.clock).done
    assert served.twin.state.ceph["a"].pools["vm"].min_size == 1
    assert "noscrub" in served.twin.state.ceph["a"].flags


def test_monitors_without_a_quorum_let_it_wait(served: ServedLab) -> None:
    served.fail("fail-node pve1")
    way = CephCommand((str(served.ceph), "--conf", "a.conf", "--connect-timeout", "1"))
    with pytest.raises(NoAnswer, match="timed out"):
        way.command("status", {}, 60.0)


def test_proxmox_ve_and_ceph_tell_one_truth(served: ServedLab) -> None:
    user, _, name = served.login.token.partition("!")
    login = {"user": user, "token_name": name, "token_value": served.login.secret}
    client: Any = ProxmoxAPI(
        served.addresses["pve2"], **login, verify_ssl=str(served.ca_file), timeout=60
    )
    run(served, "osd set noout")
    assert client.cluster.ceph.flags("noout").get() == 1
    client.nodes("pve1").ceph.osd(0).out.post()
    assert json.loads(run(served, "osd dump").stdout)["osds"][0]["in"] == 0
    upid = client.nodes("pve3").ceph.pool.post(name="fast", pg_num=8, size=2, add_storages=1)
    while client.nodes("pve3").tasks(upid).status.get()["status"] == "running":
        pass  # each look takes a while, and the lab's time passes
    assert "fast" in json.loads(run(served, "osd pool ls").stdout)
    everything = CollectorsOptions(**dict.fromkeys(CollectorsOptions._fields, True))
    config = {**login, "verify_ssl": str(served.ca_file), "timeout": 60}
    text = collect_pve(config, served.addresses["pve1"], True, True, everything).decode()
    assert 'pve_storage_shared{id="storage/pve1/fast"} 1.0' in text


@pytest.mark.parametrize("rounds", range(6))
def test_who_asks_while_the_monitors_end_is_let_go(rounds: int, tmp_path: Path) -> None:
    """However far their loop has come with a client, its socket is closed and not forgotten."""
    twin = twin_of(ceph(POOL))

    async def end(client: socket.socket) -> None:
        monitors = MonitorSocket(twin, tmp_path, twin.settle)
        await monitors.open()
        with short(tmp_path / "ceph.sock") as path:
            client.connect(path)
        for _ in range(rounds):
            await asyncio.sleep(0)
        await monitors.close()

    with socket.socket(socket.AF_UNIX) as client:
        asyncio.run(end(client))
        client.settimeout(60)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    gc.collect()  # what was forgotten warns, which is an error
