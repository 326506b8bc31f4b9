"""Random requests: whatever is asked, the answer is one that Proxmox VE can give, and no file is
spoilt by it.

Every call of every release is tried, with values that its table allows, values that it does not,
and values made up to break a file (`pve_random`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simulator.mon.load import spec_of
from simulator.mon.monitors import monitors_of
from simulator.pve import etc_pve
from simulator.pve.api import tree
from simulator.pve.documents import Backup, Volume
from simulator.pve.releases import RELEASES
from simulator.pve.routes import Route
from simulator.pve.wire import ApiError, Given, Response, decode
from simulator.pve_datacenter.sdn_state import LOCK_FILE
from simulator.pve_node import volumes
from tests.simulator.pve_cluster import ROOT, Cluster, cluster
from tests.simulator.pve_random import BACKUP, SAVED_CONTAINER, request
from tests.simulator.pve_story import SENT, beginning

STATUS = frozenset({200, 400, 401, 403, 500, 501, 595})
NOTIFICATIONS = re.compile(r"\w+ /cluster/notifications/.*")  # answer 404 for what is not there
ROUTES = [route for route in tree().routes if route.path != "/"]
CEPH = [route for route in ROUTES if re.search("/(ceph|disks)", route.path)]
PYTHON = re.compile(
    r"Traceback|NoneType|object has no|invalid literal|list index|not subscriptable|codec can't"
    r"|unsupported operand|\w+Error\b"
)
"""What no Perl program says."""
TEMPLATE = "local:vztmpl/x.tar.zst"


def _full() -> Cluster:
    """A cluster with one of most things."""
    here = cluster()
    here.guest(100, scsi0="data:1,format=qcow2", net0="virtio,bridge=vmbr0", memory="512")
    here.done("POST /nodes/pve1/qemu/100/snapshot", snapname="one")
    here.done("POST /nodes/pve1/storage/local/download-url", content="vztmpl",
              url="http://h1/x", filename="x.tar.zst")  # fmt: skip
    here.done("POST /nodes/pve1/lxc", vmid=200, ostemplate=TEMPLATE, rootfs="data:1")
    here.ok("PUT /nodes/pve2/config", wakeonlan="BC:24:11:00:00:02")
    here.ok("POST /pools", poolid="web")
    here.ok("POST /access/groups", groupid="ops")
    here.ok("POST /access/users", userid="ana@pve", groups="ops")
    here.ok("POST /access/users/ana@pve/token/t1")
    here.ok("POST /access/roles", roleid="Few", privs="VM.Audit")
    here.ok("POST /cluster/sdn/zones", zone="z1", type="simple", ipam="pve")
    here.ok("POST /cluster/sdn/vnets", vnet="v1", zone="z1")
    here.ok("POST /cluster/sdn/vnets/v1/subnets", subnet="10.0.0.0/24", type="subnet")
    for name, number, kind in (("web", 8, {"protocol": "openfabric"}),
                               ("one", 9, {"protocol": "ospf"})):  # fmt: skip
        area = {"area": "0"} if name == "one" else {}
        here.ok("POST /cluster/sdn/fabrics/fabric", id=name, ip_prefix=f"10.{number}.0.0/24",
                **kind, **area)  # fmt: skip
        here.ok(f"POST /cluster/sdn/fabrics/node/{name}", node_id="pve1", ip=f"10.{number}.0.1",
                **kind)  # fmt: skip
    here.ok("POST /cluster/sdn/controllers", controller="web", type="evpn", asn=1,
            peers="10.0.0.1")  # fmt: skip
    for base in ("/cluster/firewall", "/nodes/pve1/qemu/100/firewall"):
        here.ok(f"POST {base}/ipset", name="web")
        here.ok(f"POST {base}/ipset/web", cidr="10.0.0.0/24")
        here.ok(f"POST {base}/aliases", name="one", cidr="10.0.0.1")
        here.ok(f"POST {base}/rules", type="in", action="ACCEPT")
    here.ok("POST /cluster/firewall/groups", group="web")
    here.ok("POST /cluster/mapping/dir", id="web", map=["node=pve1,path=/srv/data"])
    here.ok("POST /cluster/metrics/server/web", type="graphite", server="10.0.0.1", port=2003)
    here.ok("POST /cluster/backup", id="nightly", schedule="daily", all=1)
    here.ok("POST /cluster/ha/resources", sid="vm:100", state="stopped")
    here.ok("POST /cluster/ha/rules", rule="near", type="node-affinity", nodes="pve1",
            resources="vm:100")  # fmt: skip
    here.ok("POST /access/domains", realm="corp", type="ad", server1="h1", domain="corp.lab")
    here.ok("POST /cluster/jobs/realm-sync/web", realm="corp", schedule="daily", scope="users")
    here.ok("POST /access/tfa/ana@pve", user=None, headers=here.login(), type="recovery")
    ends = "/cluster/notifications/endpoints"
    here.ok(f"POST {ends}/gotify", name="web", server="https://h1", token="x")
    here.ok(f"POST {ends}/webhook", name="new1", url="https://h1", method="post")
    here.ok(f"POST {ends}/smtp", name="v1", server="h1", mailto=["a@b.de"], from__address="c@b.de")
    here.ok("POST /cluster/notifications/matchers", name="one", target=["web"])
    disk = (
        "scsi0: data:100/vm-100-disk-0.qcow2,size=1G\n#qmdump#map:scsi0:drive-scsi0:data:qcow2:\n"
    )
    _save(here, BACKUP, 100, disk, "scsi0")
    _save(here, SAVED_CONTAINER, 200, "rootfs: data:200/vm-200-disk-0.raw,size=1G\n", "rootfs")
    return here


def _save(here: Cluster, volid: str, vmid: int, config: str, disk: str) -> None:
    """Put a backup of a guest on its storage, where the requests look for it."""
    kept, name = Backup(config, ((disk, 2**30),)), volid.partition(":")[2]
    suffix = volid.rpartition(".")[2]
    volume = Volume("local", "pve1", name, vmid, 1, suffix, 0, "backup", backup=kept)
    here.api.documents.volumes[volume.key] = volume


def _not_json(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


def _sound(here: Cluster, call: str, response: Response) -> None:
    """The answer can be sent, and the files can be read."""
    absent = response.status == 404 and NOTIFICATIONS.fullmatch(call)
    assert response.status in STATUS or absent, response
    assert "\n" not in response.reason
    ends = (f"{task.status} {task.log}" for task in here.api.documents.tasks.values())
    for text in (response.reason, *ends):
        assert not PYTHON.search(text), text
    json.loads(response.body or b"null", parse_constant=_not_json)
    documents = here.api.documents
    places = {vmid: "pve1" for vmid in documents.guests}
    again = etc_pve.read(etc_pve.write(documents, places)).documents
    for known in ("users", "groups", "roles", "tokens", "acl", "pools", "domains", "jobs", "files",
                  "storages", "ha_resources", "ha_rules"):  # fmt: skip
        assert _settled(getattr(again, known)) == _settled(getattr(documents, known)), known
    assert _texts(again.options) == _texts(documents.options)
    for node, kept in documents.nodes.items():
        read = again.nodes.get(node)
        assert _texts(read.config if read else {}) == _texts(kept.config)
    assert again.guests.keys() == documents.guests.keys()
    for vmid, guest in documents.guests.items():
        for known in ("current", "pending"):
            assert _texts(getattr(again.guests[vmid], known)) == _texts(getattr(guest, known))
        assert again.guests[vmid].removals == guest.removals
        assert again.guests[vmid].snapshots.keys() == guest.snapshots.keys()
        for name, snapshot in guest.snapshots.items():
            assert _texts(again.guests[vmid].snapshots[name]) == _texts(snapshot)


def _texts(options: Mapping[str, object]) -> dict[str, str]:
    """Values as a file shows them: without blanks around, and without what goes without saying."""
    texts = {key: str(value).strip() for key, value in options.items() if value is not None}
    return {key: text for key, text in texts.items() if text and (key, text) not in DEFAULT}


DEFAULT = frozenset({("expire", "0"), ("privsep", "1")})


SECRET = frozenset({"secret", *etc_pve.SECRETS})  # never part of what is read


def _settled(known: dict[Any, Any]) -> dict[Any, Any]:
    """Without what is empty, which a file does not tell from what is absent, without secrets, and
    without a lock, which no copy takes along.
    """
    if not all(isinstance(value, Mapping) for value in known.values()):
        return {name: value for name, value in known.items() if value and name != LOCK_FILE}
    return {
        name: _texts({key: value for key, value in entry.items() if key not in SECRET})
        for name, entry in known.items()
    }


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(draw=st.randoms(use_true_random=False), release=st.sampled_from(sorted(RELEASES)))
def test_no_request_breaks_the_api_or_a_file(draw: Random, release: str) -> None:
    _answers_any(_full(), draw, release, ROUTES)


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(draw=st.randoms(use_true_random=False), release=st.sampled_from(sorted(RELEASES)))
def test_no_request_breaks_ceph(draw: Random, release: str) -> None:
    here = beginning()
    _answers_any(here, draw, release, CEPH)
    assert here.twin.state.ceph["a"] == spec_of(monitors_of(here.twin, "a").site(here.twin))


def _answers_any(here: Cluster, draw: Random, release: str, among: Sequence[Route]) -> None:
    here.api.release = RELEASES[release]
    served = [route for route in among if not here.api.release.lacks(route.call)]
    writes = [route for route in served if route.method != "GET"]
    headers = here.login() if draw.random() < 0.5 else None  # else by token
    for _ in range(draw.randint(1, 12)):
        routes = writes if draw.random() < 0.75 else served
        asked = request(draw, routes, here.api.release)
        params = {f"_{name}": value for name, value in asked.params.items()}
        call, user = f"{asked.route.method} {asked.path}", None if headers else ROOT
        file = SENT if asked.path.endswith("/upload") else None
        response = here.send(call, user, headers=headers, upload=file, **params)
        here.wait(3)
        _sound(here, call, response)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.call))
def test_every_call_answers_an_empty_request(route: Route) -> None:
    here = cluster()
    path = re.sub(r"\{node\}", "pve1", route.path)
    path = re.sub(r"\{vmid\}", "100", path)
    call = f"{route.method} {re.sub(r'{[^}]*}', 'web', path)}"
    _sound(here, call, here.send(call))


DIGITS = "9" * 5000
"""More than Python turns into a number."""


def test_no_size_is_beyond_that_of_the_largest_file() -> None:
    for text in (DIGITS, f"{DIGITS}T", "1" * 310 + ".5", "9" * 30 + "K"):
        assert volumes.parse_size(text) == 2**63 - 1
    assert volumes.parse_size("4.5M") == 4.5 * 2**20


@pytest.mark.parametrize(
    ("call", "params", "wrong"),
    [
        ("POST /nodes/pve1/qemu", {"vmid": 101, "cores": DIGITS}, "cores"),
        ("POST /nodes/pve1/qemu", {"vmid": 101, "cpulimit": "1e400"}, "cpulimit"),
        ("POST /cluster/firewall/rules", {"proto": DIGITS}, "proto"),
        ("POST /cluster/firewall/rules", {"proto": "²"}, "proto"),
        ("POST /cluster/firewall/rules", {"dest": DIGITS}, "dest"),
        ("POST /cluster/backup", {"all": 1, "schedule": DIGITS}, "schedule"),
        ("POST /cluster/backup", {"all": 1, "exclude-path": ["/a", None]}, "exclude-path[1]"),
        ("POST /cluster/backup", {"all": 1, "exclude-path": [["/a"]]}, "exclude-path[0]"),
        ("POST /cluster/backup", {"vmid": ["100", {"a": 1}]}, "vmid"),
    ],
)
def test_what_is_no_value_is_told_of_its_parameter(
    call: str, params: dict[str, Any], wrong: str
) -> None:
    needed = {"type": "in", "action": "ACCEPT"} if "rules" in call else {}
    sent = {f"_{name}": value for name, value in {**needed, **params}.items()}
    assert wrong in cluster().errors(call, **sent)


@pytest.mark.parametrize(
    ("call", "params", "problem"),
    [
        ("PUT /nodes/pve1/config", {"acme": "domains=a\nb"}, "newline inside property 'acme'"),
        ("PUT /cluster/options", {"u2f": "appid=a\nb"}, "newline inside property 'u2f'"),
        ("POST /storage", {"storage": "s1", "type": "rbd", "username": "a\nb"}, "line feed"),
        ("PUT /storage/data", {"content-dirs": "iso=a\nvztmpl=b"}, "line feed"),
        ("PUT /access/domains/sso", {"scopes": "a\nb"}, "line feed"),
        ("PUT /cluster/backup/nightly", {"exclude-path": ["a\nb"]}, "line feed"),
    ],
)
def test_a_value_of_two_lines_is_kept_in_no_file_of_lines(
    call: str, params: dict[str, Any], problem: str
) -> None:
    here = cluster()
    here.ok("POST /cluster/backup", id="nightly", schedule="daily", all=1)
    sso = {"issuer__url": "https://sso.lab.example", "client__id": "pve"}
    here.ok("POST /access/domains", realm="sso", type="openid", **sso)
    before = etc_pve.write(here.api.documents, {})
    sent = {f"_{name}": value for name, value in params.items()}
    assert problem in here.refusal(call, **sent)[1]
    assert etc_pve.write(here.api.documents, {}) == before


def test_a_line_ends_only_where_a_file_says_so() -> None:
    here = cluster()
    odd = "a\x0bb\x85c\u2028d"
    ldap = {"type": "ldap", "server1": "dc1", "base_dn": "dc=lab", "user_attr": "uid"}
    here.ok("POST /access/domains", realm="corp", filter=odd, **ldap)
    here.ok("PUT /nodes/pve1/config", acme=f"domains={odd}")
    again = etc_pve.read(etc_pve.write(here.api.documents, {})).documents
    assert again.domains["corp"]["filter"] == odd
    assert again.nodes["pve1"].config["acme"] == f"domains={odd}"


def test_a_jobs_paths_and_a_realms_password_are_where_they_belong() -> None:
    here = cluster()
    here.ok("POST /cluster/backup", id="nightly", schedule="daily", all=1,
            exclude__path=["/a", "/b c"])  # fmt: skip
    again = etc_pve.read(etc_pve.write(here.api.documents, {})).documents
    assert again.jobs["nightly"]["exclude-path"] == ("/a", "/b c")
    here.ok("POST /access/domains", realm="corp", type="ldap", server1="h1", base_dn="dc=lab",
            user_attr="uid", password="not told")  # fmt: skip
    assert "not told" not in str(here.api.documents.domains)
    here.ok("PUT /access/domains/corp", comment="x")


def test_the_type_of_an_interface_can_not_be_unset() -> None:
    here = cluster()
    here.ok("PUT /nodes/pve1/network/vmbr0", type="bridge", delete="type,autostart")
    assert here.ok("GET /nodes/pve1/network/vmbr0")["type"] == "bridge"


@given(body=st.binary(max_size=40), kind=st.sampled_from(["application/json", "x", ""]),
       query=st.text(max_size=20))  # fmt: skip
@example(body=b'{"a": "\\ud83d"}', kind="application/json", query="")
@example(body=b'{"a": NaN}', kind="application/json", query="")
@example(body=b"[" * 100_000, kind="application/json", query="")
@example(body=b"a=\xff", kind="x", query="")
def test_any_body_is_read_or_refused(body: bytes, kind: str, query: str) -> None:
    params: dict[str, Given] = {}
    with suppress(ApiError):
        params = decode(query, kind, body)
    json.dumps(params, ensure_ascii=False, allow_nan=False).encode()
