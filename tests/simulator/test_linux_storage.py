"""From an array's LUN to a volume group: sessions, paths, maps, and LVM that every node sees."""

from __future__ import annotations

import json

import pytest

from simulator.truenas.api import TrueNasApi
from tests.simulator.linux_hosts import IQN, PORTALS, Hosts, hosts


@pytest.fixture
def here() -> Hosts:
    return hosts()


def _maps(here: Hosts, host: str) -> list[dict[str, object]]:
    found = json.loads(here.says(host, "multipathd show maps json"))["maps"]
    assert isinstance(found, list)
    return found


def _groups(here: Hosts, host: str) -> list[str]:
    report = json.loads(here.says(host, "vgs --reportformat json --units b"))["report"]
    return [row["vg_name"] for row in report[0]["vg"]]


def _change(array: TrueNasApi, table: str, **values: object) -> None:
    """Change every row of a table."""
    rows = array.documents.rows(table)
    for identity in rows:
        rows[identity] = {**rows[identity], **values}
    array.documents.changed()


def test_without_sessions_and_records_nothing_is_found(here: Hosts) -> None:
    assert here("pve1", "iscsiadm -m session") == (21, "", "iscsiadm: No active sessions.\n")
    assert here("pve1", "iscsiadm -m node") == (21, "", "iscsiadm: No records found\n")
    assert here("pve1", f"iscsiadm -m node -T {IQN} --login").status == 21
    assert here("pve1", f"iscsiadm -m node -T {IQN} --logout").status == 21


def test_discovery_finds_every_portal_and_keeps_a_record_of_each(here: Hosts) -> None:
    found = here.says("pve1", f"iscsiadm -m discovery -t sendtargets -p {PORTALS[0]}:3260")
    assert found == f"{PORTALS[0]}:3260,1 {IQN}\n{PORTALS[1]}:3260,2 {IQN}\n"
    path = f"/etc/iscsi/nodes/{IQN}/{PORTALS[1]},3260,2/default"
    assert here.says("pve1", f"stat -c %a {path}") == "600\n"
    record = here.says("pve1", f"cat {path}")
    assert f"node.name = {IQN}\n" in record
    assert "node.startup = manual\n" in record
    assert here.says("pve1", "iscsiadm -m node") == found


def test_records_inherit_what_iscsid_conf_says(here: Hosts) -> None:
    setting = "node.session.timeo.replacement_timeout = 15\nnode.startup = automatic\n"
    here.says("pve1", "tee /etc/iscsi/iscsid.conf", setting)
    here.says("pve1", f"iscsiadm -m discovery -t st -p {PORTALS[0]}")
    shown = here.says("pve1", f"iscsiadm -m node -T {IQN} -p {PORTALS[0]}")
    assert "node.session.timeo.replacement_timeout = 15\n" in shown
    assert "node.startup = automatic\n" in shown


def test_discovering_again_resets_settings_unless_told_not_to(here: Hosts) -> None:
    discover = f"iscsiadm -m discovery -t st -p {PORTALS[0]}"
    here.says("pve1", discover)
    here.says("pve1", f"iscsiadm -m node -T {IQN} -o update -n node.startup -v automatic")
    here.says("pve1", f"{discover} -o new")
    shown = f"iscsiadm -m node -T {IQN} -p {PORTALS[0]}"
    assert "node.startup = automatic" in here.says("pve1", shown)
    here.says("pve1", discover)
    assert "node.startup = manual" in here.says("pve1", shown)


def test_an_initiator_that_the_array_does_not_know_finds_nothing(here: Hosts) -> None:
    name = "InitiatorName=iqn.2000-01.org.example:stranger\n"
    here.says("pve1", "tee /etc/iscsi/initiatorname.iscsi", name)
    result = here("pve1", f"iscsiadm -m discovery -t st -p {PORTALS[0]}")
    assert result == (21, "", "iscsiadm: No portals found\n")
    here.says("pve1", f"iscsiadm -m node -T {IQN} -p {PORTALS[0]} -o new")
    assert here("pve1", f"iscsiadm -m node -T {IQN} --login").status == 24


