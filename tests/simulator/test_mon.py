"""The monitors of a twin: the commands of an administrator, their refusals, and what follows."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.faults import parse_faults
from simulator.build import twin_of
from simulator.declared import declared_ceph
from simulator.mon.command import Reply
from simulator.mon.install import declared, from_answers, installed
from simulator.mon.load import spec_of
from simulator.mon.monitors import COMMANDS, Monitors, NoQuorum
from simulator.twin import Twin
from tests.controller.ceph.sites import DEVICE, ceph, twin_ask
from tests.simulator.rack import rack

POOL = "pools: {vm: {size: 3, min-size: 2, pgs: 16}}"
MORE = """
rules: {by-osd: {domain: osd}}
flags: [noout, pause]
config: {global: {osd_heartbeat_grace: 9}, mon: {mon_osd_min_in_ratio: 0.5}}
clients: {pve: {caps: {mon: profile rbd}}}
"""


def cluster(*parts: str) -> Twin:
    """A twin whose monitors hold what is declared."""
    twin = twin_of(ceph(*parts))
    monitors = Monitors("a", declared(twin, "a"))
    twin.attach(monitors)
    monitors.sync(twin)
    twin.settle()
    return twin


def monitors_of(twin: Twin) -> Monitors:
    found = twin.devices[DEVICE]
    assert isinstance(found, Monitors)
    return found


def told(twin: Twin, line: str) -> Reply:
    reply = monitors_of(twin).line(twin, line.split())
    twin.settle()
    return reply


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("osd pool set none size 2", errno.ENOENT, "unrecognized pool 'none'"),
        ("osd pool set vm size 11", errno.EINVAL, "pool size must be between 1 and 10"),
        ("osd pool set vm size 1", errno.EPERM, "pass the flag --yes-i-really-mean-it."),
        ("osd pool set vm min_size 4", errno.EINVAL, "which is set to 3"),
        ("osd pool set vm crush_rule none", errno.ENOENT, "crush rule none does not exist"),
        ("osd pool set vm pg_num 100000", errno.ERANGE, "less than or equal to 65536"),
        ("osd pool set vm pg_num 4096", errno.ERANGE, "mon_max_pg_per_osd 250 * num_in_osds 3"),
        ("osd pool set vm colour red", errno.EINVAL, "unrecognized variable 'colour'"),
        ("osd pool delete vm", errno.EPERM, "pass the pool name *twice*"),
        ("osd pool delete vm vm --yes-i-really-really-mean-it", errno.EPERM, "is disabled"),
        ("osd pool create x 8 8 erasure", errno.EOPNOTSUPP, "no erasure-coded pools"),
        ("osd crush rule rm replicated_rule", errno.EBUSY, "is in use"),
        ("osd crush rule create-replicated x default host ssd", errno.EINVAL, "does not exist"),
        ("osd crush set-device-class ssd osd.0", errno.EBUSY, "already bound to class 'hdd'"),
        ("osd set nothing", errno.EINVAL, "unrecognized flag 'nothing'"),
        ("osd out 77", errno.ENOENT, "osd.77 does not exist."),
        ("config set osd no_such_option 1", errno.EINVAL, "unrecognized config option"),
        ("config set nobody osd_max_backfills 1", errno.EINVAL, "unrecognized config target"),
        ("config set osd osd_max_backfills many", errno.EINVAL, "error parsing value"),
        ("auth caps client.none mon profile", errno.ENOENT, "couldn't find entry client.none"),
        ("auth add client.x mon nonsense", errno.EINVAL, "mon capability parse failed"),
        ("make coffee", errno.EINVAL, "no valid command found"),
    ],
)
def test_what_ceph_refuses_is_refused_and_changes_nothing(line: str, code: int, text: str) -> None:
    twin = cluster(POOL)
    before = monitors_of(twin).documents.copy()
    reply = told(twin, line)
    assert (reply.code, text in reply.text) == (-code, True), reply
    assert monitors_of(twin).documents == before


def test_a_change_of_size_sets_min_size_anew() -> None:
    twin = cluster(POOL)
    told(twin, "osd pool set vm size 2")
    assert twin.state.ceph["a"].pools["vm"].min_size == 1
    told(twin, "osd pool set vm size 4")
    assert twin.state.ceph["a"].pools["vm"].min_size == 2


def test_creating_a_pool_that_exists_succeeds_and_changes_nothing() -> None:
    twin = cluster(POOL)
    assert told(twin, "osd pool create vm 128").text == "pool 'vm' already exists"
    assert twin_ask(twin)("osd", "pool", "get", "vm", "pg_num")["pg_num"] == 16


def test_pause_stops_client_io_and_lifting_it_lets_it_go_on() -> None:
    twin = cluster(POOL)
    told(twin, "osd set pause")
    assert twin.state.pools["a/vm"] == "pool vm: the flag pause is set"
    told(twin, "osd unset pause")
    assert twin.state.pools["a/vm"] == ""


def test_noout_keeps_a_dead_osd_in_and_nodown_hides_it() -> None:
    twin = cluster(POOL)
    told(twin, "osd set noout")
    twin.inject(parse_faults(["fail-osd a/0"]))
    twin.run_until(1000)
    osd = twin.state.osds["a/0"]
    assert (osd.up, osd.inside) == (False, True)
    told(twin, "osd unset noout")
    twin.run_until(2000)
    assert not twin.state.osds["a/0"].inside

    hidden = cluster(POOL)
    told(hidden, "osd set nodown")
    hidden.inject(parse_faults(["fail-osd a/0"]))
    hidden.run_until(1000)
    assert hidden.state.osds["a/0"].up
    assert "waits for osd.0" in hidden.state.pools["a/vm"]


def test_options_of_the_store_decide_when_an_osd_is_down_and_out() -> None:
    twin = cluster(POOL)
    told(twin, "config set global osd_heartbeat_grace 4")
    told(twin, "config set mon mon_osd_down_out_interval 30")
    twin.inject(parse_faults(["silence-osd a/0"]))
    twin.run_until(100)
    times = {event.kind: event.at_s for event in twin.trace if event.subject == "osd a/0"}
    assert 4 <= times["osd-down"] <= 9
    assert 30 <= times["osd-out"] - times["osd-down"] <= 35


def test_without_a_quorum_nobody_answers() -> None:
    twin = cluster(POOL)
    twin.inject(parse_faults(["fail-node pve1"]))  # the only monitor's
    twin.run_until(60)
    with pytest.raises(NoQuorum):
        told(twin, "status")


def test_a_pool_of_a_class_does_not_care_for_other_disks() -> None:
    twin = twin_of(rack())
    monitors = Monitors("a", declared(twin, "a"))
    twin.attach(monitors)
    monitors.sync(twin)
    told(twin, "osd crush rm-device-class 0 2 4")
    told(twin, "osd crush set-device-class ssd 0 2 4")
    told(twin, "osd crush rule create-replicated fast default host ssd")
    told(twin, "osd pool set vm crush_rule fast")
    twin.inject(parse_faults(["fail-osd a/1 fail-osd a/3"]))  # a disk of two hosts each
    twin.run_until(twin.now_s + 30)
    assert twin.state.pools["a/vm"] == ""
    twin.inject(parse_faults(["fail-osd a/0 fail-osd a/2"]))
    twin.run_until(twin.now_s + 30)
    assert twin.state.pools["a/vm"] == "pool vm: 1 of 2 copies needed are alive"


def test_health_counts_what_is_down_and_in() -> None:
    twin = cluster(POOL)
    twin.inject(parse_faults(["fail-osd a/0"]))
    twin.run_until(30)
    checks = twin_ask(twin)("health", "detail")["checks"]
    assert list(checks) == ["OSD_DOWN", "OSD_HOST_DOWN", "PG_DEGRADED"]
    assert checks["OSD_DOWN"]["detail"] == [{"message": "osd.0 (root=default,host=pve1) is down"}]
    twin.run_until(700)
    assert list(twin_ask(twin)("health")["checks"]) == ["PG_DEGRADED"]


def test_every_placement_group_has_a_copy_on_each_host_and_tells_the_same_of_an_object() -> None:
    twin = cluster(POOL)
    ask = twin_ask(twin)
    rows = {row["pgid"]: row for row in ask("pg", "dump")["pg_stats"]}
    assert all(sorted(row["up"]) == [0, 1, 2] for id_, row in rows.items() if id_[0] == "2")
    where = ask("osd", "map", "vm", "vm-101-disk-0")
    assert rows[where["pgid"]]["up"] == where["up"]


@pytest.mark.parametrize("parts", [(POOL,), (POOL, MORE)])
def test_monitors_that_hold_what_is_declared_weigh_what_it_weighs(parts: tuple[str, ...]) -> None:
    twin = cluster(*parts)
    spec, wanted = spec_of(monitors_of(twin).site(twin)), declared_ceph(twin.model.lab.ceph["a"])
    assert {name: spec.pools[name] for name in wanted.pools} == wanted.pools
    assert spec.flags == {"noout", "pauserd", "pausewr"} if MORE in parts else not spec.flags
    assert (spec.grace_s, spec.min_in_ratio) == (wanted.grace_s, wanted.min_in_ratio)


def _lasting(text: str) -> Any:
    """An answer without keys, which are made anew, and without the number of the map."""
    answer = json.loads(text)
    for row in answer.get("auth_dump", ()) if isinstance(answer, dict) else ():
        row["key"] = ""
    if isinstance(answer, dict):
        answer.pop("epoch", None)
    return answer


def test_a_cluster_made_from_answers_gives_the_same_answers() -> None:
    twin = cluster(POOL, MORE)
    site = monitors_of(twin).site(twin)
    asked = ("osd pool ls", "osd crush rule dump", "osd tree", "osd dump", "config dump", "auth ls")

    def answers(monitors: Monitors) -> dict[str, Any]:
        found = {}
        for prefix in asked:
            detail = {"detail": "detail"} if prefix == "osd pool ls" else {}
            text = monitors.command(twin, {"prefix": prefix, **detail}).output
            found[prefix] = _lasting(text)
        return found

    first = answers(monitors_of(twin))
    again = Monitors("a", from_answers(twin, "a", first))
    assert answers(again) == first
    assert installed(twin, site.name).pools.keys() == {"device_health_metrics"}


def test_a_fork_has_monitors_of_its_own() -> None:
    twin = cluster(POOL)
    fork = twin.fork()
    told(fork, "osd pool create other 8")
    assert "other" in fork.state.ceph["a"].pools
    assert "other" not in twin.state.ceph["a"].pools
    assert "other" not in monitors_of(twin).documents.pools


@given(st.lists(st.sampled_from(sorted(COMMANDS)), min_size=1, max_size=3), st.data())
def test_no_line_of_words_breaks_the_monitors(prefixes: list[str], data: st.DataObject) -> None:
    words = st.sampled_from(["vm", "a", "2", "--yes-i-really-mean-it", "osd", "client.x", "size"])
    twin = PLAIN.fork()
    for prefix in prefixes:
        line = " ".join([prefix, *data.draw(st.lists(words, max_size=5))])
        reply = told(twin, line)
        assert reply.code <= 0
        assert reply.code == 0 or reply.text


PLAIN = cluster(POOL)
