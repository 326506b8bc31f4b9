"""A lab through the year: what administrators change, one commit after another."""

from __future__ import annotations

from controller.execute import execute
from controller.rehearsal import TwinClock
from controller.step import Rest
from simulator.guests import place
from simulator.pve.documents import GuestConfig
from tests.controller.pve.lives import MINE, declared, life

HA_GUEST = f"cluster: a, ha: {{}}, {MINE}"


def crew(**more: str) -> str:
    """Luffy and Zoro under HA, with what is said of each."""
    vmids = {"luffy": 101, "zoro": 102}
    entries = [f"{n}: {{vmid: {vmids[n]}, {HA_GUEST}{more.get(n, '')}}}" for n in vmids]
    return f"guests: {{{', '.join(entries)}}}"


def rule(name: str, *guests: str, says: str = "") -> str:
    """A rule for nodes, unless it says something else."""
    how = says or "type: node-affinity, nodes: {pve2: 0}"
    return f"{name}: {{cluster: a, guests: [{', '.join(guests)}], {how}, {MINE}}}"


def rules(*entries: str) -> str:
    return f"ha-rules: {{{', '.join(entries)}}}"


def test_of_other_peoples_things_the_plan_says_which_can_be_adopted() -> None:
    lived = life(declared("groups: {g1: {}}"))
    lived.api.documents.guests[900] = GuestConfig("lxc", {"hostname": "theirs"})
    lived.api.sync(lived.twin)
    place(lived.twin, ("a", 900), "pve1")
    lived.by_hand(Rest("POST", "/access/groups", {"groupid": "theirs"}))
    notes = {n.subject: n.text for n in lived.plan(declared("")).notes if n.kind == "foreign"}
    assert notes["pve/a container"] == "1 not declared: left alone; no word says them"
    assert notes["pve/a group"].endswith("`vlab adopt` writes them as desired state")


def test_a_rule_gets_another_name() -> None:
    lived = life(declared(crew()))
    assert lived.become(declared(crew(), rules(rule("near", "luffy")))) == []
    assert lived.become(declared(crew(), rules(rule("close", "luffy")))) == []
    assert [*lived.api.documents.ha_rules] == ["close"]


def test_a_guest_goes_from_a_rule_to_another_whichever_is_first() -> None:
    lived = life(declared(crew()))
    for holder in ("aa", "bb", "aa", "cc"):
        assert lived.become(declared(crew(), rules(rule(holder, "luffy")))) == []
    for holder, other in (("dd", "cc"), ("cc", "dd")):
        said = rules(rule(holder, "luffy"), rule(other, "zoro"))
        alone = rules(rule(other, "zoro"), rule(holder, "luffy"))
        assert lived.become(declared(crew(), rules(rule("cc", "luffy", "zoro")))) == []
        assert lived.become(declared(crew(), said)) == []
        assert lived.become(declared(crew(), alone)) == []


def test_guests_that_were_together_are_apart_by_another_rule() -> None:
    tied = "type: resource-affinity, affinity: "
    together = rule("bb", "luffy", "zoro", says=f"{tied}positive")
    apart = rule("aa", "luffy", "zoro", says=f"{tied}negative")
    lived = life(declared(crew()))
    assert lived.become(declared(crew(), rules(together))) == []
    assert lived.become(declared(crew(), rules(apart))) == []


def test_two_rules_that_take_each_others_guests_say_so_and_taking_one_out_helps() -> None:
    before = rules(rule("aa", "luffy"), rule("bb", "zoro"))
    after = rules(rule("aa", "zoro"), rule("bb", "luffy"))
    lived = life(declared(crew()))
    assert lived.become(declared(crew(), before)) == []
    assert [note.split()[0] for note in lived.become(declared(crew(), after))] == ["cycle"] * 2
    assert lived.become(declared(crew(), rules(rule("aa", "zoro")))) == []
    assert lived.become(declared(crew(), after)) == []


