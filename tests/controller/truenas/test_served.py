"""Against the twin's array, written without any of our code: what is made is there, and stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from controller.adopt import adopt
from controller.clock import Clock, SystemClock
from controller.execute import DOUBTS, execute
from controller.installation import devices_of
from controller.journal import Journal
from controller.observe import observe
from controller.perform import Fate
from controller.plan import Action, NoteKind
from controller.planning import plan_changes
from controller.recover import recover
from controller.secrets import SecretMissing, Vault, rehearsed
from controller.settings import Settings, read_settings
from controller.step import Json
from controller.truenas.kinds import KINDS
from controller.truenas.transport import Transport, no_answer
from controller.world import World
from lab.errors import DeviceError, LabInvalid
from lab.item import Act
from lab.load import load
from simulator.linux.host import LinuxHost
from simulator.served.authority import Authority
from simulator.twin import Twin
from tests.controller.truenas.served import (
    DEVICE,
    LabClock,
    Served,
    behind_sockets,
    connected,
    hardware,
    in_process,
    lab,
    steps,
)
from tests.simulator.rack import Tree

RELEASES = ["11.3", "13.0", "24.04", "25.04", "25.10", "26.0"]


@pytest.mark.parametrize("version", RELEASES)
def test_everything_is_made_from_nothing_and_then_there_is_nothing_to_do(version: str) -> None:
    declared = lab(version)
    array = in_process(declared)
    outcome = array.apply(declared)
    assert [(str(r.operation.key), r.reason) for r in outcome.results if r.fate != "done"] == []
    assert {result.operation.key.kind for result in outcome.results} == {
        kind.kind for kind in KINDS
    } - {"session"}
    assert steps(array.plan(declared)) == []


@pytest.mark.parametrize("version", RELEASES)
def test_the_same_over_real_sockets(version: str, tmp_path: Path) -> None:
    declared = lab(version)
    with behind_sockets(declared, tmp_path) as (array, _):
        assert array.apply(declared).done
        assert steps(array.plan(declared)) == []


def log_in(twin: Twin, node: str) -> None:
    """As an administrator of the node would."""
    host = twin.devices[f"linux/{node}"]
    assert isinstance(host, LinuxHost)
    for line in (
        "iscsiadm -m discovery -t sendtargets -p 10.0.101.21",
        "iscsiadm -m node --loginall=all",
    ):
        host.run(twin, line)


def test_hosts_log_in_to_what_was_made_and_then_it_is_in_use(tmp_path: Path) -> None:
    declared = lab()
    with behind_sockets(declared, tmp_path) as (array, served):
        array.apply(declared)
        for node in ("pve1", "pve2", "pve3"):
            log_in(served.twin, node)
        sessions = [t for t in array.observe().things.values() if t.key.kind == "session"]
        assert len(sessions) >= 3  # each node has one
        nothing = lab(change=lambda nas: nas.update({"targets": {}, "zvols": {}, "portals": {}}))
        kept = array.plan(nothing, array.owned(declared)).notes
        told = {note.key.id: note.text for note in kept if note.kind is NoteKind.KEPT and note.key}
        assert "is there and needs it" in told["tank/z"]
        assert "is there and needs it" in told["t/0"]


def test_all_of_an_array_is_taken_down_in_order_once_nobody_uses_it() -> None:
    unused = lab(change=lambda nas: nas["targets"]["t"].update(initiators=[]))
    array = in_process(unused)
    array.apply(unused)
    gone = ("targets", "zvols", "portals", "shares", "chap", "snapshot-tasks", "datasets")
    nothing = lab(change=lambda nas: nas.update({section: {} for section in gone}))
    outcome = array.apply(nothing, array.owned(unused))
    assert [(str(r.operation.key), r.reason) for r in outcome.results if r.fate != "done"] == []
    assert {t.key.kind for t in array.observe().things.values()} == {"pool", "iscsi", "service"}


def renamed(nas: Tree) -> None:
    """The target has another name and its login another user, a dataset became a volume."""
    nas["targets"]["t"]["initiators"] = []
    nas["targets"]["u"] = nas["targets"].pop("other")
    nas["chap"]["x"]["user"] = "pupils"
    nas["datasets"] = {}
    nas["shares"] = {}
    nas["zvols"]["iso"] = {"pool": "images", "size": "2GiB"}


@pytest.mark.parametrize("version", RELEASES)
def test_what_takes_the_place_of_another_comes_after_it_went(version: str) -> None:
    before = lab(version, lambda nas: nas["targets"]["t"].update(initiators=[]))
    array, after = in_process(before), lab(version, renamed)
    array.apply(before)
    owned = array.owned(before)
    outcome = array.apply(after, owned)
    assert [(str(r.operation.key), r.reason) for r in outcome.results if r.fate != "done"] == []
    order = [str(operation.key) for operation in (r.operation for r in outcome.results)]
    assert order.index(f"{DEVICE} lun other/3") < order.index(f"{DEVICE} lun u/3")
    assert order.index(f"{DEVICE} dataset images/iso") < order.index(f"{DEVICE} zvol images/iso")


def test_what_another_keeps_is_not_asked_for() -> None:
    before = lab(change=lambda nas: nas["targets"]["t"].update(initiators=[], manage=["create"]))
    array = in_process(before)
    array.apply(before)

    def moved(nas: Tree) -> None:
        nas["targets"]["t"].update(initiators=[], manage=["create"], luns={})
        nas["targets"]["other"]["luns"]["0"] = "z"

    plan = array.plan(lab(change=moved), array.owned(before))
    told = {str(note.key): note.text for note in plan.notes if note.kind is NoteKind.BLOCKED}
    assert told == {f"{DEVICE} lun other/0": f"it needs extent z (which {DEVICE} lun t/0 has)"}


@pytest.mark.parametrize(
    "method",
    ["pool.dataset.create", "iscsi.target.create", "iscsi.targetextent.create", "service.control"],
)
def test_a_call_whose_answer_was_lost_is_looked_at_and_never_sent_again(method: str) -> None:
    declared = lab()
    array = in_process(declared)
    array.line.cut.add(method)
    assert array.apply(declared).done
    assert array.line.cut == set()
    calls = [(name, str(params)) for name, params in array.line.calls if name == method]
    assert len(calls) == len(set(calls))


def test_losing_the_array_under_a_plan_leaves_it_unknown_and_the_next_pass_resumes(
    tmp_path: Path,
) -> None:
    declared = lab()
    with behind_sockets(declared, tmp_path) as (array, served):
        creations = count(1)

        def lose(method: str) -> None:
            if method.endswith(".create") and next(creations) == 6:
                served.fail("fail-nas nas1")

        array.line.watch = lose
        half = array.apply(declared)
        seen = array.observe()

        fates = [result.fate for result in half.results]
        assert fates.count(Fate.IN_DOUBT) == DOUBTS  # then it is left in peace
        assert Fate.DONE in fates
        assert {kind for _, kind in seen.unknown} == {kind.kind for kind in KINDS}
        assert not [op for op in plan_changes(declared, seen, {}, "b").operations if op.steps]
        assert isinstance(array.clock, LabClock)
        assert array.clock.slept_s < 300

        served.restore("nas nas1")
        look_until_known(array)
        assert array.apply(declared).done
        assert steps(array.plan(declared)) == []


class Suspended:
    """A way to an array whose pools are suspended: what touches them never comes back."""

    def __init__(self, inner: Transport, clock: Clock) -> None:
        self.inner, self.clock, self.suspended = inner, clock, False

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> object:
        if self.suspended and method.startswith("pool."):
            self.clock.sleep(timeout_s)
            raise no_answer(DEVICE, method, f"nothing for {timeout_s:.0f} s")
        return self.inner.call(method, params, timeout_s)

    def close(self) -> None:
        self.inner.close()


def test_a_suspended_pool_holds_up_what_is_on_it_and_not_for_long() -> None:
    declared = lab()
    array = in_process(declared)
    plan, journal = array.plan(declared), Journal()
    way = Suspended(array.line.inner, array.clock)
    array.line.inner = way
    (device,) = World([array.device], journal, array.clock).patient().devices
    way.suspended, begun_s = True, array.clock.now()

    outcome = execute(plan, [device], journal, array.clock)

    assert array.clock.now() - begun_s < 600.0
    assert {each.operation.key.kind for each in outcome.fated(Fate.DONE)} >= {"chap", "portal"}
    doubtful = [each.operation.key for each in outcome.fated(Fate.IN_DOUBT)]
    assert [key.kind for key in doubtful] == ["dataset", "zvol"]
    seen = observe([device], array.clock)
    assert {"pool", "dataset", "zvol"} <= {kind for _, kind in seen.unknown}
    assert [thing for thing in seen.things if thing.kind == "portal"]

    way.suspended = False
    recovery = recover(journal, [array.device], array.clock, {})
    assert not recovery.in_doubt
    assert execute(
        array.plan(declared, recovery.owned({})), [array.device], journal, array.clock
    ).done
    assert steps(array.plan(declared, array.owned(declared))) == []


def look_until_known(array: Served) -> None:
    """Until the array has booted."""
    for _ in range(100):
        if not array.observe().unknown:
            return
    raise AssertionError("the array did not come back")


@pytest.mark.parametrize("version", ["13.0", "25.10"])
def test_an_array_is_adopted_and_the_plan_of_it_is_empty(version: str) -> None:
    array = in_process(lab(version))
    array.apply(lab(version))
    assert adopted(array, version) == 15


def test_a_freenas_11_1_is_read_and_adopted_over_rest_1_0(tmp_path: Path) -> None:
    with behind_sockets(lab("11.1"), tmp_path, empty=False) as (array, _):
        seen = array.observe()
        assert {kind for _, kind in seen.unknown} == {"session", "snapshot-task"}
        assert adopted(array, "11.1") > 12


def adopted(array: Served, version: str) -> int:
    """Adopt into a tree that has the hardware alone; how many things became ours."""
    tree = {"hardware.yaml": hardware(version)}
    seen = array.observe()
    adoption = adopt(load(tree, rules=False), seen, tree)
    assert [(note.subject, note.text) for note in adoption.notes] == []
    assert adoption.files["hardware.yaml"].startswith("# the hardware\n")
    both = {name: text.encode() for name, text in adoption.files.items()}
    plan = plan_changes(load({**tree, **both}, rules=False), seen, {}, "c0ffee")
    assert [op.key for op in plan.operations if op.steps] == []
    assert plan.pending == ()
    assert [note.subject for note in plan.notes if note.kind is NoteKind.FOREIGN] == []
    for operation in plan.operations:
        if operation.action is Action.ADOPT and operation.wanted is not None:
            assert operation.wanted.policy.manage == {Act.OBSERVE}
    return sum(op.action is Action.ADOPT for op in plan.operations)


def test_a_wrong_key_is_told_and_nothing_more_is_tried(tmp_path: Path) -> None:
    with behind_sockets(lab(), tmp_path) as (_, served):
        for version_key in ("1-" + "x" * 64, "nonsense"):
            way = connected(served, key=version_key)
            with pytest.raises(DeviceError, match="login: refused; check api_key") as told:
                way.call("system.version", (), 10.0)
            assert (told.value.retryable, told.value.status) == (False, 401)
            assert version_key not in str(told.value)
            way.close()


def test_a_wrong_key_is_told_over_rest_too(tmp_path: Path) -> None:
    with behind_sockets(lab("13.0"), tmp_path) as (_, served):
        way = connected(served, key="1-" + "x" * 64)
        with pytest.raises(DeviceError, match="login refused; check api_key"):
            way.call("system.version", (), 10.0)
        way.close()


def test_an_array_with_a_certificate_of_somebody_else_gets_no_key(tmp_path: Path) -> None:
    other = Authority(tmp_path, datetime.now(UTC)).ca_file
    (tmp_path / "served").mkdir()
    with behind_sockets(lab(), tmp_path / "served") as (_, served):
        way = connected(served, ca=other)
        with pytest.raises(DeviceError, match="is not trusted") as told:
            way.call("system.version", (), 10.0)
        assert not told.value.retryable
        assert "fix: name the authority of its certificate" in str(told.value)


def test_an_array_that_is_not_there_may_be_there_later(tmp_path: Path) -> None:
    with behind_sockets(lab(), tmp_path) as (_, served):
        served.fail("fail-nas nas1")
        way = connected(served)
        with pytest.raises(DeviceError, match="no answer") as told:
            way.call("system.version", (), 10.0)
        assert (told.value.retryable, told.value.status) == (True, 0)


def test_an_array_that_came_back_is_spoken_to_again_by_the_same_port(tmp_path: Path) -> None:
    with behind_sockets(lab(), tmp_path) as (array, served):
        assert not array.observe().unknown
        served.fail("fail-nas nas1")
        assert array.observe().unknown
        served.restore("nas nas1")
        look_until_known(array)


def with_array(folder: Path, **written: str) -> Settings:
    """Settings in a folder, with an array whose key is in a file beside them."""
    keys = {"api_key": "secret://file/key", **written}
    lines = [f'{name} = "{value}"' for name, value in keys.items()]
    (folder / "vlab.toml").write_text("\n".join(['source.remote = "lab"', "[nas.nas1]", *lines]))
    return read_settings(folder / "vlab.toml")


def test_an_installation_speaks_to_the_array_of_its_settings(tmp_path: Path) -> None:
    declared = lab()
    (tmp_path / "served").mkdir()
    with behind_sockets(declared, tmp_path / "served") as (_, served):
        (tmp_path / "key").write_text(served.login.api_keys["nas1"])
        address, ca = served.addresses["nas1"], str(served.ca_file)
        settings = with_array(tmp_path, address=address, user="truenas_admin", ca=ca)
        (device,) = devices_of(settings, SystemClock(), Vault(rehearsed))
        seen = observe([device], SystemClock(), parallel=4)
        device.close()
        assert seen.unknown == {}
        assert {key.kind for key in seen.things} == {"pool", "iscsi", "service"}


def test_an_installation_without_its_secret_does_not_begin(tmp_path: Path) -> None:
    settings = with_array(tmp_path, address="nas1")
    with pytest.raises(SecretMissing, match="secret://file/key"):
        devices_of(settings, SystemClock(), Vault(rehearsed))


VOLUME: dict[str, Json] = {
    "type": "VOLUME", "volsize": 5 * 2**30, "sparse": True, "volblocksize": "64K",
}  # fmt: skip
OPEN: dict[str, Json] = {
    "networks": ["10.0.103.0/24", "fd00::/64"], "hosts": ["host-1"], "enabled": False,
}  # fmt: skip


LONG = "a-name-that-" + "goes-on-" * 8  # longer than a name of RFC 7143 leaves room for


def with_odd_names(array: Served, version: str) -> None:
    """What somebody made at the array: names with blanks, a share of two folders, things apart."""
    core = version == "13.0"
    folders: dict[str, Json] = {"paths": ["/mnt/tank", "/mnt/tank/My Data"]}
    calls: list[tuple[str, dict[str, Json]]] = [
        ("pool.dataset.create", {"name": "tank/My Data", "comments": "it's: #1"}),
        ("pool.dataset.create", {"name": "tank/My Data/disk 1.x", **VOLUME}),
        ("pool.snapshottask.create", {"dataset": "tank/My Data", "schedule": {"dow": "1-5"}}),
        ("iscsi.extent.create", {"name": "Odd name", "disk": "zvol/tank/My+Data/disk+1.x"}),
        ("iscsi.initiator.create", {"initiators": ["iqn.1998-01.x:esx"], "comment": "two words"}),
        ("sharing.nfs.create", {**(folders if core else {"path": "/mnt/tank/My Data"}), **OPEN}),
    ]
    for method, data in calls:
        array.call(method, data)
    (portal, *_) = array.call("iscsi.portal.query")
    array.call("iscsi.target.create", {"name": LONG, "groups": [{"portal": portal["id"]}]})


@pytest.mark.parametrize("version", ["13.0", "25.10"])
def test_what_is_odd_and_legal_is_adopted_as_a_lab_that_loads(version: str) -> None:
    declared = lab(version)
    array = in_process(declared)
    array.apply(declared)
    with_odd_names(array, version)
    tree, seen = {"hardware.yaml": hardware(version)}, array.observe()

    adoption = adopt(load(tree, rules=False), seen, tree)

    unsaid = {f"nas/nas1 target {LONG}"}
    unsaid |= {"nas/nas1 nfs-share /mnt/tank,/mnt/tank/My Data"} if version == "13.0" else set()
    assert {note.subject for note in adoption.notes} == unsaid
    both = tree | {name: text.encode() for name, text in adoption.files.items()}
    with pytest.raises(LabInvalid) as wrong:  # this hardware has flaws of its own
        load(both)
    assert "nas1" not in str(wrong.value)
    managed = {
        name: text.replace(b"manage: [observe]", b"manage: [update]") for name, text in both.items()
    }
    plan = plan_changes(load(managed, rules=False), seen, {}, "c0ffee")
    assert [str(op.key) for op in plan.operations if op.steps] == []
    assert {"tank/My Data", "tank/My Data/disk 1.x", "Odd name"} <= {
        op.key.id for op in plan.operations if op.action is Action.ADOPT
    }
    there = load(managed, rules=False)
    fresh = in_process(there)
    assert [result.reason for result in fresh.apply(there).results if result.reason] == []
    assert steps(fresh.plan(there)) == []
