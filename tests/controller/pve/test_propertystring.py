"""Property strings: what the API leaves out is understood, and a change keeps what is beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.pve.propertystring import apply, change, parse, write
from lab.errors import Refused

WORD = st.text("abcdefgh0123456789-_", min_size=1, max_size=8)
SETTINGS = st.dictionaries(st.sampled_from(["alpha", "beta", "gamma"]), WORD)


@pytest.mark.parametrize(
    ("name", "text", "settings"),
    [
        (
            "net0",
            "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=10",
            {"model": "virtio", "macaddr": "BC:24:11:00:00:01", "bridge": "vmbr0", "tag": "10"},
        ),
        ("net1", "e1000-82540em", {"model": "e1000-82540em"}),
        ("net1", "model=virtio,bridge=vmbr0", {"model": "virtio", "bridge": "vmbr0"}),
        ("scsi0", "vm:vm-101-disk-0,size=4M", {"file": "vm:vm-101-disk-0", "size": "4M"}),
        ("sata1", "volume=a:b,ssd=1", {"file": "a:b", "ssd": "1"}),
        ("memory", 2048, {"current": "2048"}),
        ("agent", "1,fstrim_cloned_disks=1", {"enabled": "1", "fstrim_cloned_disks": "1"}),
        ("migration", {"type": "secure"}, {"type": "secure"}),
        ("prune-backups", {"keep-last": "4"}, {"keep-last": "4"}),
        ("prune-backups", None, {}),
        ("prune-backups", "", {}),
    ],
)
def test_what_the_api_leaves_out_is_understood(
    name: str, text: object, settings: dict[str, str]
) -> None:
    assert parse(name, text) == settings


def test_a_card_keeps_its_mac_and_its_other_settings_when_its_vlan_changes() -> None:
    now = "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,queues=4,tag=10"

    changed = apply("net0", change("net0", {"tag": "20", "firewall": ""}), now)

    assert changed == "virtio=BC:24:11:00:00:01,bridge=vmbr0,queues=4,tag=20"


def test_a_card_keeps_its_mac_when_its_model_changes() -> None:
    changed = apply("net0", change("net0", {"model": "e1000"}), "virtio=BC:24:11:00:00:01")

    assert changed == "e1000=BC:24:11:00:00:01"


def test_a_disk_stays_the_same_volume_when_a_setting_changes() -> None:
    now = "vm:vm-101-disk-0,iothread=1,size=32G"

    changed = apply("scsi0", change("scsi0", {"discard": "on"}), now)

    assert changed == "vm:vm-101-disk-0,discard=on,iothread=1,size=32G"


def test_a_migration_network_comes_with_the_type_that_the_format_asks_for() -> None:
    text = change("migration", {"network": "10.0.0.0/24"})

    assert apply("migration", text, None) == "secure,network=10.0.0.0/24"
    assert apply("migration", text, {"type": "insecure"}) == "insecure,network=10.0.0.0/24"


def test_a_string_of_which_everything_goes_is_empty() -> None:
    text = change("prune-backups", {"keep-last": "", "keep-daily": ""})

    assert apply("prune-backups", text, "keep-last=3") == ""
    assert apply("migration", change("migration", {"network": ""}), None) == ""


def test_keeping_all_backups_and_keeping_some_exclude_each_other() -> None:
    some = change("prune-backups", {"keep-last": "4"})
    everything = change("prune-backups", {"keep-all": "1"})

    assert apply("prune-backups", some, "keep-all=1") == "keep-last=4"
    assert apply("prune-backups", everything, "keep-daily=7,keep-last=4") == "keep-all=1"


@pytest.mark.parametrize("value", ["vmbr0,tag=5", "a\nb"])
def test_a_value_that_would_be_read_as_more_than_one_is_refused(value: str) -> None:
    with pytest.raises(Refused, match="comma or a line break"):
        change("net0", {"bridge": value})


@given(SETTINGS)
def test_what_is_written_is_read_back(settings: dict[str, str]) -> None:
    assert parse("anything", write("anything", settings)) == settings


@given(SETTINGS, SETTINGS)
def test_a_change_sets_what_it_says_and_leaves_the_rest(
    now: dict[str, str], changes: dict[str, str]
) -> None:
    made = apply("anything", change("anything", changes), write("anything", now))

    assert parse("anything", made) == now | changes
