"""The privileges that `install.md` asks for are enough, and an auditor sees everything."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from controller.devices import Device
from controller.execute import execute
from controller.journal import Journal
from controller.linux.family import LinuxFamily
from controller.observe import observe
from controller.placing import place_new
from controller.planning import EVERYTHING, plan_changes, wanted_things
from controller.pve import KINDS, connect, context
from controller.rehearsal import TwinClock
from controller.secrets import Vault, rehearsed
from controller.stage import empty_stage
from controller.truenas.family import NasFamily
from lab.load import load_tree
from simulator.pve.api import PveApi
from simulator.served.inprocess import TwinAdapter
from simulator.twin import Twin
from tests.docs.stages import HERE

USER, TOKEN, SECRET = "vlab@pve", "controller", "made-up"


def told() -> str:
    """The privileges of the role that the document makes."""
    text = (HERE / "docs/how-to/install.md").read_text()
    (found,) = re.findall(r'pveum role add Vlab --privs "([^"]+)"', text)
    return str(found)


def logged_in(twin: Twin, role: str, privileges: str) -> Sequence[Device]:
    """Its clusters by a token whose user has this role on everything."""
    clock = TwinClock(twin)
    found = []
    for cluster in twin.model.lab.clusters:
        api = twin.devices[f"pve/{cluster}"]
        assert isinstance(api, PveApi)
        api.documents.users[USER] = {"enable": 1, "expire": 0}
        if privileges:
            api.documents.roles[role] = {"privs": ",".join(privileges.split())}
        api.documents.acl["/", "user", USER, role] = 1
        api.add_token(f"{USER}!{TOKEN}", SECRET)
        port = connect(
            api.name,
            twin.model.nodes[cluster],
            user=USER,
            token_name=TOKEN,
            token=SECRET,
            clock=clock,
            adapter=TwinAdapter(twin),
        )
        found.append(Device(api.name, port, KINDS, context))
    return found


@pytest.mark.parametrize(("without", "enough"), [("", True), ("VM.PowerMgmt SDN.Use", False)])
def test_with_the_privileges_that_are_told_the_lab_is_made(without: str, enough: bool) -> None:
    lab = load_tree(HERE / "desired-state")
    twin = empty_stage(lab)
    privileges = [each for each in told().split() if each not in without.split()]
    clock = TwinClock(twin)
    below = [
        device
        for family in (NasFamily(), LinuxFamily())
        for device in family.served(twin, clock, Vault(rehearsed))
    ]
    devices = [*below, *logged_in(twin, "Vlab", " ".join(privileges))]
    named = wanted_things(lab, {device.name: device.kinds for device in devices})
    observed = place_new(lab, observe(devices, clock, named=named))
    plan = plan_changes(lab, observed, {}, "made", approve=EVERYTHING)
    outcome = execute(plan, devices, Journal(), clock)
    assert outcome.done is enough, [result.reason for result in outcome.results if result.reason]


def test_an_auditor_sees_everything() -> None:
    twin = empty_stage(load_tree(HERE / "desired-state"))
    observed = observe(logged_in(twin, "PVEAuditor", ""), TwinClock(twin))
    assert not observed.unknown
    assert not observed.doubtful
    assert observed.things
