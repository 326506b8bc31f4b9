"""The served lab: unmodified clients over HTTPS and in process, while things break."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException
from pve_exporter.collector import CollectorsOptions, collect_pve
from requests.exceptions import ConnectionError as NotReached
from requests.exceptions import ConnectTimeout, SSLError, Timeout

from simulator.build import twin_of
from simulator.pve.face import address_of
from simulator.served.inprocess import TwinAdapter
from simulator.served.lab import ServedLab, ask
from simulator.served.place import Place
from tests.labs import lab_of
from tests.simulator.pem import self_signed
from tests.simulator.pve_cluster import SECRET, Cluster, cluster
from tests.simulator.three_nodes import guest, hardware, three_nodes

SPEED = 120.0
LIMIT_S = 60.0  # for an answer: the machine may do other things


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLab]:
    twin = twin_of(lab_of(hardware(), rules=False), empty=True)
    folder = tmp_path_factory.mktemp("lab") / ("deep" * 30)  # longer than a socket's name may be
    folder.mkdir()
    with ServedLab.start(twin, folder, speed=SPEED, port=0) as served:
        yield served


def _by_token(lab: ServedLab, node: str, **options: Any) -> Any:
    user, _, name = lab.login.token.partition("!")
    return ProxmoxAPI(
        lab.addresses[node],
        user=user,
        token_name=name,
        token_value=lab.login.secret,
        verify_ssl=str(lab.ca_file),
        **{"timeout": LIMIT_S, **options},
    )


def _until(true: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Ask again and again: the lab lives in another thread."""
    end_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end_s, "it did not come true in time"


def _wait(client: Any, upid: str) -> str:
    node = upid.split(":")[1]
    task = client.nodes(node).tasks(upid).status
    _until(lambda: task.get()["status"] == "stopped")
    return str(task.get()["exitstatus"])


def test_proxmoxer_logs_in_by_password_and_by_token(lab: ServedLab) -> None:
    by_password = ProxmoxAPI(
        lab.addresses["pve1"],
        user=lab.login.user,
        password=lab.login.password,
        verify_ssl=str(lab.ca_file),
        timeout=LIMIT_S,
    )
    assert by_password.version.get() == _by_token(lab, "pve2").version.get()
    by_password.pools.post(poolid="by-password")
    assert {"poolid": "by-password"} in _by_token(lab, "pve3").pools.get()


def test_the_secret_of_the_token_has_the_shape_that_clients_ask_for(lab: ServedLab) -> None:
    """Some refuse any other before they send anything."""
    assert str(uuid.UUID(lab.login.secret)) == lab.login.secret


def test_a_guest_is_made_and_started_through_any_node(lab: ServedLab) -> None:
    client = _by_token(lab, "pve2")
    client.storage.post(storage="data", type="dir", path="/srv/data", content="images")
    made = client.nodes("pve1").qemu.post(vmid=100, name="web", scsi0="data:8", memory=1024)
    assert _wait(client, made) == "OK"
    assert _wait(client, client.nodes("pve1").qemu(100).status.start.post()) == "OK"
    (row,) = client.cluster.resources.get(type="vm")
    assert (row["vmid"], row["node"], row["status"]) == (100, "pve1", "running")


def test_the_reason_phrase_carries_the_message(lab: ServedLab) -> None:
    with pytest.raises(ResourceException) as caught:
        _by_token(lab, "pve1").storage("none").get()
    assert (caught.value.status_code, caught.value.content) == (
        500,
        "storage 'none' does not exist",
    )
    with pytest.raises(ResourceException) as caught:
        _by_token(lab, "pve1").pools.post(poolid="bad pool")
    assert caught.value.errors == {
        "poolid": "invalid format - pool name 'bad pool' contains invalid characters\n"
    }


def test_a_client_that_does_not_know_the_authority_turns_away(lab: ServedLab) -> None:
    with pytest.raises(SSLError):
        _by_token(lab, "pve1")._store["session"].get(
            f"https://{lab.addresses['pve1']}/api2/json/version", verify=True
        )