def test_a_login_shows_the_lun_once_for_each_path(here: Hosts) -> None:
    here.says("pve1", f"iscsiadm -m discovery -t st -p {PORTALS[0]}")
    here.says("pve1", f"iscsiadm -m node -T {IQN} --login")
    assert here.says("pve1", "iscsiadm -m session") == (
        f"tcp: [1] {PORTALS[0]}:3260,1 {IQN} (non-flash)\n"
        f"tcp: [2] {PORTALS[1]}:3260,2 {IQN} (non-flash)\n"
    )
    rows = json.loads(here.says("pve1", "lsblk -J -b -d -o NAME,SIZE,VENDOR,TRAN"))
    luns = [row for row in rows["blockdevices"] if row["tran"] == "iscsi"]
    assert {(row["size"], row["vendor"]) for row in luns} == {(100 * 2**30, "TrueNAS ")}
    assert len(luns) == 2
    again = here("pve1", f"iscsiadm -m node -T {IQN} --login")
    assert again.status == 15
    assert "1 session requested, but 1 already present" in again.stderr


def test_the_wwid_is_that_of_the_extent(here: Hosts) -> None:
    wwid = here.log_in("pve1")
    (extent,) = here.array.documents.rows("iscsi.extent").values()
    assert wwid == f"3{extent['naa'][2:]}"


def test_chap_is_asked_for_and_must_be_right(here: Hosts) -> None:
    user = {"id": 1, "tag": 7, "user": "pve", "secret": "correct-horse", "peeruser": ""}
    here.array.documents.rows("iscsi.auth")[1] = user
    (target,) = here.array.documents.rows("iscsi.target").values()
    groups = [{**group, "authmethod": "CHAP", "auth": 7} for group in target["groups"]]
    _change(here.array, "iscsi.target", groups=groups)
    here.says("pve1", f"iscsiadm -m discovery -t st -p {PORTALS[0]}")
    assert here("pve1", f"iscsiadm -m node -T {IQN} --login").status == 24
    update = f"iscsiadm -m node -T {IQN} -o update -n node.session.auth"
    here.says("pve1", f"{update}.authmethod -v CHAP && {update}.username -v pve")
    here.says("pve1", f"{update}.password -v wrong-horse-1")
    refused = here("pve1", f"iscsiadm -m node -T {IQN} --login")
    assert "(24 - iSCSI login failed due to authorization failure)" in refused.stderr
    here.says("pve1", f"{update}.password -v correct-horse")
    here.says("pve1", f"iscsiadm -m node -T {IQN} --login")
    shown = here.says("pve1", f"iscsiadm -m node -T {IQN} -p {PORTALS[0]}")
    assert "node.session.auth.password = ********\n" in shown


def test_an_array_that_is_off_or_silent_or_stopped_is_not_reached(here: Hosts) -> None:
    discover = f"iscsiadm -m discovery -t st -p {PORTALS[0]}"
    rows = here.array.documents.rows("service")
    stopped = here.fork()
    for identity, row in rows.items():
        stopped.array.documents.rows("service")[identity] = {**row, "state": "STOPPED"}
    refused = stopped("pve1", discover)
    assert (refused.status, "Connection refused" in refused.stderr) == (4, True)
    here.says("pve1", discover)
    here.fail("fail-nas nas1")
    assert here("pve1", discover).status == 4
    login = here("pve1", f"iscsiadm -m node -T {IQN} --login")
    assert login.status == 8
    assert "(8 - connection timed out)" in login.stderr


