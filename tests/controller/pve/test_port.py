"""The way to a cluster: which address, what is tried again and waited for, what is not told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from requests import PreparedRequest

from controller.clock import SystemClock
from controller.pve import PvePort, connect
from controller.step import Query, Rest
from lab.errors import DeviceError
from lab.faults import parse_faults
from simulator.build import twin_of
from simulator.pve.documents import GuestConfig
from simulator.served.authority import Authority
from simulator.served.lab import ServedLab
from tests.controller.pve.served import TOKEN, Served, served, small_lab
from tests.controller.pve.worlds import DEVICE
from tests.simulator.three_nodes import NODES

CREATE = Rest("POST", "/nodes/pve2/qemu", {"vmid": 200, "name": "new", "memory": "256"})
CONFIG = "/nodes/{node:200}/qemu/200/config"
POOLS = Query("/pools")


@pytest.fixture
def cluster() -> Served:
    return served(small_lab())


@pytest.fixture
def guest(cluster: Served) -> Served:
    """A cluster with guest 200 on pve2."""
    cluster.port.send(CREATE)
    return cluster


def fail(cluster: Served, *faults: str, after_s: float = 10.0) -> None:
    cluster.twin.inject(parse_faults([*faults]))
    cluster.twin.settle()
    cluster.wait(after_s)


def config(cluster: Served) -> Any:
    return cluster.somebody().nodes("pve2").qemu(200).config


# Which address


def asked(cluster: Served) -> set[str]:
    """Nodes that were asked since the last time."""
    nodes = {request.split("://")[1].split(":")[0] for request in cluster.line.requests}
    cluster.line.requests.clear()
    return nodes


def test_the_next_address_answers_when_the_first_node_is_dead(cluster: Served) -> None:
    cluster.port.ask(POOLS)
    assert asked(cluster) == {"pve1"}
    fail(cluster, "fail-node pve1")

    assert cluster.port.ask(POOLS) == []
    assert asked(cluster) == {"pve1", "pve2"}
    cluster.port.send(Rest("POST", "/pools", {"poolid": "p"}))
    assert cluster.port.ask(POOLS) == [{"poolid": "p"}]
    assert asked(cluster) == {"pve2"}


def test_when_no_address_answers_the_error_says_so_and_may_pass(cluster: Served) -> None:
    fail(cluster, *(f"fail-node {node}" for node in NODES))

    with pytest.raises(DeviceError, match="does not take connections") as caught:
        cluster.port.ask(POOLS)
    assert caught.value.retryable
    assert caught.value.device == DEVICE


def test_when_all_addresses_are_silent_each_is_waited_for_once(cluster: Served) -> None:
    cluster.line.cut = lambda _request: True
    with pytest.raises(DeviceError, match="did not answer in time") as caught:
        cluster.port.ask(POOLS)
    assert (caught.value.retryable, caught.value.status) == (True, 0)
    assert len(cluster.line.requests) == len(NODES)
    with pytest.raises(DeviceError, match="did not answer in time"):
        cluster.port.send(Rest("POST", "/pools", {"poolid": "p"}))
    assert not [each for each in cluster.line.requests if each.startswith("POST")]

    cluster.line.cut = lambda _request: False
    assert cluster.port.ask(POOLS) == []


def test_who_waits_beside_another_is_told_of_the_silence_with_it(cluster: Served) -> None:
    told: list[str] = []
    began = threading.Event()
    now = cluster.clock.now

    def noticed() -> float:
        at_s = now()
        if threading.current_thread() is second:
            began.set()
        return at_s

    def ask() -> None:
        with pytest.raises(DeviceError, match="did not answer in time") as caught:
            cluster.port.ask(Query("/version"))
        told.append(caught.value.what)

    def silent(_request: PreparedRequest) -> bool:
        if not began.is_set():
            second.start()
            assert began.wait(60)
        cluster.wait(10.0)
        return True

    second = threading.Thread(target=ask)
    cluster.clock.now = noticed  # type: ignore[method-assign]
    cluster.line.cut = silent
    ask()
    second.join(60)
    assert len(told) == 2
    assert len(cluster.line.requests) == len(NODES)


def test_a_guest_of_a_dead_node_is_out_of_reach_and_the_others_are_not(guest: Served) -> None:
    guest.port.send(Rest("POST", "/nodes/pve3/qemu", {"vmid": 201}))
    fail(guest, "fail-node pve2", after_s=60)

    observed = guest.observe()

    assert [key.id for key in observed.things if key.kind == "vm"] == ["201"]
    assert {key.id: "595" in why for key, why in observed.doubtful.items()} == {"200": True}
    assert not observed.unknown


def test_a_node_that_its_peers_can_not_reach_is_not_asked_for_every_guest(guest: Served) -> None:
    fail(guest, "fail-node pve2", after_s=60)
    ask = Query("/nodes/pve2/qemu/200/pending", about="200")
    with pytest.raises(DeviceError):
        guest.port.ask(ask)
    guest.line.requests.clear()

    with pytest.raises(DeviceError, match="595") as caught:
        guest.port.ask(ask)
    assert caught.value.retryable
    assert guest.line.requests == []
    guest.wait(11)
    with pytest.raises(DeviceError):
        guest.port.ask(ask)
    assert guest.line.requests


def test_a_cluster_without_quorum_can_be_read_and_not_written(cluster: Served) -> None:
    fail(cluster, "fail-node pve2", "fail-node pve3", after_s=40)

    with pytest.raises(DeviceError, match="no quorum") as caught:
        cluster.port.send(Rest("POST", "/pools", {"poolid": "p"}))
    assert caught.value.retryable
    assert cluster.port.ask(POOLS) == []


def test_a_node_that_was_cut_off_from_the_others_is_not_asked(cluster: Served) -> None:
    cluster.port.ask(POOLS)
    cluster.line.without_quorum = "pve1"  # no twin of ours is cut off and within reach
    cluster.wait(31)
    asked(cluster)

    cluster.port.ask(POOLS)
    asked(cluster)
    cluster.port.ask(POOLS)
    assert asked(cluster) == {"pve2"}


def test_what_a_node_without_quorum_did_not_do_goes_to_the_next(cluster: Served) -> None:
    cluster.port.ask(POOLS)
    cluster.line.without_quorum = "pve1"

    cluster.port.send(Rest("POST", "/pools", {"poolid": "p"}))

    assert cluster.port.ask(POOLS) == [{"poolid": "p"}]


# Steps and their tasks


def test_a_step_is_done_when_its_task_is(cluster: Served) -> None:
    before = cluster.clock.now()

    upid = cluster.port.send(CREATE)

    assert str(upid).startswith("UPID:pve2:")
    assert cluster.clock.now() > before
    status = cluster.somebody().nodes("pve2").tasks(upid).status.get()
    assert (status["status"], status["exitstatus"]) == ("stopped", "OK")


def test_a_task_that_fails_says_what_it_said(guest: Served) -> None:
    guest.port.send(Rest("POST", "/nodes/{node:200}/qemu/200/status/start"))

    with pytest.raises(
        DeviceError, match="qmstart 200 on pve2 failed: .*already running"
    ) as caught:
        guest.port.send(Rest("POST", "/nodes/{node:200}/qemu/200/status/start"))
    assert not caught.value.retryable


def test_a_task_that_outlasts_its_time_is_left_to_be_looked_at(cluster: Served) -> None:
    with pytest.raises(DeviceError, match="qmcreate 200 on pve2 still runs") as caught:
        cluster.port.send(Rest(CREATE.method, CREATE.path, CREATE.params, timeout_s=0.0))

    assert caught.value.retryable
    cluster.port.settle(CREATE, cluster.clock.now())
    assert config(cluster).get()["name"] == "new"


def test_after_a_lost_answer_what_was_begun_is_waited_for(cluster: Served) -> None:
    cluster.line.cut = lambda request: request.method == "POST"
    since_s = cluster.clock.now()

    with pytest.raises(DeviceError, match="may still happen") as caught:
        cluster.port.send(CREATE)
    assert (caught.value.retryable, caught.value.status) == (True, 0)
    cluster.port.settle(CREATE, since_s)
    posted = [request for request in cluster.line.requests if request.startswith("POST")]
    assert len(posted) == 1  # no other address was told as well

    assert config(cluster).get()["name"] == "new"
    tasks = cluster.somebody().cluster.tasks.get()
    assert [task["type"] for task in tasks if "endtime" not in task] == []


def test_tasks_of_others_are_not_waited_for(cluster: Served) -> None:
    cluster.somebody().nodes("pve2").qemu.post(vmid=200)
    since_s = cluster.clock.now()

    cluster.port.settle(CREATE, since_s)

    assert cluster.clock.now() < since_s + 3


def test_nothing_is_waited_for_after_what_begins_no_task(cluster: Served) -> None:
    before = cluster.clock.now()

    cluster.port.settle(Rest("PUT", "/pools", {"poolid": "p"}), before)

    assert cluster.clock.now() == before
    assert cluster.line.requests == []


def test_a_task_whose_node_dies_is_given_up(guest: Served) -> None:
    upid = guest.somebody().nodes("pve2").qemu(200).status.start.post()
    fail(guest, "fail-node pve2", after_s=1)
    before = guest.clock.now()

    with pytest.raises(DeviceError) as caught:
        guest.port._await(upid, 3600)
    assert caught.value.retryable
    assert 55 < guest.clock.now() - before < 80


# What is resolved when it is sent


def test_a_guest_is_found_on_the_node_where_it_is_by_then(guest: Served) -> None:
    migrate = guest.somebody().nodes("pve2").qemu(200).migrate.post(target="pve3")
    guest.port._await(migrate, 600)

    guest.port.send(Rest("PUT", CONFIG, {"cores": 3}))

    assert guest.somebody().nodes("pve3").qemu(200).config.get()["cores"] == 3


def test_a_guest_that_is_nowhere_is_an_error_that_stays(cluster: Served) -> None:
    with pytest.raises(DeviceError, match="guest 200 is on no node") as caught:
        cluster.port.send(Rest("PUT", CONFIG, {"cores": 3}))
    assert not caught.value.retryable


def test_a_change_of_what_is_there_now_keeps_the_rest(guest: Served) -> None:
    config(guest).put(net0="e1000=BC:24:11:00:00:42,bridge=vmbr0,queues=2,tag=10")

    guest.port.send(Rest("PUT", CONFIG, {"net0": "{now},tag=99,queues=", "digest": "{now}"}))

    assert config(guest).get()["net0"] == "e1000=BC:24:11:00:00:42,bridge=vmbr0,tag=99"


def test_a_property_string_of_which_nothing_is_left_is_unset(cluster: Served) -> None:
    storage = {"storage": "bk", "type": "dir", "path": "/srv/bk", "content": "backup"}
    cluster.port.send(Rest("POST", "/storage", storage | {"prune-backups": "keep-last=3"}))

    cluster.port.send(Rest("PUT", "/storage/bk", {"prune-backups": "{now},keep-last="}))

    assert "prune-backups" not in cluster.somebody().storage("bk").get()
    cluster.line.requests.clear()
    cluster.port.send(Rest("PUT", "/storage/bk", {"prune-backups": "{now},keep-last="}))
    assert [request for request in cluster.line.requests if request.startswith("PUT")] == []


def test_a_change_that_somebody_makes_in_between_is_not_overwritten(guest: Served) -> None:
    config(guest).put(net0="virtio=BC:24:11:00:00:42,bridge=vmbr0")
    raced = iter(["BC:24:11:00:00:99"])

    def race(request: PreparedRequest) -> bool:
        if request.method == "GET" and "/config" in str(request.url):
            for mac in raced:
                config(guest).put(net0=f"virtio={mac},bridge=vmbr0")
        return False

    guest.line.cut = race
    step = Rest("PUT", CONFIG, {"net0": "{now},tag=99", "digest": "{now}"})

    with pytest.raises(DeviceError, match="checksum mismatch") as caught:
        guest.port.send(step)
    assert caught.value.retryable
    guest.port.send(step)
    assert config(guest).get()["net0"] == "virtio=BC:24:11:00:00:99,bridge=vmbr0,tag=99"


# Errors


def test_a_locked_guest_may_be_tried_again_and_a_bad_value_not(guest: Served) -> None:
    known = guest.api.documents.guests[200]
    locked = GuestConfig(known.kind, {**known.current, "lock": "backup"})
    guest.api.documents.guests[200] = locked

    with pytest.raises(DeviceError, match=r"VM is locked \(backup\)") as caught:
        guest.port.send(Rest("PUT", CONFIG, {"cores": 2}))
    assert caught.value.retryable

    guest.api.documents.guests[200] = known
    with pytest.raises(DeviceError, match="400 .*cores: value must have a minimum") as caught:
        guest.port.send(Rest("PUT", CONFIG, {"cores": 0}))
    assert not caught.value.retryable
    assert caught.value.status == 400


def test_all_lines_of_an_error_are_told(guest: Served) -> None:
    with pytest.raises(
        DeviceError, match=r"Rule 'near' is invalid\. .*cannot|cannot use unmanaged"
    ):
        guest.port.send(
            Rest("POST", "/cluster/ha/rules",
                 {"rule": "near", "type": "node-affinity", "resources": "vm:200", "nodes": "pve1"})
        )  # fmt: skip
    with pytest.raises(DeviceError, match="neither|job|vmid|all") as caught:
        guest.port.send(Rest("POST", "/cluster/backup", {"schedule": "daily"}))
    assert caught.value.what.count("400") >= 1
    assert len(caught.value.what) > len(
        "POST /cluster/backup: 500 400 Parameter verification failed."
    )


def test_the_token_is_never_told(cluster: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    cluster.api.add_token("root@pam!vlab", "another")

    with pytest.raises(DeviceError, match="401") as caught:
        cluster.port.ask(POOLS)
    with pytest.raises(DeviceError):
        cluster.port.send(Rest("POST", "/pools", {"poolid": "seen-by-nobody"}))

    assert not caught.value.retryable
    told = f"{caught.value} {caught.value!r} {caplog.text}"
    assert TOKEN not in told
    assert "seen-by-nobody" not in told


# What a token may see


@pytest.mark.parametrize(
    ("path", "privilege"),
    [
        ("/pools", "Pool.Audit on /pool"),
        ("/storage", "Datastore.Audit on /storage"),
        ("/access/acl", "Sys.Audit on /access"),
        ("/access/users", "Sys.Audit on /access/groups"),
        ("/cluster/options", "Sys.Audit on /"),
        ("/cluster/resources", "VM.Audit on /vms"),
    ],
)
def test_a_list_that_would_hide_things_is_no_answer(
    cluster: Served, path: str, privilege: str
) -> None:
    somebody = cluster.somebody()
    somebody.access.users.post(userid="weak@pve")
    port = weak_port(cluster)

    with pytest.raises(DeviceError, match=f"would hide .* it lacks {privilege}") as caught:
        port.ask(Query(path))
    assert not caught.value.retryable


def test_a_token_that_may_see_less_of_one_subtree_does_not_see_all(cluster: Served) -> None:
    somebody = cluster.somebody()
    somebody.access.users.post(userid="weak@pve")
    somebody.access.acl.put(path="/", roles="PVEAuditor", users="weak@pve")
    port = weak_port(cluster)
    assert port.ask(POOLS) == []

    somebody.access.acl.put(path="/pool/theirs", roles="PVEVMUser", users="weak@pve")
    cluster.wait(61)

    with pytest.raises(DeviceError, match="Pool.Audit on /pool/theirs"):
        port.ask(POOLS)


def test_rights_that_are_asked_for_again_beside_a_look_at_them_do_not_disturb_it(
    cluster: Served,
) -> None:
    rights = cluster.port._rights

    class Renewed(dict[str, Any]):
        def __iter__(self) -> Iterator[str]:
            rights._known = {}  # as another thread may do now
            return super().__iter__()

    rights._asked_s = cluster.clock.now()
    rights._known = Renewed({"/pool": {"Pool.Audit": 1}})

    rights.check("/pools")


def weak_port(cluster: Served) -> PvePort:
    cluster.api.add_token("weak@pve!t", "weak")
    return connect(
        DEVICE, NODES, user="weak@pve", token_name="t", token="weak", clock=cluster.clock,
        adapter=cluster.line,
    )  # fmt: skip


# One at a time


def test_one_step_at_a_time_for_each_guest_and_others_beside_it(cluster: Served) -> None:
    port = cluster.port
    port._transport = Meeting()  # type: ignore[assignment]
    meeting: Any = port._transport
    same = [Rest("PUT", "/nodes/pve1/qemu/200/config", {"cores": n}) for n in (1, 2)]
    other = Rest("PUT", "/nodes/pve1/qemu/201/config", {"cores": 1})

    threads = [threading.Thread(target=port.send, args=(step,)) for step in (*same, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert meeting.most == {"200": 1, "201": 1}
    assert meeting.together == 2


class Meeting:
    """Counts who is inside at one time; nobody leaves before two guests have met."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.most: dict[str, int] = {}
        self.together = 0
        self.met = threading.Event()
        self.lock = threading.Lock()

    def send(self, _method: str, path: str, _params: object) -> None:
        guest = path.split("/")[4]
        with self.lock:
            self.inside.append(guest)
            self.most[guest] = max(self.most.get(guest, 0), self.inside.count(guest))
            self.together = max(self.together, len(self.inside))
            if len(set(self.inside)) == 2:
                self.met.set()
        assert self.met.wait(60)
        with self.lock:
            self.inside.remove(guest)