def test_every_node_has_an_address_of_its_own(lab: ServedLab) -> None:
    hosts = [address.partition(":")[0] for address in lab.addresses.values()]
    assert (
        hosts
        == [address_of(1, number) for number in (1, 2, 3)]
        == [
            "127.0.11.1",
            "127.0.11.2",
            "127.0.11.3",
        ]
    )


def test_wire_format_is_that_of_a_node(lab: ServedLab) -> None:
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    host, _, port = lab.addresses["pve1"].partition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=LIMIT_S)
    connection.request("GET", "/api2/json/version")
    answer = connection.getresponse()
    assert (answer.status, answer.reason, answer.read()) == (401, "No ticket", b"")
    assert answer.headers["Server"] == "pve-api-daemon/3.0"
    token = f"PVEAPIToken={lab.login.token}={lab.login.secret}"
    body = json.dumps({"poolid": "by-json"})
    headers = {"Authorization": token, "Content-Type": "application/json"}
    connection.request("POST", "/api2/json/pools", body=body, headers=headers)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"data": None})
    connection.request("GET", "/elsewhere", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (404, b"")
    connection.close()


def test_an_image_larger_than_any_other_body_is_uploaded(lab: ServedLab, tmp_path: Path) -> None:
    image, size_bytes = tmp_path / "large.iso", 5 * 2**20 + 1
    image.write_bytes(b"\0" * size_bytes)
    storage = _by_token(lab, "pve1").nodes("pve2").storage("local")
    with image.open("rb") as file:
        sent = storage.upload.post(content="iso", filename=file)
    assert _wait(_by_token(lab, "pve1"), sent) == "OK"
    (row,) = storage.content.get(content="iso")
    assert (row["volid"], row["size"]) == ("local:iso/large.iso", size_bytes)
    with pytest.raises(ResourceException) as caught:
        _by_token(lab, "pve1").pools.post(poolid="p", comment="x" * 600_000)
    assert caught.value.status_code == 413


def test_an_upload_has_to_say_how_long_it_is(lab: ServedLab) -> None:
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    host, _, port = lab.addresses["pve1"].partition(":")
    path = "/api2/json/nodes/pve1/storage/local/upload"
    kind = {"Content-Type": "multipart/form-data; boundary=B"}
    for headers, body, status in (
        ({"Transfer-Encoding": "chunked"}, iter([b"--B--"]), 501),
        ({"Content-Length": str(2**40)}, b"", 413),
        ({}, b"no form", 400),
    ):
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=LIMIT_S)
        chunked = "Transfer-Encoding" in headers
        connection.request("POST", path, body, {**kind, **headers}, encode_chunked=chunked)
        assert connection.getresponse().status == status
        connection.close()


def test_a_dead_node_refuses_connections_and_comes_back(lab: ServedLab) -> None:
    peer, dead = _by_token(lab, "pve1"), _by_token(lab, "pve3")
    lab.fail("fail-node pve3")

    def refused() -> bool:
        try:
            dead.version.get()
        except NotReached:
            return True
        return False

    assert refused()
    assert _closed(lab.addresses["pve3"])
    with pytest.raises(ResourceException) as caught:
        peer.nodes("pve3").status.get()
    assert caught.value.status_code == 595
    _until(lambda: _online(peer) == {"pve1": 1, "pve2": 1, "pve3": 0})
    lab.restore("node pve3")
    _until(lambda: not refused())
    _until(lambda: _online(peer)["pve3"] == 1)


def _closed(address: str) -> bool:
    """Whether nobody listens."""
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=LIMIT_S).close()
    except ConnectionRefusedError:
        return True
    return False


def _online(client: Any) -> dict[str, int]:
    return {
        row["name"]: row["online"] for row in client.cluster.status.get() if row["type"] == "node"
    }