def test_one_map_is_made_of_both_paths_once_the_wwid_is_known(here: Hosts) -> None:
    here.says("pve1", f"iscsiadm -m discovery -t st -p {PORTALS[0]}")
    here.says("pve1", f"iscsiadm -m node -T {IQN} --login")
    assert _maps(here, "pve1") == []  # find_multipaths strict
    wwid = here.says("pve1", "/lib/udev/scsi_id -g -u -d /dev/sdb").strip()
    assert here.says("pve1", f"multipath -a {wwid}") == f"wwid '{wwid}' added\n"
    assert f"/{wwid}/" in here.says("pve1", "cat /etc/multipath/wwids")
    here.says("pve1", "multipathd reconfigure")
    (found,) = _maps(here, "pve1")
    assert (found["name"], found["uuid"], found["paths"]) == (wwid, wwid, 2)
    assert here.says("pve1", f"readlink -f /dev/disk/by-id/scsi-{wwid}") == (
        f"/dev/{found['sysfs']}\n"
    )


def test_an_alias_and_a_policy_come_from_the_configuration(here: Hosts) -> None:
    wwid = here.log_in("pve1")
    here.says(
        "pve1",
        "tee /etc/multipath.conf",
        "defaults { \n find_multipaths strict\n}\n"
        'devices {\n device {\n vendor "TrueNAS|FreeNAS"\n product "iSCSI Disk"\n'
        " path_grouping_policy multibus\n no_path_retry queue\n }\n}\n"
        f'multipaths {{\n multipath {{\n wwid "{wwid}"\n alias group1\n }}\n}}\n',
    )
    assert _maps(here, "pve1")[0]["name"] == wwid  # not read yet
    here.says("pve1", "systemctl reload multipathd")
    (found,) = _maps(here, "pve1")
    assert (found["name"], found["queueing"]) == ("group1", "on")
    assert here.says("pve1", "multipath -ll").splitlines()[:3] == [
        f"group1 ({wwid}) {found['sysfs']} TrueNAS,iSCSI Disk",
        "size=100G features='1 queue_if_no_path' hwhandler='0' wp=rw",
        "`-+- policy='service-time 0' prio=2 status=active",
    ]


def test_a_dead_path_is_failed_when_the_host_has_noticed(here: Hosts) -> None:
    here.log_in("pve1")
    here.fail("fail-switch sw1", wait_s=1)
    assert _maps(here, "pve1")[0]["paths"] == 2
    here.wait(20)
    assert _maps(here, "pve1")[0]["paths"] == 1
    assert "failed faulty running" in here.says("pve1", "multipath -ll")


def test_a_volume_group_made_on_one_node_is_seen_by_all(here: Hosts) -> None:
    wwid = here.log_in("pve1", "pve2")
    assert _groups(here, "pve2") == ["pve"]
    made = here.says("pve1", f"vgcreate --addtag x -- group1 /dev/mapper/{wwid}")
    assert made == (
        f'  Physical volume "/dev/mapper/{wwid}" successfully created.\n'
        '  Volume group "group1" successfully created\n'
    )
    assert _groups(here, "pve2") == ["group1", "pve"]
    assert _groups(here, "pve3") == ["pve"]  # it is not logged in
    refused = here("pve2", f"vgcreate group1 /dev/mapper/{wwid}")
    assert refused == (5, "", "  A volume group called group1 already exists.\n")


def test_a_report_shows_what_is_selected_by_one_value(here: Hosts) -> None:
    wwid = here.log_in("pve1", "pve2")
    here.says("pve1", f"vgcreate group1 /dev/mapper/{wwid}")
    asked = "pvs --noheadings -o vg_name -S vg_name"
    assert here.says("pve2", f"{asked}=group1 -- /dev/mapper/{wwid}") == "  group1\n"
    assert here.says("pve2", f"{asked}=group2 -- /dev/mapper/{wwid}") == ""
    assert here("pve2", f"{asked}=~group")[0] == 3


def test_a_path_below_a_map_is_not_for_lvm(here: Hosts) -> None:
    here.log_in("pve1")
    refused = here("pve1", "pvcreate /dev/sdb")
    assert refused == (5, "", "  Cannot use /dev/sdb: device is a multipath component\n")


