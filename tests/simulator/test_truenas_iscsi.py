"""The array's iSCSI: what may be made of what, what is refused, what it lets through."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.truenas.errors import CallError, Invalid
from tests.simulator.array import ADDRESSES, GIB, Array, array, chain

VERSIONS = ("11.3", "13.0", "25.04", "25.10", "26.0")


def refused(here: Array, method: str, *params: object) -> list[tuple[str, str]]:
    """Attribute and text of each problem."""
    with pytest.raises(Invalid) as caught:
        here(method, *params)
    return [(attribute, text) for attribute, text, _ in caught.value.problems]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lun_is_built_from_a_volume_and_hosts_log_in(version: str) -> None:
    here = array(version)
    assert here.problem() == "nas1 LUN 0 is not offered to pve1"
    chain(here)
    assert here.problem() == ""
    rows = here("iscsi.global.sessions")
    assert len(rows) == 6
    assert {row["target"] for row in rows} == {"iqn.2005-10.org.freenas.ctl:t"}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_extent_gets_an_identity_for_life(version: str) -> None:
    here = array(version)
    made = chain(here)
    extent = here("iscsi.extent.get_instance", made["extent"])
    assert extent["naa"].startswith("0x6589cfc000000")
    assert len(extent["naa"]) == 2 + 32
    assert len(extent["serial"]) == 15
    changed = here("iscsi.extent.update", made["extent"], {"comment": "x"})
    assert (changed["naa"], changed["serial"]) == (extent["naa"], extent["serial"])
    assert changed["path"] == changed["disk"] == "zvol/tank/z"


def test_the_same_seed_draws_the_same_identity_and_another_one_not() -> None:
    one, same, other = array(), array(), array()
    other.api.seed = 1
    drawn = []
    for here in (one, same, other):
        ids = chain(here)
        drawn.append(here("iscsi.extent.get_instance", ids["extent"])["serial"])
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("listen", "problem"),
    [
        ([], "At least one listen address is required."),
        ([{"ip": "10.9.9.9"}], "IP 10.9.9.9 not configured on this system."),
        ([{"ip": ADDRESSES[0]}], f"{ADDRESSES[0]} already in use."),
        ([{"ip": ADDRESSES[1]}] * 2, f"{ADDRESSES[1]} already in use."),
    ],
)
def test_a_portal_listens_on_own_addresses_that_are_free(
    listen: list[dict[str, str]], problem: str
) -> None:
    here = array()
    here("iscsi.portal.create", {"listen": [{"ip": ADDRESSES[0]}]})
    ((attribute, text),) = refused(here, "iscsi.portal.create", {"listen": listen})
    assert attribute.startswith("iscsiportal_create.listen")
    assert text == problem


def test_tags_of_portals_are_renumbered_so_they_identify_nothing() -> None:
    here = array()
    made = [here("iscsi.portal.create", {"listen": [{"ip": ip}]})["id"] for ip in ADDRESSES]
    here("iscsi.portal.delete", made[0])
    (left,) = here("iscsi.portal.query")
    assert (left["id"], left["tag"]) == (made[1], 1)


def test_the_port_is_a_portals_before_scale_and_the_arrays_since() -> None:
    old, new = array("13.0"), array("25.10")
    listen = [{"ip": ADDRESSES[0], "port": 3261}]
    assert old("iscsi.portal.create", {"listen": listen})["listen"] == listen
    ((attribute, text),) = refused(new, "iscsi.portal.create", {"listen": listen})
    assert attribute == "iscsi_portal_create.listen.0.port"
    assert text == "Extra inputs are not permitted"
    new("iscsi.global.update", {"listen_port": 3261})
    made = new("iscsi.portal.create", {"listen": [{"ip": ADDRESSES[0]}]})
    assert made["listen"] == listen


@pytest.mark.parametrize(
    ("data", "attribute"),
    [
        ({"name": "Upper"}, "name"),
        ({"name": "t"}, "name"),
        ({"name": "x", "groups": [{"portal": 99}]}, "groups.0.portal"),
        ({"name": "x", "groups": [{"portal": 1}, {"portal": 1}]}, "groups.1.portal"),
        ({"name": "x", "groups": [{"portal": 1, "initiator": 99}]}, "groups.0.initiator"),
        ({"name": "x", "groups": [{"portal": 1, "authmethod": "CHAP"}]}, "groups.0.auth"),
        (
            {"name": "x", "groups": [{"portal": 1, "authmethod": "CHAP", "auth": 9}]},
            "groups.0.auth",
        ),
        ({"name": "x", "mode": "FC"}, "mode"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(data: dict[str, Any], attribute: str) -> None:
    here = array()
    chain(here)
    ((where, _),) = refused(here, "iscsi.target.create", data)
    assert where == f"iscsi_target_create.{attribute}"


def test_chap_secrets_have_12_to_16_characters_and_the_peers_differs() -> None:
    here = array()
    good = {"tag": 1, "user": "host", "secret": "twelve-chars"}
    short, same = (
        {**good, "secret": "short"},
        {**good, "peeruser": "nas", "peersecret": good["secret"]},
    )
    assert refused(here, "iscsi.auth.create", short)[0][0] == "iscsi_auth_create.secret"
    assert refused(here, "iscsi.auth.create", same)[0][0] == "iscsi_auth_create.peersecret"
    blanks = {**good, "secret": " twelve-chars"}
    assert refused(here, "iscsi.auth.create", blanks)[0][0] == "iscsi_auth_create.secret"
    here("iscsi.auth.create", good)
    portal = here("iscsi.portal.create", {"listen": [{"ip": ADDRESSES[0]}]})["id"]
    group = {"portal": portal, "authmethod": "CHAP_MUTUAL", "auth": 1}
    ((where, _),) = refused(here, "iscsi.target.create", {"name": "t", "groups": [group]})
    assert where == "iscsi_target_create.groups.0.authmethod"
    here("iscsi.target.create", {"name": "t", "groups": [{**group, "authmethod": "CHAP"}]})
    with pytest.raises(CallError, match="is being used by target"):
        here("iscsi.auth.delete", here("iscsi.auth.query")[0]["id"])


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"name": "t", "disk": "zvol/tank/y"}, "name", "unique"),
        ({"name": "u", "disk": "zvol/tank/z"}, "disk", "in use by extent t"),
        ({"name": "u", "disk": "zvol/tank/none"}, "disk", "does not exist"),
        ({"name": "u", "disk": "zvol/tank"}, "disk", "does not exist"),
        ({"name": "u"}, "disk", "required"),
        ({"name": "u", "disk": "zvol/tank/y", "serial": "x" * 21}, "serial", "exceed 20"),
        ({"name": "u", "type": "FILE", "path": "/tmp/x", "filesize": 512}, "path", "pool"),
        (
            {"name": "u", "type": "FILE", "path": "/mnt/tank/x", "filesize": 513},
            "filesize",
            "block",
        ),
    ],
)
def test_an_extent_that_makes_no_sense_is_refused(
    data: dict[str, Any], attribute: str, text: str
) -> None:
    here = array()
    chain(here)
    here.volume("tank/y", GIB)
    ((where, why),) = refused(here, "iscsi.extent.create", data)
    assert where == f"iscsi_extent_create.{attribute}"
    assert text in why


def test_names_that_differ_only_in_odd_characters_are_the_same_to_the_daemon() -> None:
    here = array()
    for name in ("a", "b"):
        here.volume(f"tank/{name}", GIB)
    here("iscsi.extent.create", {"name": "x.1", "disk": "zvol/tank/a"})
    ((where, _),) = refused(here, "iscsi.extent.create", {"name": "x_1", "disk": "zvol/tank/b"})
    assert where == "iscsi_extent_create.name"


def test_an_extent_is_in_one_target_and_a_lun_number_once_in_each() -> None:
    here = array()
    made = chain(here)
    here.volume("tank/y", GIB)
    other = here("iscsi.extent.create", {"name": "y", "disk": "zvol/tank/y"})["id"]
    target = here("iscsi.target.create", {"name": "u"})["id"]
    taken = {"target": target, "extent": made["extent"]}
    ((where, _),) = refused(here, "iscsi.targetextent.create", taken)
    assert where == "iscsi_targetextent_create.extent"
    again = {"target": made["target"], "extent": other, "lunid": 0}
    ((where, _),) = refused(here, "iscsi.targetextent.create", again)
    assert where == "iscsi_targetextent_create.lunid"
    free = here("iscsi.targetextent.create", {"target": made["target"], "extent": other})
    assert free["lunid"] == 1


@pytest.mark.parametrize("kind", ["target", "extent", "lun"])
def test_what_a_host_is_logged_in_to_is_deleted_only_by_force(kind: str) -> None:
    here = array()
    made = chain(here)
    method = f"iscsi.{'targetextent' if kind == 'lun' else kind}.delete"
    forced = [made[kind], False, True] if kind == "extent" else [made[kind], True]
    with pytest.raises(CallError, match="in use"):
        here(method, made[kind])
    assert here.problem() == ""
    assert here(method, *forced) is True
    assert here.problem() == "nas1 LUN 0 is not offered to pve1"
    assert here("iscsi.targetextent.query") == []


def test_an_array_without_logins_lets_everything_go() -> None:
    here = array()
    made = chain(here)
    here("service.control", "STOP", "iscsitarget")
    here.wait(5)
    assert here("iscsi.global.sessions") == []
    assert here("iscsi.target.delete", made["target"]) is True
    assert here("iscsi.targetextent.query") == []


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("iscsi.extent.update", {"enabled": False}),
        ("iscsi.target.update", {"groups": []}),
    ],
)
def test_taking_a_lun_from_hosts_by_an_update_is_not_refused(
    method: str, change: dict[str, object]
) -> None:
    here = array()
    made = chain(here)
    here(method, made[method.split(".")[1]], change)
    assert here.problem() == "nas1 LUN 0 is not offered to pve1"


def test_deleting_an_initiator_group_in_use_lets_everybody_in() -> None:
    here = array()
    made = chain(here)
    here("iscsi.initiator.update", made["initiator"], {"initiators": ["iqn.2000-01.x:nobody"]})
    assert here.problem() == "nas1 LUN 0 is not offered to pve1"
    assert here("iscsi.initiator.delete", made["initiator"]) is True
    assert here("iscsi.target.query")[0]["groups"][0]["initiator"] is None
    here.wait(30)
    assert here.problem() == ""


def test_deleting_a_volume_takes_extent_target_and_sessions_with_it() -> None:
    here = array()
    chain(here)
    (attached,) = here("pool.dataset.attachments", "tank/z")
    assert attached == {"type": "iSCSI Extent", "service": "iscsitarget", "attachments": ["t"]}
    assert here("pool.dataset.delete", "tank/z") is True
    for namespace in ("target", "extent", "targetextent"):
        assert here(f"iscsi.{namespace}.query") == []
    assert here.problem() == "nas1 LUN 0 is not offered to pve1"


def test_unknown_objects_are_enoent() -> None:
    here = array()
    for method in ("iscsi.target.get_instance", "iscsi.extent.delete", "iscsi.portal.delete"):
        with pytest.raises(CallError) as caught:
            here(method, 99)
        assert caught.value.number == 2


def test_a_path_is_lost_when_a_portal_goes_and_the_other_one_carries_on() -> None:
    here = array()
    made = chain(here)
    here("iscsi.portal.delete", made["portal"])
    assert len(here("iscsi.target.query")[0]["groups"]) == 1
    assert here.problem() == ""
    assert len(here("iscsi.global.sessions")) == 3
    assert any(event.kind == "path-lost" for event in here.twin.trace)


@pytest.mark.parametrize(
    ("method", "params", "back"),
    [
        ("iscsi.global.update", [{"basename": "iqn.2020-01.x:y"}], "iqn.2005-10.org.freenas.ctl"),
        ("iscsi.global.update", [{"listen_port": 3261}], 3260),
        ("iscsi.target.update", [1, {"name": "renamed"}], "t"),
    ],
)
def test_a_target_renamed_under_its_hosts_is_lost_to_them(
    method: str, params: list[Any], back: object
) -> None:
    here = array()
    chain(here)
    here(method, *params)
    lost = "nas1 LUN 0: pve1 asks for iqn.2005-10.org.freenas.ctl:t port 3260"
    assert here.problem() == f"{lost}, which nas1 has no more"
    assert here("iscsi.global.sessions") == []
    (name,) = params[-1]
    here(method, *params[:-1], {name: back})
    assert here.problem() == ""


def test_a_host_that_starts_anew_finds_a_renamed_target() -> None:
    here = array()
    chain(here)
    here("iscsi.target.update", 1, {"name": "renamed"})
    here.fail("fail-node pve1@0s..10s")
    here.wait(600)
    assert here.problem(node="pve1") == ""
    assert here.problem(node="pve2") != ""


@pytest.mark.parametrize(
    ("version", "said"),
    [("13.0", "Target name already exists"), ("25.10", "Target with this name already exists")],
)
def test_a_name_that_is_taken_is_told_in_the_words_of_the_release(version: str, said: str) -> None:
    here = array(version)
    here("iscsi.target.create", {"name": "t"})
    with pytest.raises(Invalid, match=said):
        here("iscsi.target.create", {"name": "t"})
    with pytest.raises(Invalid, match=r"owercase alphanumeric characters plus dot \(\.\)"):
        here("iscsi.target.create", {"name": "T"})