def test_a_node_behind_a_dead_switch_times_out(lab: ServedLab) -> None:
    assert ask(lab.control, "fail", "fail-switch sw1")["trace"]
    with pytest.raises(Timeout):
        _by_token(lab, "pve1", timeout=0.5).version.get()
    ask(lab.control, "restore", "switch sw1")
    client = _by_token(lab, "pve1")
    assert client.version.get()
    _until(lambda: set(_online(client).values()) == {1})  # as other tests find it


def test_a_fault_that_makes_no_sense_is_told_back(lab: ServedLab) -> None:
    with pytest.raises(ValueError, match="there is no node pve9"):
        ask(lab.control, "fail", "fail-node pve9")
    with pytest.raises(ValueError, match="is no fault"):
        ask(lab.control, "fail", "explode-node pve1")
    with pytest.raises(ValueError, match="there is no node pve9"):
        ask(lab.control, "restore", "node pve9")
    with pytest.raises(ValueError, match="only fail and restore"):
        ask(lab.control, "paint", "node pve1")
    with pytest.raises(ValueError, match="there is no node pve9"):
        lab.fail("fail-node pve9")


def test_simulated_time_runs_at_its_speed(lab: ServedLab) -> None:
    def told_s() -> tuple[float, float, float]:
        """Simulated time, between two looks at the clock."""
        before_s = time.monotonic()
        now_s = ask(lab.control, "restore", "node pve1")["now_s"]
        assert isinstance(now_s, float)
        return before_s, now_s, time.monotonic()

    first, last = told_s(), told_s()
    while last[0] - first[2] < 1.0:
        last = told_s()
    assert (last[0] - first[2]) * SPEED <= last[1] - first[1] + 0.001
    assert (last[2] - first[0]) * SPEED >= last[1] - first[1] - 0.001


@pytest.fixture
def port() -> Iterator[int]:
    """One that is free at the address of every node, held as by servers that are off."""
    with ExitStack() as held:
        for _ in range(100):
            number = 0
            with suppress(OSError), ExitStack() as taken:
                for node in (1, 2, 3):
                    place = Place(address_of(1, node), number)
                    place.take()
                    taken.callback(place.leave)
                    number = place.port
                held.push(taken.pop_all())
                break
        yield number


def test_an_address_that_is_taken_is_an_error_and_closing_frees_it(
    tmp_path: Path, port: int
) -> None:
    def served(folder: str) -> ServedLab:
        (tmp_path / folder).mkdir()
        twin = twin_of(lab_of(hardware(), rules=False), empty=True)
        return ServedLab.start(twin, tmp_path / folder, port=port)

    with served("one"), pytest.raises(OSError, match="in use"):
        served("two")
    with served("three") as again:
        assert again.servers[0].place.port == port
    with pytest.raises(FileNotFoundError):
        ask(tmp_path / "three" / "control.sock", "fail", "fail-node pve1")


def test_a_loaded_lab_is_served_with_its_load(tmp_path: Path) -> None:
    storages = "storages: {vm: {type: dir, path: /d, clusters: [a], content: [images]}}"
    disk = "    disks: {scsi0: {storage: vm, size: 8GiB}}\n"
    twin = twin_of(three_nodes(guest("luffy", 101, more=disk), more=storages, rules=False))
    with ServedLab.start(twin, tmp_path, port=0) as served:
        client = _by_token(served, "pve1")
        (row,) = client.cluster.resources.get(type="vm")
        assert (row["name"], row["status"], row["hastate"]) == ("luffy", "running", "started")
        config = client.nodes(row["node"]).qemu(101).config.get()
        assert config["scsi0"] == "vm:101/vm-101-disk-0.raw,size=8G"


def _in_process(here: Cluster, host: str = "pve1", hosts: dict[str, str] | None = None) -> Any:
    client = ProxmoxAPI(host, user="root@pam", token_name="test", token_value=SECRET)
    client._store["session"].mount("https://", TwinAdapter(here.twin, hosts))
    return client