def test_a_signature_keeps_lvm_away(here: Hosts) -> None:
    here.says("bak1", "mkfs.xfs /dev/sdb")
    refused = here("bak1", "vgcreate data /dev/sdb")
    assert refused.status == 5
    assert "xfs signature detected on /dev/sdb" in refused.stderr
    assert here.says("bak1", "blkid -o value -s TYPE /dev/sdb") == "xfs\n"


def test_a_lun_grows_when_its_hosts_look_again(here: Hosts) -> None:
    wwid = here.log_in("pve1")
    here.says("pve1", f"vgcreate group1 /dev/mapper/{wwid}")
    name, zvol = next(
        (n, d) for n, d in here.array.documents.datasets.items() if d.type == "VOLUME"
    )
    properties = {**zvol.properties, "volsize": str(200 * 2**30)}
    here.array.documents.datasets[name] = type(zvol)("VOLUME", properties)
    here.says("pve1", "iscsiadm -m session --rescan")
    here.says("pve1", f"multipathd resize map {wwid}")
    size = "vgs --noheadings --units g --nosuffix -o vg_size group1"
    assert here.says("pve1", size) == "  100.00\n"
    here.says("pve1", f"pvresize /dev/mapper/{wwid}")
    assert here.says("pve1", size) == "  200.00\n"


def test_an_extent_that_is_taken_away_leaves_failed_paths(here: Hosts) -> None:
    here.log_in("pve1")
    here.array.documents.rows("iscsi.targetextent").clear()
    here.array.documents.changed()
    assert _maps(here, "pve1")[0]["paths"] == 0


def test_logging_out_is_not_refused_and_takes_the_group_away(here: Hosts) -> None:
    wwid = here.log_in("pve1")
    here.says("pve1", f"vgcreate group1 /dev/mapper/{wwid}")
    here.says("pve1", f"iscsiadm -m node -T {IQN} -p {PORTALS[0]} --logout")
    assert _groups(here, "pve1") == ["group1", "pve"]
    here.says("pve1", f"iscsiadm -m node -T {IQN} --logout")
    assert _groups(here, "pve1") == ["pve"]
    assert _maps(here, "pve1") == []


def test_a_record_in_use_is_not_deleted(here: Hosts) -> None:
    here.log_in("pve1")
    refused = here("pve1", f"iscsiadm -m node -T {IQN} -o delete")
    assert refused.status == 15
    assert "but a session is using it" in refused.stderr
    here.says("pve1", f"iscsiadm -m node -T {IQN} --logout")
    here.says("pve1", f"iscsiadm -m node -T {IQN} -o delete")
    assert here("pve1", "iscsiadm -m node").status == 21


def test_a_map_under_volumes_in_use_is_not_flushed(here: Hosts) -> None:
    wwid = here.log_in("pve1")
    here.says("pve1", f"vgcreate group1 /dev/mapper/{wwid} && lvcreate -n v -L 1g group1")
    assert here("pve1", f"multipath -f {wwid}") == (1, "", f"{wwid}: map in use\n")


def test_a_loaded_lab_has_its_groups_and_the_volumes_of_its_guests() -> None:
    here = hosts(loaded=True)
    assert _groups(here, "pve1") == _groups(here, "pve3") == ["lun", "pve"]
    assert [each["paths"] for each in _maps(here, "pve1")] == [2]


def test_after_a_restart_only_automatic_records_are_logged_in_again(here: Hosts) -> None:
    here.log_in("pve1")
    here.says(
        "pve1", f"iscsiadm -m node -T {IQN} -p {PORTALS[1]} -o update -n node.startup -v automatic"
    )
    here.fail("fail-node pve1@0s..10s", wait_s=400)
    assert here.says("pve1", "iscsiadm -m session") == (
        f"tcp: [1] {PORTALS[1]}:3260,2 {IQN} (non-flash)\n"
    )
    assert _maps(here, "pve1")[0]["paths"] == 1