def test_a_rule_of_somebody_else_keeps_its_guest_and_blocks_ours_alone() -> None:
    lived = life(declared(crew()))
    assert lived.become(declared(crew(), rules(rule("theirs", "luffy")))) == []
    lived.owned = {key: had for key, had in lived.owned.items() if key.kind != "ha-rule"}
    (blocked,) = lived.become(declared(crew(zoro=", cores: 2"), rules(rule("ours", "luffy"))))
    assert blocked.endswith("it needs the nodes of vm:101 (which pve/a ha-rule theirs has)")
    assert lived.api.documents.guests[102].future["cores"] in (2, "2")


def test_a_pinned_guest_gets_another_name_and_keeps_its_rule() -> None:
    pinned = crew(luffy=", placement: {pin: [pve1]}")
    lived = life(declared(pinned))
    assert lived.become(declared(pinned)) == []
    assert lived.become(declared(pinned.replace("luffy", "monkey"))) == []
    assert [*lived.api.documents.ha_rules] == ["pin-101"]


def test_a_guest_that_ha_starts_between_plan_and_removal_is_shut_down_first() -> None:
    lived = life(declared(crew()))
    lived.act(declared(crew()))
    plan = lived.plan(declared("groups: {g1: {}}"))
    lived.wait(60)
    outcome = execute(plan, lived.devices(), lived.journal, TwinClock(lived.twin))
    assert [result.reason for result in outcome.results if result.reason] == []
    assert [*lived.api.documents.guests] == []


def test_a_guest_that_is_not_to_be_changed_any_more_may_still_be_allowed_to_go() -> None:
    guest = "guests: {luffy: {vmid: 101, cluster: a, %s}}"
    lived = life(declared(guest % "cores: 2"))
    assert lived.become(declared(guest % "cores: 2, nets: {net0: {vlan: production}}")) == []
    assert lived.become(declared(guest % "cores: 4, manage: [observe, delete]")) == [
        "withheld pve/a vm 101: cores is 2, not 4, nets.net0 is there, and `manage` has no update"
    ]
    lived.wait(60)  # until it runs
    assert lived.become(declared("groups: {g1: {}}")) == []
    assert [*lived.api.documents.guests] == []


PLACES = f"""
storages:
  srv: {{type: dir, clusters: [a], path: /srv, content: [rootdir, images, vztmpl], {MINE}}}
  isos: {{type: dir, clusters: [a], path: /isos, content: [iso, images], {MINE}}}
pools: {{staff: {{{MINE}}}}}
users: {{ana@pve: {{{MINE}}}}}
"""
TEMPLATE = "debian-12-standard_12.7-1_amd64.tar.zst"
IN_USE = (
    Rest("POST", "/nodes/pve2/storage/srv/download-url", {"content": "vztmpl", "filename": TEMPLATE,
                                                          "url": f"https://mirror.example/{TEMPLATE}"}),
    Rest("POST", "/nodes/pve2/lxc", {"vmid": 200, "ostemplate": f"srv:vztmpl/{TEMPLATE}",
                                     "rootfs": "srv:1", "pool": "staff"}),
    Rest("POST", "/nodes/pve1/qemu", {"vmid": 201, "efidisk0": "isos:1"}),
    Rest("POST", "/access/users/ana@pve/token/ci"),
    Rest("PUT", "/access/acl", {"path": "/", "roles": "PVEAuditor", "tokens": "ana@pve!ci"}),
)  # fmt: skip


def test_what_containers_firmware_and_tokens_of_others_need_stays() -> None:
    lived = life(declared(PLACES))
    assert lived.become(declared(PLACES)) == []
    lived.by_hand(*IN_USE)
    assert lived.become(declared("groups: {g1: {}}")) == [
        f"kept pve/a {kept} is there and needs it"
        for kept in (
            "pool staff: pve/a container 200",
            "storage isos: pve/a vm 201",
            "storage srv: pve/a container 200",
            "user ana@pve: pve/a acl / token:ana@pve!ci PVEAuditor",
        )
    ]