def test_prometheus_pve_exporter_scrapes_all_that_it_knows(lab: ServedLab) -> None:
    user, _, name = lab.login.token.partition("!")
    login = {"user": user, "token_name": name, "token_value": lab.login.secret}
    everything = CollectorsOptions(**dict.fromkeys(CollectorsOptions._fields, True))
    config = {**login, "verify_ssl": str(lab.ca_file), "timeout": LIMIT_S}
    text = collect_pve(config, lab.addresses["pve1"], True, True, everything).decode()
    for line in ('pve_up{id="node/pve3"} 1.0', "pve_version_info{", "pve_cluster_info{",
                 'pve_storage_shared{id="storage/pve1/local"} 0.0'):  # fmt: skip
        assert line in text


def test_proxmoxer_works_in_process_and_its_caller_lets_time_pass() -> None:
    here = cluster()
    client = _in_process(here)
    upid = client.nodes("pve2").qemu.post(vmid=100, name="web", tags="a;b")
    assert client.nodes("pve2").tasks(upid).status.get()["status"] == "running"
    here.wait(2)
    assert client.nodes("pve2").tasks(upid).status.get()["exitstatus"] == "OK"
    client.nodes("pve2").qemu(100).config.put(description="l\u00ednea", cores=2)
    assert client.nodes("pve2").qemu(100).config.get()["description"] == "l\u00ednea"
    with pytest.raises(ResourceException, match="storage 'none' does not exist"):
        client.storage("none").get()


def test_in_process_nodes_are_known_by_other_names_too() -> None:
    here = cluster()
    assert _in_process(here, "10.1.1.1", {"10.1.1.1": "pve2"}).version.get()
    with pytest.raises(NotReached, match="there is no node"):
        _in_process(here, "elsewhere").version.get()


def test_in_process_a_dead_node_refuses_and_a_hung_one_times_out() -> None:
    here = cluster()
    here.fail("fail-node pve2")
    with pytest.raises(NotReached):
        _in_process(here, "pve2").version.get()
    here.fail("silence-node pve3")
    with pytest.raises(ConnectTimeout):
        _in_process(here, "pve3").version.get()


def test_a_node_tells_of_the_certificate_that_it_shows(lab: ServedLab) -> None:
    pve = _by_token(lab, "pve2")
    host, _, port = lab.addresses["pve2"].partition(":")
    seen = ssl.get_server_certificate((host, int(port)))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(seen)).hexdigest().upper()
    fingerprint = ":".join(digest[n : n + 2] for n in range(0, 64, 2))
    authority, own = pve.nodes("pve2").certificates.info.get()
    assert own["pem"] == seen
    assert own["fingerprint"] == fingerprint
    assert (own["subject"], own["issuer"]) == ("/CN=pve2", authority["subject"])
    assert own["san"] == ["pve2", host]
    assert authority["pem"] == lab.ca_file.read_text()
    told = {row["node"]: row["ssl_fingerprint"] for row in pve.nodes.get()}
    assert told["pve2"] == fingerprint != told["pve1"]
    join = pve.cluster.config.join.get()["nodelist"]
    assert {row["name"]: row["pve_fp"] for row in join}["pve2"] == fingerprint


def test_a_node_shows_the_certificate_that_it_was_given_once_its_proxy_starts(
    lab: ServedLab,
) -> None:
    host, _, port = lab.addresses["pve3"].partition(":")
    custom = _by_token(lab, "pve1").nodes("pve3").certificates.custom
    chain, key = self_signed("pve3.lab.example")

    def seen() -> str:
        return ssl.get_server_certificate((host, int(port)))

    issued = seen()
    custom.post(certificates=chain, key=key)
    assert seen() == issued
    custom.post(certificates=chain, key=key, force=1, restart=1)
    assert seen() == chain
    custom.delete(restart=1)
    assert seen() == issued
