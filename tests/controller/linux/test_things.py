"""Every kind of thing on a simulated host: made, read back, said again, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from controller.execute import execute
from controller.journal import Journal
from controller.linux.initiator import initiator_key
from controller.linux.port import LinuxPort
from controller.linux.shell import Output
from controller.linux.twin import TwinShell
from controller.linux.volume_group import group_key
from controller.managed import Context, Key, Mark
from controller.observe import observe
from controller.perform import Fate
from controller.plan import Action
from controller.secrets import Vault, rehearsed
from controller.step import Command, WriteFile
from lab.errors import DeviceError, Refused
from lab.load import load
from simulator.linux.inprocess import HostConnection
from simulator.linux.state import File
from simulator.storage.disks import Signature
from tests.controller.linux.cases import CASES, Case
from tests.controller.linux.group3 import three_groups, two_groups
from tests.controller.linux.hosts import NAME, lab_with, wanted
from tests.controller.linux.worlds import World, acts, told
from tests.controller.shelf import ManualClock

EXPORTS = "{a: {path: /backup/a, vlan: backup}}"
GROUP = group_key("pve4", "group3")
LUN = "iqn.2005-10.org.freenas.ctl:cluster-b"


def key(kind: str, identity: str, device: str = NAME) -> Key:
    return Key(device, kind, identity)


def world(entry: str = "") -> World:
    """A backup server with `entry`, nothing applied yet."""
    return World(lab_with(entry, exports=EXPORTS), ("linux/",))


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_it_is_made_by_these_steps(case: Case) -> None:
    things = wanted(lab_with(case.declared, exports=EXPORTS), case.kind.kind)
    (thing,) = (each for each in things if each.id == case.identity)  # type: ignore[attr-defined]

    assert tuple(map(str, thing.steps(None, Context()))) == case.made_by


def test_what_was_made_is_there_and_leaves_nothing_to_do(case: Case) -> None:
    here = world(case.declared)

    here.applied()

    assert key(case.kind.kind, case.identity) in here.seen().things
    assert here.plan().empty


def test_what_was_read_is_the_same_when_it_is_said_and_wanted_again(case: Case) -> None:
    here = world(case.declared)
    here.applied()
    there = here.seen().things[key(case.kind.kind, case.identity)]

    fragment = there.declare(here.lab)

    assert bool(fragment) is case.says_itself
    if case.says_itself:
        entry = fragment["backup-servers"]["bak1"]
        exports = entry.pop("exports", {})
        again = lab_with(json.dumps(entry)[1:-1], exports=json.dumps(exports))
        (wants,) = (each for each in wanted(again, case.kind.kind) if each.key == there.key)
        values = {name: there.values[name] for name in wants.values}
        assert dict(wants.values) == values
        assert Mark.RESET not in values.values()


def test_a_change_keeps_the_rest_and_the_old_content() -> None:
    here = world('files: {/etc/hosts: {block: "1 a\\n"}}')
    here.run("bak1", "printf '127.0.0.1 localhost\\n' > /etc/hosts")
    here.applied()

    here.applied(lab_with('files: {/etc/hosts: {block: "2 b\\n"}}', exports=EXPORTS))

    text = here.run("bak1", "cat /etc/hosts").stdout
    assert text == "127.0.0.1 localhost\n# BEGIN vlab\n2 b\n# END vlab\n"
    assert "1 a" in here.run("bak1", "cat /etc/hosts.vlab-old").stdout


def test_a_block_takes_the_place_of_a_whole_file_and_the_other_way_round() -> None:
    says = "{{manage: [create, update, delete], {}}}"
    whole = f"files: {{/etc/motd: {says.format('content: a')}}}"
    block = f"files: {{/etc/motd: {says.format('block: b')}}}"
    here = world(whole)
    here.applied()

    here.applied(lab_with(block, exports=EXPORTS))

    assert here.run("bak1", "cat /etc/motd").stdout == "# BEGIN vlab\nb\n# END vlab\n"
    assert here.plan().empty
    here.applied(lab_with(whole, exports=EXPORTS))
    assert here.run("bak1", "cat /etc/motd").stdout == "a"
    assert here.plan().empty


def test_a_file_that_a_daemon_has_not_read_is_not_done() -> None:
    here = world('files: {/etc/x: {content: "a\\n", after: [systemctl, restart, chrony]}}')
    here.applied()
    here.run("bak1", "touch /etc/x.vlab-pending")

    plan = here.plan()

    assert acts(plan, Action.UPDATE) == ["bak1 file /etc/x"]
    here.applied()
    assert here.plan().empty


@pytest.mark.parametrize(
    ("file", "acted"),
    [("/etc/fstab", "mount /backup"), ("/etc/exports", "export /backup/a")],
)
def test_what_a_line_of_ours_is_for_waits_until_it_is_read(file: str, acted: str) -> None:
    here = world()
    here.applied()
    here.run("bak1", f"touch {file}.vlab-pending")

    assert acts(here.plan(), Action.UPDATE) == [f"bak1 {acted}"]
    here.applied()
    assert here.plan().empty
    assert not _beside(here)


def test_an_initiator_name_that_iscsid_has_not_read_is_not_in_force() -> None:
    here = World(load(two_groups()))
    here.applied()
    here.run("pve4", "iscsiadm -m node -u", "touch /etc/iscsi/initiatorname.iscsi.vlab-pending")

    steps = [str(step) for op in here.plan().operations for step in op.steps]

    assert (
        "write /etc/iscsi/initiatorname.iscsi, 1 lines, mode 0600, then systemctl restart"
        in (steps[0])
    )


def test_what_ends_while_it_is_looked_for_has_ended() -> None:
    clock, answers = ManualClock(), iter([True, False])

    class Late(TwinShell):
        def runs(self, argv: Sequence[str]) -> bool:
            clock.sleep(100.0)  # the answer is on its way for longer than the step may take
            return next(answers)

    here = world()
    shell = Late(NAME, HostConnection(here.twin, "bak1"))
    LinuxPort(NAME, shell, clock, Vault(rehearsed)).settle(Command(("x",), timeout_s=60.0), 0.0)
    assert list(answers) == []


@pytest.mark.parametrize("arrives", [True, False])
def test_cut_off_at_any_command_it_ends_in_the_same_host(
    arrives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world('files: {/etc/x: {content: "a\\n", after: [systemctl, restart, chrony]}}')
    before.run("bak1", "echo '# somebody' >> /etc/exports")
    run, count = TwinShell.run, 0

    def cut(
        shell: TwinShell, argv: Sequence[str], stdin: str = "", timeout_s: float = 60
    ) -> Output:
        nonlocal count
        count += 1
        if count == last and not arrives:
            raise DeviceError(NAME, "the connection was lost", retryable=True)
        found = run(shell, argv, stdin, timeout_s)
        if count == last:
            raise DeviceError(NAME, "the connection was lost", retryable=True)
        return found

    last = 0
    while count >= last:
        last += 1
        here, count = before.forked(), 0
        with monkeypatch.context() as patched:
            plan = here.plan()
            patched.setattr(TwinShell, "run", cut)
            assert execute(plan, here.devices, Journal(), here.clock).done, last
        here.applied()
        assert here.plan().empty, last
        assert not _beside(here), last
        assert here.run("bak1", "cat /etc/exports").stdout.count("# somebody") == 1
    assert last > 30


def _beside(here: World) -> list[str]:
    """Halves of new files, and what their daemons have not read."""
    return [path for path in here.host("bak1").state.files if path.endswith(("-new", "-pending"))]


def test_a_link_is_left_alone() -> None:
    here = world('files: {/etc/x: {content: "a\\n"}}')
    here.host("bak1").state.files["/etc/x"] = File("/etc/hostname", 0o777, kind="link")

    assert "is a symbolic link" in told(here.plan(), key("file", "/etc/x"))


def test_a_package_is_asked_for_and_installed_only_when_allowed() -> None:
    here = world("packages: {multipath-tools: {}}\nservices: {multipathd: {running: true}}")

    plan = here.plan()

    says = told(plan, key("package", "multipath-tools"))
    assert "is not installed on bak1: write `multipath-tools: {install: true}`" in says
    assert "it needs linux/bak1 package multipath-tools" in told(plan, key("service", "multipathd"))


def test_a_disk_that_carries_something_is_not_formatted() -> None:
    here = world()
    here.twin.state.carried["bak1/sdb"] = Signature("ext4", "0-1")

    plan = here.plan()

    assert "carries ext4" in told(plan, key("filesystem", "/dev/sdb"))
    assert "which can't become as declared" in told(plan, key("mount", "/backup"))
    assert "(not there, and not being created)" in told(plan, key("export", "/backup/a"))
    here.applied()  # all the rest
    assert here.twin.state.carried["bak1/sdb"].type == "ext4"


def test_a_disk_that_was_written_to_after_the_plan_is_not_formatted() -> None:
    here = world()
    plan = here.plan()
    here.run("bak1", "mkfs.xfs /dev/sdb")
    step = next(op.steps[0] for op in plan.operations if op.key.kind == "filesystem")

    with pytest.raises(Refused, match="/dev/sdb of linux/bak1 is not blank: .*xfs"):
        here.devices[0].port.send(step)


def test_a_full_disk_fails_what_it_concerns_and_nothing_else() -> None:
    here = world('files: {/etc/x: {content: "a\\n"}}')
    here.host("bak1").state.full = frozenset({"/"})

    fates = {each.operation.key: each for each in here.apply().results}

    assert fates[key("file", "/etc/x")].fate is Fate.FAILED
    assert "No space left on device" in fates[key("file", "/etc/x")].reason
    assert fates[key("filesystem", "/dev/sdb")].fate is Fate.DONE
    here.host("bak1").state.full = frozenset()
    here.applied()
    assert here.plan().empty


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_connection_that_is_cut_is_looked_at_and_goes_on(cut: str) -> None:
    here = world()
    plan = here.plan()
    here.host("bak1").state.cut = cut

    outcome = execute(plan, here.devices, Journal(), here.clock)

    assert outcome.done
    assert here.seen().things[key("export", "/backup/a")].values["ours"]


def test_an_export_that_is_mounted_stays() -> None:
    here = World(load(three_groups()))
    here.applied()
    here.run("pve4", "mkdir -p /mnt/x", "mount -t nfs 192.168.254.31:/backup/group3 /mnt/x")

    plan = here.plan(load(two_groups()))

    assert "is mounted by 192.168.254.14" in told(plan, key("export", "/backup/group3"))


# From an array to a volume group


def test_a_third_group_gets_its_paths_and_its_volume_group_made_once() -> None:
    here = World(load(two_groups()))
    here.applied()
    lab = load(three_groups())

    plan = here.plan(lab)

    assert acts(plan, Action.CREATE) == [
        "bak1 export /backup/group3",
        *(f"pve{n} multipath {LUN}/2" for n in (4, 5, 6)),
        "pve4 volume-group group3",
        "pve5 volume-group group3",
        "pve6 volume-group group3",
    ]
    made = [step for op in plan.operations for step in op.steps if "vgcreate" in str(step)]
    assert len(made) == 1
    here.applied()
    assert here.plan().empty
    for node in ("pve4", "pve5", "pve6"):
        things = here.seen().things
        assert len(things[key("multipath", f"{LUN}/2", f"linux/{node}")].values["paths"]) == 2  # type: ignore[arg-type]
        assert things[group_key(node, "group3")].values["made_on"] == "pve4"


def test_killed_after_any_record_of_the_journal_it_ends_in_the_same_lab() -> None:
    before = World(load(two_groups()))
    before.applied()
    records = 0
    died = True
    while died:
        records += 1
        here = before.forked()

        died = here.dies(load(three_groups()), records)

        here.applied()
        assert here.plan().empty, records
        assert _groups(here).count("group3") == 1, records
    assert records > 30


def test_a_lun_that_carries_something_becomes_no_volume_group() -> None:
    here = World(load(two_groups()))
    here.applied()
    plan = here.plan(load(three_groups()))
    made = [n for n, wave in enumerate(plan.waves) for op in wave if op.key == GROUP]
    before = replace(plan, waves=plan.waves[: made[0]])
    assert execute(before, here.devices, Journal(), here.clock).done
    disk = here.seen().things[key("multipath", f"{LUN}/2", "linux/pve5")].values["name"]
    here.run("pve5", f"pvcreate /dev/mapper/{disk}")

    outcome = here.apply()

    reasons = {each.operation.key: each.reason for each in outcome.results}
    assert "is not blank" in reasons[GROUP]
    assert f"depends on {GROUP}" in reasons[group_key("pve5", "group3")]
    assert not [name for name in _groups(here) if name == "group3"]


def _groups(here: World) -> list[str]:
    return here.run("pve4", "vgs --noheadings -o vg_name").stdout.split()


def test_a_third_group_goes_in_the_order_in_which_it_is_not_needed() -> None:
    here = World(load(three_groups()))
    here.applied()

    plan = here.plan(load(two_groups()))

    assert acts(plan, Action.DELETE) == [
        "bak1 export /backup/group3",
        "pve5 volume-group group3",
        "pve6 volume-group group3",
        "pve4 volume-group group3",
        *(f"pve{n} multipath {LUN}/2" for n in (5, 6)),
        f"pve4 multipath {LUN}/2",
    ]
    here.applied()
    assert not acts(here.plan(), Action.DELETE)
    assert "group3" not in _groups(here)


def test_a_third_group_that_went_can_come_again() -> None:
    here = World(load(three_groups()))
    here.applied()
    here.applied(load(two_groups()))
    here.run("pve4", "iscsiadm -m session --rescan")

    here.applied(load(three_groups()))

    assert here.plan().empty
    assert "group3" in _groups(here)


def test_a_node_that_was_logged_out_finds_its_volume_groups_again() -> None:
    here = World(load(three_groups()))
    here.applied()
    made = here.run("pve4", "vgs --noheadings -o vg_name,vg_uuid").stdout
    for node in ("pve4", "pve5", "pve6"):
        here.run(node, "iscsiadm -m node --logout")
    assert "group3" not in _groups(here)

    here.applied()

    assert here.plan().empty
    assert here.run("pve4", "vgs --noheadings -o vg_name,vg_uuid").stdout == made


def test_a_lun_goes_before_those_who_were_logged_out_log_in_again() -> None:
    here = World(load(three_groups()))
    here.applied()
    for _ in range(2):
        here.applied(load(two_groups()))
    lun = Key("nas/nas1", "lun", "cluster-b/2")
    assert "is there and needs it" in told(here.plan(), lun)  # the sessions of the other groups
    for node in ("pve4", "pve5", "pve6"):
        here.run(node, "iscsiadm -m node --logout")

    here.applied()

    assert lun not in here.seen().things
    assert len(here.run("pve4", "iscsiadm -m session").stdout.splitlines()) == 2


def test_a_group_of_another_name_takes_the_lun_that_the_old_one_leaves() -> None:
    here = World(load(three_groups()))
    here.applied()
    files = three_groups()
    files["storages.yaml"] = files["storages.yaml"].replace(b"vg: group3", b"vg: other")

    here.applied(load(files))

    assert here.plan().empty
    assert "other" in _groups(here)
    assert "group3" not in _groups(here)


def test_a_volume_group_with_volumes_in_it_stays_and_all_below_it() -> None:
    here = World(load(three_groups()))
    here.applied()
    here.run("pve4", "lvcreate -n vm-300-disk-0 -L 4m group3")

    plan = here.plan(load(two_groups()))

    assert "holds 1 volumes" in told(plan, GROUP)
    below = told(plan, key("multipath", f"{LUN}/2", "linux/pve4"))
    assert "linux/pve4 volume-group group3 is there and needs it" in below


def test_an_initiator_name_changes_only_without_sessions() -> None:
    here = World(load(two_groups()))
    here.applied()
    files = two_groups()
    old = files["nodes/pve4.yaml"]
    name = next(line for line in old.decode().splitlines() if "initiator:" in line)
    new = "    initiator: iqn.1993-08.org.debian:01:another"
    files["nodes/pve4.yaml"] = old.decode().replace(name, new).encode()

    plan = here.plan(load(files))

    says = told(plan, initiator_key("linux/pve4"))
    assert "has 2 iSCSI sessions, which a new initiator name would lose" in says


def test_a_chap_secret_goes_into_the_record_and_nowhere_else() -> None:
    files = two_groups()
    text = files["nas1.yaml"].decode()
    chap = '    chap: {lab: {tag: 1, user: lab, secret: "secret://env/CHAP"}}\n    targets:\n'
    text = text.replace("    targets:\n", chap).replace(
        "1: group2}", "1: group2}\n        chap: lab"
    )
    here = World(load({**files, "nas1.yaml": text.encode()}))
    secret = rehearsed("secret://env/CHAP").get_secret_value()

    steps = [str(step) for op in here.plan().operations for step in op.steps]
    here.applied()

    assert not [step for step in steps if secret in step]
    files_there = here.host("pve4").state.files
    holding = [path for path in files_there if secret in files_there[path].content]
    assert [path.rpartition("/")[0].partition(LUN)[2] for path in holding] == [
        "/192.168.101.21,3260,1",
        "/192.168.102.21,3260,2",
    ]
    login = here.seen().things[key("login", f"{LUN} 192.168.101.21:3260", "linux/pve4")]
    assert login.values["secret"] == "secret://env/CHAP"
    assert login.values["session"]
    assert here.plan().empty


def test_a_secret_of_somebody_else_is_not_told() -> None:
    here = World(load(two_groups()))
    here.applied()
    name = "-n node.session.auth.password -v hunter2hunter2"
    here.run("pve4", f"iscsiadm -m node -T {LUN} -o update {name}")

    seen = here.seen().things[key("login", f"{LUN} 192.168.101.21:3260", "linux/pve4")]

    assert seen.values["secret"] == "not ours"


def test_a_check_that_prints_the_line_that_it_refuses_tells_no_secret() -> None:
    here = world()
    reference = "secret://env/PASSWORD"
    secret = rehearsed(reference).get_secret_value()
    vault = Vault(rehearsed)
    vault._known.add(reference)  # as a thing that is wanted would
    shell = Grumbling(TwinShell(NAME, HostConnection(here.twin, "bak1")))
    port = LinuxPort(NAME, shell, here.clock, vault)
    step = WriteFile("/etc/x", f"password {{{reference}}}\n", check=("grumble", "{}"))

    with pytest.raises(DeviceError, match="grumble says no to the new /etc/x") as told:
        port.send(step)

    assert secret not in str(told.value)
    assert told.value.__cause__ is None
    assert "/etc/x" not in here.host("bak1").state.files


class Grumbling:
    """A host with a program that likes no file and prints it."""

    def __init__(self, inner: TwinShell) -> None:
        self._inner = inner
        self.runs, self.close = inner.runs, inner.close

    def run(self, argv: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> Output:
        if argv[0] != "grumble":
            return self._inner.run(argv, stdin, timeout_s)
        return Output(1, "", self._inner.run(["cat", argv[1]]).stdout)


def test_a_daemon_that_is_down_leaves_its_maps_unknown() -> None:
    here = World(load(two_groups()))
    here.applied()
    here.run("pve4", "systemctl stop multipathd")

    seen = observe(here.devices, here.clock)

    assert {kind for device, kind in seen.unknown if device == "linux/pve4"} == {
        "multipath",
        "volume-group",
    }
