"""Doing a plan on a real small device that loses answers, refuses, is slow, or goes away."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.execute import execute
from controller.journal import Journal
from controller.managed import Cost, Key
from controller.observe import observe
from controller.perform import Fate, Result
from controller.plan import Action, Operation, Plan
from controller.planning import plan_changes
from controller.step import Query, Rest, Step
from lab.errors import Interrupted
from tests.controller.passes import Passes
from tests.controller.shelf import CLUSTERS, ManualClock, Pool, Shelf, device, shelf
from tests.labs import lab_of

LAB = """
pools: {mugiwara: {comment: the company}}
guests:
  luffy: {vmid: 101, cluster: a, cores: 8, memory: 8GiB, pool: mugiwara, ha: {restart: 1},
          disks: {scsi0: {storage: vm, size: 50GiB}}}
  zoro: {vmid: 102, cluster: a}
"""
POST_POOL = "POST /pool id=mugiwara comment=the company"


@pytest.fixture
def passes(tmp_path: Path) -> Passes:
    clock = ManualClock()
    return Passes(shelf(tmp_path, clock), clock)


def _fates(results: tuple[Result, ...]) -> dict[str, Fate]:
    return {f"{r.operation.key.kind} {r.operation.key.id}": r.fate for r in results}


def test_an_empty_device_becomes_as_declared_and_the_second_pass_changes_nothing(
    passes: Passes,
) -> None:
    outcome = passes.act(LAB)
    assert outcome.done
    assert passes.port.documents() == {
        "options/main": {},
        "pool/mugiwara": {"comment": "the company"},
        "guest/101": {
            "name": "luffy", "cores": 8, "memory_mib": 8192, "pool": "mugiwara",
            "disks.scsi0.storage": "vm", "disks.scsi0.size_mib": 51200,
        },
        "guest/102": {"name": "zoro"},
        "ha/101": {"restart": 1},
    }  # fmt: skip
    assert passes.plan(LAB).empty
    assert len(passes.port.log) == 4


class _Head(Pool):
    """A pool at the head of the table, where there is room for one."""

    @property
    def claims(self) -> Mapping[str, str]:
        return self.alone("the head of the table")


def test_who_takes_a_place_does_not_come_where_the_one_before_could_not_go(
    passes: Passes,
) -> None:
    old, new = (_Head(Key("shelf/a", "pool", name), {}) for name in ("old", "new"))
    refused, made = Rest("DELETE", "/pool/old"), Rest("POST", "/pool", {"id": "new"})
    goes = Operation(Action.DELETE, old.key, (), (), (refused,), Cost.NONE, None, None, old)
    comes = Operation(Action.CREATE, new.key, (), (), (made,), Cost.NONE, None, new, None)
    plan = Plan("c0ffee", ((goes,), (comes,)))

    outcome = execute(plan, [device(passes.port)], Journal(), passes.clock)

    assert _fates(outcome.results) == {"pool old": Fate.FAILED, "pool new": Fate.SKIPPED}
    assert "pool/new" not in passes.port.documents()


def test_what_settles_later_is_waited_for(passes: Passes) -> None:
    result = passes.act(LAB).results[-1]
    assert (result.operation.key.kind, result.fate) == ("ha", Fate.DONE)
    assert result.took_s >= passes.port.ha_lag_s


def test_a_look_that_began_before_the_time_was_up_is_not_the_last_one(tmp_path: Path) -> None:
    class Late(Shelf):
        def ask(self, query: Query) -> object:
            try:
                return super().ask(query)
            finally:
                self.clock.sleep(50.0 if query.path == "/ha" else 0.0)  # longer than HA may take

    clock = ManualClock()
    passes = Passes(Late(shelf(tmp_path, clock).folder, clock), clock)
    assert passes.act(LAB).done


def test_what_does_not_settle_in_its_time_has_failed_and_says_how(passes: Passes) -> None:
    passes.port.ha_lag_s = 500.0
    failed = passes.act(LAB).fated(Fate.FAILED)
    assert [result.reason for result in failed] == ["sent, but 20 s later it is not there"]
    passes.clock.sleep(500.0)
    assert passes.plan(LAB).empty is False  # nobody has proved it: our records say so
    assert passes.act(LAB).done
    assert [line for line in passes.port.log if "/ha" in line] == ["POST /ha id=101 restart=1"]


def test_a_device_that_keeps_another_value_is_found_out(passes: Passes) -> None:
    failed = passes.act("pools: {mugiwara: {comment: ' blanks '}}").fated(Fate.FAILED)
    assert "comment is blanks, not  blanks " in failed[0].reason


def test_a_busy_device_is_asked_again_with_growing_pauses(passes: Passes) -> None:
    passes.port.faults = {0: "busy", 1: "busy", 2: "busy"}
    assert passes.act("pools: {mugiwara: {comment: the company}}").done
    assert passes.port.log == [POST_POOL]
    assert [pause_s for pause_s in passes.clock.slept if pause_s >= 1] == [1.0, 2.0, 4.0]


def test_asking_again_has_an_end_and_nothing_is_ours_that_was_not_done(passes: Passes) -> None:
    passes.port.faults = dict.fromkeys(range(100), "busy")
    failed = passes.act("pools: {mugiwara: {}}").results[-1]
    assert (failed.fate, failed.sent) == (Fate.FAILED, 5)
    assert failed.reason == "asked 5 times: shelf/a: can't lock file: got timeout"
    assert not [key for key in passes.owned if key.kind == "pool"]


@pytest.mark.parametrize("slow_s", [0.0, 120.0])
def test_a_lost_answer_never_leads_to_doing_it_twice(passes: Passes, slow_s: float) -> None:
    passes.port.slow_s = slow_s
    passes.port.faults = dict.fromkeys(range(10), "lost")
    outcome = passes.act(LAB)
    assert outcome.done
    assert len(passes.port.log) == len(set(passes.port.log)) == 4
    assert all(result.sent == 1 for result in outcome.results if result.operation.steps)
    assert passes.plan(LAB).empty


def test_a_secret_that_is_not_there_stops_what_needs_it_and_nothing_else(passes: Passes) -> None:
    passes.port.faults = {1: "no secret"}
    outcome = passes.act(LAB)
    (failed,) = outcome.fated(Fate.FAILED)
    assert "secret://env/X: the environment has no X" in failed.reason
    assert outcome.fated(Fate.DONE)
    assert passes.act(LAB).done
    assert passes.plan(LAB).empty


def test_a_lost_answer_to_a_change_or_a_delete_is_looked_at_too(passes: Passes) -> None:
    pools = "pools: {mugiwara: {comment: %s, manage: [create, update, delete]}}"
    passes.act(pools % "old")
    passes.port.faults = {1: "lost", 2: "lost"}
    assert passes.act(pools % "new").done
    assert passes.act("").done
    assert passes.port.log[1:] == ["PUT /pool/mugiwara comment=new", "DELETE /pool/mugiwara"]
    assert not [key for key in passes.owned if key.kind == "pool"]


def test_a_refusal_stops_what_depends_on_it_and_nothing_else(passes: Passes) -> None:
    passes.port.faults = {1: "refused"}  # zoro goes with the pool in the first wave
    outcome = passes.act(LAB)
    assert _fates(outcome.results) == {
        "options main": Fate.DONE, "guest 102": Fate.DONE, "pool mugiwara": Fate.FAILED,
        "guest 101": Fate.SKIPPED, "ha 101": Fate.SKIPPED,
    }  # fmt: skip
    skipped = outcome.fated(Fate.SKIPPED)
    assert skipped[0].reason.startswith(
        "depends on shelf/a pool mugiwara, which failed: POST /pool"
    )
    assert "depends on shelf/a guest 101, which was skipped" in skipped[1].reason
    assert passes.act(LAB).done


TAGGED = "guests: {luffy: {vmid: 101, cluster: a, tags: [x]}}"


def test_what_was_half_done_before_a_refusal_is_ours_and_the_rest_is_done_later(
    passes: Passes,
) -> None:
    passes.port.faults = {1: "refused"}
    failed = passes.act(TAGGED).fated(Fate.FAILED)
    assert failed[0].reason == "PUT /guest/101 tags=x: shelf/a: no"
    assert passes.owned[Key("shelf/a", "guest", "101")].proved is False
    assert passes.act(TAGGED).done
    assert passes.port.log == ["POST /guest id=101 name=luffy", "PUT /guest/101 tags=x"]


def test_what_is_left_after_a_lost_answer_is_asked_of_the_thing_itself(passes: Passes) -> None:
    passes.port.faults = {0: "lost"}
    assert passes.act(TAGGED).done
    assert passes.port.log == ["POST /guest id=101 name=luffy", "PUT /guest/101 tags=x"]


def test_a_lost_answer_is_waited_out_where_the_device_shows_things_later(passes: Passes) -> None:
    declared = "guests: {luffy: {vmid: 101, cluster: a, ha: {restart: 1}}}"
    passes.port.faults = {1: "lost"}
    passes.port.ha_lag_s = 15.0
    assert passes.act(declared).done
    assert passes.port.log[1:] == ["POST /ha id=101 restart=1"]


def test_a_delete_that_fails_keeps_what_it_uses(passes: Passes) -> None:
    gone = "pools: {x: {manage: [create, delete]}}\nguests: {g: {vmid: 101, cluster: a, pool: x, manage: [create, delete]}}"  # noqa: E501 - one text
    passes.act(gone)
    passes.port.faults = {passes.port.sent: "refused"}
    assert _fates(passes.act("").results) == {
        "guest 101": Fate.FAILED, "pool x": Fate.SKIPPED,
    }  # fmt: skip


def test_a_refused_create_leaves_a_strangers_thing_a_stranger(passes: Passes) -> None:
    plan = passes.plan("pools: {mugiwara: {comment: ours}}")
    passes.port.by_hand("pool", "mugiwara", comment="theirs")  # since the plan was made
    outcome = execute(plan, [device(passes.port)], passes.journal, passes.clock)
    assert "already exists" in outcome.fated(Fate.FAILED)[0].reason
    again = passes.plan("pools: {mugiwara: {comment: ours}}")
    assert [operation.key.id for operation in again.pending] == ["mugiwara"]


def test_a_device_that_goes_away_leaves_the_operation_in_doubt_and_it_is_taken_up_later(
    passes: Passes,
) -> None:
    passes.port.faults = {0: "cut off"}
    outcome = passes.act("pools: {mugiwara: {comment: the company}}")
    assert outcome.fated(Fate.IN_DOUBT)[0].reason == (
        "shelf/a: connection reset by peer; then, when asked what became of it: "
        "shelf/a: no route to host"
    )
    waiting = passes.plan("pools: {mugiwara: {comment: the company}}")
    assert waiting.empty
    assert "what became of it is unknown" in passes.recover().in_doubt[_pool()]
    passes.port.down = False
    assert passes.act("pools: {mugiwara: {comment: the company}}").done
    assert passes.port.log == [POST_POOL]
    assert passes.plan("pools: {mugiwara: {comment: the company}}").empty


def test_what_is_sent_but_cannot_be_read_back_is_in_doubt_and_ours(passes: Passes) -> None:
    def cut(_step: Step) -> None:
        passes.port.down = True

    passes.port.on_event = cut
    outcome = passes.act("pools: {mugiwara: {}}")
    assert "could not be read back" in outcome.fated(Fate.IN_DOUBT)[0].reason
    assert passes.owned[_pool()].proved is False


def test_a_device_that_answers_nothing_any_more_is_not_tried_with_everything(
    passes: Passes,
) -> None:
    pools = f"pools: {{{', '.join(f'p{number:02}: {{}}' for number in range(20))}}}"
    passes.port.faults = {0: "cut off"}
    outcome = passes.act(pools)
    assert [result.fate for result in outcome.results].count(Fate.IN_DOUBT) == 2
    assert outcome.results[-1].reason == "shelf/a left 2 operations in doubt"


def test_a_thing_that_goes_away_while_it_is_changed_is_not_made_anew(passes: Passes) -> None:
    passes.act("pools: {mugiwara: {comment: old}}")
    plan = passes.plan("pools: {mugiwara: {comment: new}}")
    passes.port.remove_by_hand("pool", "mugiwara")
    passes.port.faults = {passes.port.sent: "busy"}
    outcome = execute(plan, [device(passes.port)], passes.journal, passes.clock)
    assert outcome.results[0].reason == "shelf/a pool mugiwara went away meanwhile"


def test_who_follows_the_run_hears_of_every_operation_and_may_stop_it(passes: Passes) -> None:
    heard: list[str] = []

    def after(result: Result) -> None:
        heard.append(result.operation.key.id)
        if len(heard) == 3:
            raise Interrupted("enough")

    with pytest.raises(Interrupted):
        passes.act(LAB, after)
    assert heard == ["102", "main", "mugiwara"]
    assert passes.act(LAB).done
    assert len(passes.port.log) == 4


def test_only_what_drifted_and_is_not_to_be_reported_is_put_right(passes: Passes) -> None:
    text = "guests: {g: {vmid: 101, cluster: a, cores: %d, memory: 4GiB, drift: report}}"
    passes.act(text % 4)
    passes.port.by_hand("guest", "101", memory_mib=1)
    assert passes.act(text % 8).done
    assert passes.port.log[-1] == "PUT /guest/101 cores=8"
    assert [note.kind for note in passes.plan(text % 8).notes] == ["drift"]


def test_an_entry_that_is_ours_goes_and_a_strangers_stays(passes: Passes) -> None:
    text = "guests: {{g: {{vmid: 101, cluster: a, manage: [create, update, delete], disks: {}}}}}"
    passes.act(text.format("{scsi0: {storage: vm, size: 4GiB}, scsi1: {storage: vm, size: 4GiB}}"))
    passes.port.by_hand("guest", "101", **{"disks.scsi7.storage": "theirs"})
    passes.port.faults = {passes.port.sent: "busy"}
    assert passes.act(text.format("{scsi0: {storage: vm, size: 4GiB}}")).done
    assert passes.port.documents()["guest/101"] == {
        "name": "g", "disks.scsi0.storage": "vm", "disks.scsi0.size_mib": 4096,
        "disks.scsi7.storage": "theirs",
    }  # fmt: skip
    assert "disks.scsi1.storage" not in passes.owned[Key("shelf/a", "guest", "101")].values


class Meeting(Shelf):
    """Works only while the other shelf does."""

    barrier = threading.Barrier(2, timeout=60)

    def send(self, step: Step) -> object:
        self.barrier.wait()
        return super().send(step)


def test_devices_work_side_by_side_if_asked_to(tmp_path: Path) -> None:
    clock = ManualClock()
    ports = [Meeting(shelf(tmp_path, clock, n).folder, clock, n) for n in ("shelf/a", "shelf/b")]
    devices = [device(port) for port in ports]
    both = lab_of(CLUSTERS.replace("}}}", "}}, b: {version: '8', corosync: {links: []}}}"),
                  "pools: {p: {}, q: {}}", rules=False)  # fmt: skip
    plan = plan_changes(both, observe(devices, clock), {}, "c0ffee")
    outcome = execute(plan, devices, Journal(), clock, parallel=2)
    assert outcome.done
    assert [result.operation for result in outcome.results] == list(plan.operations)
    assert ports[0].log == ports[1].log == ["POST /pool id=p", "POST /pool id=q"]


def _pool() -> Key:
    return Key("shelf/a", "pool", "mugiwara")
