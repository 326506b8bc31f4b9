"""Random requests: whatever is asked, the answer is one that Proxmox VE can give, and no file is
spoilt by it.

Every call of the API is tried, with values that its table allows, values that it does not, and
values made up to break a file: line ends, section heads, colons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.mon.load import spec_of
from simulator.mon.monitors import monitors_of
from simulator.pve import etc_pve
from simulator.pve.api import tree
from simulator.pve.documents import Backup, Volume
from simulator.pve.parameters import Param
from simulator.pve.routes import Route
from simulator.pve.sdn_state import LOCK_FILE
from simulator.pve.wire import Response
from tests.simulator.ceph_nodes import with_ceph
from tests.simulator.pve_cluster import Cluster, cluster

STATUS = frozenset({200, 400, 401, 403, 404, 500, 501, 595})  # 404: notifications alone
ROUTES = [route for route in tree().routes if route.path != "/"]
WRITES = [route for route in ROUTES if route.method != "GET"]
CEPH = [route for route in ROUTES if "/ceph" in route.path]
CEPH_WRITES = [route for route in CEPH if route.method != "GET"]
BACKUP = "local:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma"
IN_PATHS = {
    "node": ["pve1"], "vmid": ["100"], "pos": ["0"], "storage": ["data"], "userid": ["ana@pve"],
    "cidr": ["10.0.0.0/24"], "subnet": ["z1-10.0.0.0-24"], "iface": ["vmbr0", "eno1"],
    "volume": ["data:100/vm-100-disk-0.qcow2", BACKUP], "sid": ["vm:100"], "id": ["web", "100-0"],
    "name": ["web", "vm"], "osdid": ["0", "3"], "flag": ["noout", "pause"],
}  # fmt: skip
EVIL = ["", "-", "a\nb", "x\n\tbad 1", "[RULES]", "a: b", "ä€", "../x", "%0a", "0", "-1", "9" * 30,
        "1.5", "true", "\0", "a,b;c d", "=", "a=b,a=c", "' or 1"]  # fmt: skip
NAMES = ["web", "one", "new1", "v1", "z1"]
WORDS = [
    BACKUP,
    *NAMES, "pve1", "pve2", "100", "200", "data", "local", "root@pam", "ana@pve", "scsi0", "net0",
    "rootfs", "in", "ACCEPT", "10.0.0.0/24", "10.0.0.1", "1", "2G", "+1G", "data:1", "daily", "/",
    "virtio,bridge=vmbr0", "name=eth0,bridge=vmbr0", "node=pve1,path=/srv/data", "simple",
]  # fmt: skip
GOOD = {
    "pve-node": ["pve1", "pve2", "pve3"], "pve-node-list": ["pve1", "pve1,pve2"],
    "pve-storage-id": ["data", "local"], "pve-vmid": ["100", "101", "200"],
    "pve-vmid-list": ["100", "100,101"], "pve-configid": NAMES, "pve-poolid": ["web", "web/a"],
    "pve-userid": ["ana@pve", "new@pve", "root@pam"], "pve-groupid": ["ops"], "dns-name": ["a.b"],
    "pve-configid-list": ["comment", "alias,tag", "scsi0", "description", "name"],
    "pve-fw-addr-spec": ["10.0.0.0/24", "+web"], "pve-fw-dport-spec": ["80", "80:90,443"],
    "pve-fw-protocol-spec": ["tcp", "icmp"], "IPorCIDR": ["10.0.0.0/24"], "ip": ["10.0.0.1"],
    "IPorCIDRorAlias": ["10.0.0.0/24", "web"], "pve-sdn-subnet-id": ["10.0.0.0/24"],
    "pve-calendar-event": ["daily"], "pve-roleid-list": ["PVEAdmin"], "ip-list": ["10.0.0.1"],
    "pve-priv-list": ["VM.Audit"], "pve-iface": ["vmbr1", "eno1", "net0"],
}  # fmt: skip
PROPERTIES = {
    "scsi": "data:1", "virtio": "data:1,format=qcow2", "net": "virtio,bridge=vmbr0",
    "ct-net": "name=eth0,bridge=vmbr0", "rootfs": "data:1", "mp": "data:1,mp=/srv",
    "mapping-dir": "node=pve1,path=/srv/data", "memory": "512", "next-id": "lower=100",
    "mapping-pci": "node=pve1,path=0000:01:00.0,id=10de:1db6",
    "mapping-usb": "node=pve1,id=1d6b:0002",
}  # fmt: skip


def _full() -> Cluster:
    """A cluster with one of most things."""
    here = cluster()
    here.guest(100, scsi0="data:1,format=qcow2", net0="virtio,bridge=vmbr0")
    here.done("POST /nodes/pve1/qemu/100/snapshot", snapname="one")
    here.ok("POST /pools", poolid="web")
    here.ok("POST /access/users", userid="ana@pve")
    here.ok("POST /cluster/sdn/zones", zone="z1", type="simple")
    here.ok("POST /cluster/sdn/vnets", vnet="v1", zone="z1")
    here.ok("POST /cluster/firewall/ipset", name="web")
    here.ok("POST /cluster/firewall/rules", type="in", action="ACCEPT")
    here.ok("POST /cluster/mapping/dir", id="web", map=["node=pve1,path=/srv/data"])
    here.ok("POST /cluster/backup", id="web", schedule="daily", all=1)
    kept = Backup("name: web\nscsi0: data:100/vm-100-disk-0.qcow2,size=1G\n", (("scsi0", 2**30),))
    name = BACKUP.partition(":")[2]
    backup = Volume("local", "pve1", name, 100, 1, "vma", 0, "backup", backup=kept)
    here.api.documents.volumes[backup.key] = backup
    return here


def _value(param: Param) -> st.SearchStrategy[Any]:
    """Mostly what fits; now and then what does not."""
    text: st.SearchStrategy[Any] = st.sampled_from(WORDS)
    if param.format in GOOD:
        text = st.sampled_from(GOOD[param.format])
    elif param.table in PROPERTIES:
        text = st.just(PROPERTIES[param.table])
    elif param.pattern:
        text = st.sampled_from(NAMES)
    fitting = text
    if param.enum:
        fitting = st.sampled_from(param.enum)
    elif param.type == "boolean":
        fitting = st.sampled_from(["0", "1"])
    elif param.type == "integer":
        low = 0 if param.low is None else param.low
        fitting = st.integers(low, low + 300 if param.high is None else param.high)
    elif param.type == "array":
        fitting = st.lists(text, max_size=2)
    odd: st.SearchStrategy[Any] = st.one_of(
        st.sampled_from(EVIL), st.text(max_size=6), st.none(), st.just([]), st.just({})
    )
    return st.integers(0, 9).flatmap(lambda die: odd if die == 0 else fitting)


@st.composite
def _requests(
    draw: st.DrawFn, reads: list[Route] = ROUTES, writes: list[Route] = WRITES
) -> tuple[Route, str, dict[str, Any]]:
    route = draw(st.sampled_from(writes if draw(st.integers(0, 3)) else reads))
    names = [name.strip("{*}") for name in re.findall(r"\{[^}]*\}", route.path)]
    path = route.path
    for name in names:
        known = IN_PATHS.get(name, [*NAMES, "0"])
        text = draw(st.sampled_from(known if draw(st.integers(0, 9)) else [w for w in EVIL if w]))
        path = path.replace(f"{{{name}}}", quote(text, safe="")).replace(f"{{{name}*}}", text)
    params = {}
    for name, param in route.table.params.items():
        asked = not param.optional or not draw(st.integers(0, 7))
        if name not in names and asked and not re.search(r"[2-9]$|\d\d$", name):
            params[name] = draw(_value(param))
    return route, path, params


def _sound(here: Cluster, response: Response) -> None:
    """The answer can be sent, and the files can be read."""
    assert response.status in STATUS, response
    assert "\n" not in response.reason
    assert "Traceback" not in response.reason
    json.loads(response.body or b"null")
    documents = here.api.documents
    places = {vmid: "pve1" for vmid in documents.guests}
    again = etc_pve.read(etc_pve.write(documents, places)).documents
    for known in ("users", "groups", "acl", "pools", "files", "ha_resources", "ha_rules"):
        assert _settled(getattr(again, known)) == _settled(getattr(documents, known)), known
    assert again.guests.keys() == documents.guests.keys()
    for vmid, guest in documents.guests.items():
        for known in ("current", "pending"):
            assert _texts(getattr(again.guests[vmid], known)) == _texts(getattr(guest, known))
        assert again.guests[vmid].removals == guest.removals
        assert again.guests[vmid].snapshots.keys() == guest.snapshots.keys()
    assert again.storages.keys() == documents.storages.keys()


def _texts(options: Mapping[str, object]) -> dict[str, str]:
    """Values as a file shows them: without blanks around, a number of whole as one."""
    return {key: str(value).strip() for key, value in options.items() if value not in (None, "")}


def _settled(known: dict[Any, Any]) -> dict[Any, Any]:
    """Without what is empty, which a file does not tell from what is absent, and without a lock,
    which no copy takes along.
    """
    if not all(isinstance(value, dict) for value in known.values()):
        return {name: value for name, value in known.items() if value and name != LOCK_FILE}
    return {
        name: {key: value for key, value in entry.items() if value not in (None, "")}
        for name, entry in known.items()
    }


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=st.lists(_requests(), min_size=1, max_size=12))
def test_no_request_breaks_the_api_or_a_file(
    requests: list[tuple[Route, str, dict[str, Any]]],
) -> None:
    _answers_all(_full(), requests)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=st.lists(_requests(CEPH, CEPH_WRITES), min_size=1, max_size=12))
def test_no_request_breaks_ceph(requests: list[tuple[Route, str, dict[str, Any]]]) -> None:
    here = with_ceph()
    _answers_all(here, requests)
    assert here.twin.state.ceph["a"] == spec_of(monitors_of(here.twin, "a").site(here.twin))


def _answers_all(here: Cluster, requests: list[tuple[Route, str, dict[str, Any]]]) -> None:
    for route, path, params in requests:
        response = here.send(f"{route.method} {path}", **{f"_{k}": v for k, v in params.items()})
        here.wait(3)
        _sound(here, response)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.call))
def test_every_call_answers_an_empty_request(route: Route) -> None:
    here = cluster()
    path = re.sub(r"\{node\}", "pve1", route.path)
    path = re.sub(r"\{vmid\}", "100", path)
    _sound(here, here.send(f"{route.method} {re.sub(r'{[^}]*}', 'web', path)}"))