# Over HTTPS


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLab]:
    folder = tmp_path_factory.mktemp("served")
    with ServedLab.start(twin_of(small_lab(), empty=True), folder, speed=1000, port=0) as lab:
        yield lab


def port_to(lab: ServedLab, ca: Path) -> PvePort:
    user, name = lab.login.token.split("!")
    return connect(
        DEVICE, tuple(lab.addresses.values()), user=user, token_name=name,
        token=lab.login.secret, clock=SystemClock(), ca=ca,
    )  # fmt: skip


def test_the_same_client_works_over_https(https: ServedLab) -> None:
    port = port_to(https, https.ca_file)

    port.send(Rest("POST", "/pools", {"poolid": "p"}))
    port.send(Rest("POST", "/nodes/pve2/qemu", {"vmid": 300, "pool": "p"}))

    found = port.ask(Query("/cluster/resources", {"type": "vm"}))
    assert isinstance(found, list)
    assert [(row["vmid"], row["node"], row["pool"]) for row in found] == [(300, "pve2", "p")]


def test_a_server_that_is_not_vouched_for_is_not_talked_to(
    https: ServedLab, tmp_path: Path
) -> None:
    other = Authority(tmp_path, datetime.now(UTC))

    with pytest.raises(DeviceError, match="does not prove who it is") as caught:
        port_to(https, other.ca_file).ask(POOLS)
    assert not caught.value.retryable
    assert https.login.secret not in str(caught.value)
