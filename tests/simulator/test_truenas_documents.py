"""What an array keeps: as declared, as read from another, and in a fork."""

from __future__ import annotations

import pytest

from simulator.declared import declared_array
from simulator.truenas.api import TrueNasApi
from simulator.truenas.catalogue import METHODS
from simulator.truenas.inprocess import InProcess
from simulator.truenas.install import from_answers
from simulator.truenas.served import array_spec
from simulator.twin import Twin
from tests.simulator.array import GIB, PASSWORD, array
from tests.simulator.rack import Tree


@pytest.mark.parametrize("version", ["11.3", "13.0", "25.10"])
def test_a_declared_array_serves_what_the_physics_was_told_before(version: str) -> None:
    here = array(version, full=True)
    assert here.problem() == here.problem("iso") == ""
    assert len(here("iscsi.global.sessions")) == 6


def everything(nas: Tree) -> None:
    """Every word of the language that an array can have."""
    nas["datasets"] = {"tank/home": {"quota": "2GiB", "atime": False, "comment": "people"}}
    nas["zvols"] |= {
        "thin": {"pool": "tank", "size": "8GiB", "sparse": True, "block-size": "64KiB"},
        "hidden": {"pool": "tank", "size": "1GiB", "extent": {"enabled": False, "serial": "77"}},
    }
    nas["portals"]["p2"]["group"] = nas["portals"]["p1"]["group"] = "both"
    nas["initiator-groups"] = {"one": {"nodes": ["pve1"], "names": ["iqn.2000-01.x:y"]}}
    nas["chap"] = {"login": {"tag": 3, "user": "hosts", "secret": "secret://env/CHAP"}}
    nas["targets"]["u"] = {
        "portals": ["p1", "p2"], "initiators": ["pve1", "pve2"], "initiator-group": "one",
        "luns": {"5": "thin", "6": "hidden"}, "chap": "login", "alias": "second",
    }  # fmt: skip
    nas["shares"]["iso"] |= {"networks": ["10.0.103.0/24"], "maproot-user": "root"}
    nas["services"] = {"nfs": {"running": True, "enabled": False}}
    nas["snapshot-tasks"] = {
        "daily": {"dataset": "tank", "schedule": "0 3 * * *", "keep": "2 weeks", "recursive": True}
    }


@pytest.mark.parametrize("version", ["11.3", "13.0", "25.10"])
def test_every_word_of_the_language_is_in_the_documents(version: str) -> None:
    here = array(version, full=True, change=everything)
    assert array_spec(here.api.documents) == declared_array(here.twin.model.lab, "nas1")
    assert [len(row["listen"]) for row in here("iscsi.portal.query")] == [2]
    (first, second) = here("iscsi.target.query")
    assert (len(first["groups"]), second["alias"]) == (1, "second")
    assert (second["groups"][0]["authmethod"], second["groups"][0]["auth"]) == ("CHAP", 3)
    luns = {(row["target"], row["lunid"]) for row in here("iscsi.targetextent.query")}
    assert luns == {(first["id"], 0), (second["id"], 5), (second["id"], 6)}
    hidden = here("iscsi.extent.query", [["name", "=", "hidden"]], {"get": True})
    assert (hidden["enabled"], hidden["serial"]) == (False, "77")
    thin = here("pool.dataset.get_instance", "tank/thin")
    assert (thin["volblocksize"]["parsed"], thin["refreservation"]["parsed"]) == (65536, None)
    home = here("pool.dataset.get_instance", "tank/home")
    assert (home["quota"]["parsed"], home["atime"]["parsed"]) == (2 * GIB, False)
    (share,) = here("sharing.nfs.query")
    assert (share["networks"], share["maproot_user"]) == (["10.0.103.0/24"], "root")
    (task,) = here("pool.snapshottask.query")
    assert (task["lifetime_value"], task["lifetime_unit"]) == (2, "WEEK")
    nfs = here("service.query", [["service", "=", "nfs"]], {"get": True})
    assert (nfs["state"], nfs["enable"]) == ("RUNNING", False)
    by_target: dict[str, int] = {}
    for row in here("iscsi.global.sessions"):
        name = row["target"].rpartition(":")[2]
        by_target[name] = by_target.get(name, 0) + 1
    assert by_target == {"t": 6, "u": 2}


@pytest.mark.parametrize("version", ["11.3", "13.0", "25.10"])
def test_documents_from_answers_give_these_answers(version: str) -> None:
    here = array(version, full=True, change=everything)
    here("pool.dataset.create", {"name": "tank/x", "comments": "c", "compression": "OFF"})
    queries = [
        name
        for name, method in METHODS.items()
        if method.verb in ("query", "config")
        and here.api.version.has(method.span)
        and method.namespace not in ("api_key", "disk", "interface")
    ]
    answers = {name: here(name) for name in queries}
    again = TrueNasApi("nas1", from_answers(answers, here.api.version), here.api.version)
    again.set_password(again.version.administrator, PASSWORD)
    here.twin.attach(again)
    client = InProcess(here.twin, "nas1", user=again.version.administrator, password=PASSWORD)
    for name in queries:
        assert client.call(name) == answers[name], name
    assert here.problem() == here.problem("iso") == ""


@pytest.mark.parametrize("silent", ["iscsi.extent", "iscsi.target", "iscsi.portal", "pool.dataset"])
def test_what_was_not_observed_is_not_offered_and_breaks_nothing(silent: str) -> None:
    here = array("13.0", full=True)
    names = ("portal", "initiator", "target", "extent", "targetextent")
    asked = {f"iscsi.{name}" for name in names} | {"service", "pool", "pool.dataset"}
    answers = {f"{name}.query": here(f"{name}.query") for name in asked - {silent}}
    again = TrueNasApi("nas1", from_answers(answers, here.api.version), here.api.version)
    again.set_password("root", PASSWORD)
    here.twin.attach(again)
    client = InProcess(here.twin, "nas1", user="root", password=PASSWORD)
    assert client.call("iscsi.global.sessions") == []
    assert here.problem() == "nas1 LUN 0 is not offered to pve1"


def trace(twin: Twin) -> list[str]:
    return [str(event) for event in twin.trace]


def test_a_fork_goes_on_as_its_original_and_leaves_it_alone() -> None:
    here = array(full=True)
    here("service.control", "RESTART", "iscsitarget")
    fork = here.twin.fork()
    twin = InProcess(fork, "nas1", here.key)
    for client, world in ((here.client, here.twin), (twin, fork)):
        client.call("iscsi.extent.update", 1, {"enabled": False})
        client.call("pool.dataset.create", {"name": "tank/new"})
        world.run_until(100)
    assert trace(here.twin) == trace(fork)
    assert here("iscsi.extent.query") == twin.call("iscsi.extent.query")
    assert here("core.get_jobs") == twin.call("core.get_jobs")
    twin.call("iscsi.extent.delete", 1)
    assert here("iscsi.extent.query", [], {"count": True}) == 1


def test_rehearsing_the_loss_of_an_extent_shows_the_outage_and_the_original_goes_on() -> None:
    here = array(full=True)
    stage = here.twin.fork()
    InProcess(stage, "nas1", here.key).call("iscsi.extent.delete", 1, False, True)
    stage.run_until(1)
    assert stage.state.guests["a", 201].stalled == "nas1 LUN 0 is not offered to pve1"
    here.wait(1)
    assert not here.twin.state.guests["a", 201].stalled
