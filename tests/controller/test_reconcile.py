"""Passes of a whole controller: git remote in, device changed, conditions and history out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.gate import Judgement, Objection, Rule
from controller.managed import Key
from controller.observed import Observed
from controller.plan import Plan
from controller.reconcile import Ending
from controller.settings import Apply
from lab.lab import Lab
from tests.controller.station import LUFFY, Station, crew, station

IN_SYNC = ("True", "InSync")
MIB = 2**20


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Station]:
    """A controller whose lab is applied: a pool and a guest."""
    made = station(tmp_path)
    made.remote.commit({"a.yaml": crew(LUFFY)}, "Bring luffy aboard")
    assert made.passes("start").ending is Ending.APPLIED
    assert made.passes("verify").ending is Ending.IN_SYNC
    yield made
    made.stop()


def test_a_commit_is_applied_and_the_second_pass_changes_nothing(one: Station) -> None:
    assert one.port.documents()["guest/101"]["memory_mib"] == 8192
    assert one.condition("Ready") == one.condition("Ready", "guests/luffy") == IN_SYNC
    assert one.condition("Reconciling") == ("False", "Idle")
    assert one.condition("Stalled") == ("False", "Progressing")
    sent = one.port.sent
    assert one.passes("poll", "drift").ending is Ending.IN_SYNC
    assert one.port.sent == sent
    [run] = one.history.runs()
    assert (run.result, run.reasons, run.told) == ("applied", ("start",), "3 done")
    assert [done.state for done in one.history.operations(run.number)] == ["done"] * 3


def test_an_unchanged_pass_writes_no_run_no_event_and_no_condition(one: Station) -> None:
    before = (one.history.runs(), one.history.events(), one.history.conditions())
    one.clock.now_s += 15
    one.passes("drift")
    assert (one.history.runs(), one.history.events(), one.history.conditions()) == before


def test_a_new_installation_only_reports(tmp_path: Path) -> None:
    made = station(tmp_path, apply=Apply.REPORT)
    made.remote.commit({"a.yaml": crew(LUFFY)})
    done = made.passes("start")
    assert done.ending is Ending.REPORTED
    assert (made.port.sent, made.history.runs(), made.history.owned()) == (0, [], {})
    assert made.condition("Ready") == ("False", "OnlyReporting")
    assert made.condition("Ready", "guests/luffy") == ("False", "OnlyReporting")
    made.stop()


def test_memory_changed_by_hand_is_seen_attributed_and_corrected(one: Station) -> None:
    one.port.by_hand("guest", "101", memory_mib=4096)
    one.sign("bob@pam", "guest", "101", "cores")
    one.sign("alice@pve", "guest", "101", "memory")
    done = one.passes("drift")
    assert done.ending is Ending.APPLIED
    assert one.port.documents()["guest/101"]["memory_mib"] == 8192
    assert one.condition("Drifted") == ("False", "DriftCorrected")
    assert one.passes("verify").ending is Ending.IN_SYNC
    [drift] = [event for event in one.history.events() if event.kind == "drift"]
    assert drift.subject == "guests/luffy"
    assert drift.told.startswith("memory_bytes 8GiB -> 4GiB by alice@pve at 1970-01-01 01:23:21")


def test_drift_is_only_reported_where_the_policy_says_so(one: Station) -> None:
    said = LUFFY.replace("pool:", "drift: report, pool:")
    one.remote.commit({"a.yaml": crew(said)})
    one.passes()
    one.port.by_hand("guest", "101", memory_mib=4096)
    one.sign("alice@pve", "guest", "101", "memory")
    sent = one.port.sent
    for _ in range(2):
        assert one.passes("drift").ending is Ending.IN_SYNC
        assert one.condition("Drifted") == ("True", "DriftReported")
        assert one.condition("Drifted", "guests/luffy") == ("True", "ChangedByOthers")
        assert one.condition("Ready", "guests/luffy") == ("False", "DriftReported")
    one.again()  # a new process knows who it was, too
    one.passes("start")
    assert one.port.sent == sent
    assert len([event for event in one.history.events() if event.kind == "drift"]) == 1
    drifted = one.history.conditions()["guests/luffy"]
    assert "by alice@pve" in str(drifted)
    one.port.by_hand("guest", "101", memory_mib=8192)
    one.passes("drift")
    assert one.condition("Drifted") == ("False", "NoDrift")


def test_an_entry_written_before_the_lab_was_last_seen_in_order_blames_nobody(
    one: Station,
) -> None:
    one.sign("alice@pve", "guest", "101", "memory")
    one.passes("drift")
    one.port.by_hand("guest", "101", memory_mib=4096)
    one.passes("drift")
    drift = next(event for event in one.history.events() if event.kind == "drift")
    assert drift.told.endswith("by unknown (the device's log does not say)")


def test_a_thing_removed_by_hand_comes_back(one: Station) -> None:
    one.port.remove_by_hand("guest", "101")
    one.sign("alice@pve", "guest", "101")
    assert one.passes("drift").ending is Ending.APPLIED
    assert one.port.documents()["guest/101"]["cores"] == 4
    drift = next(event for event in one.history.events() if event.kind == "drift")
    assert "it is gone by alice@pve" in drift.told


def test_a_log_that_does_not_answer_keeps_nothing_from_being_corrected(one: Station) -> None:
    one.port.deny.add("/signs/book")
    one.port.by_hand("guest", "101", memory_mib=4096)
    assert one.passes("drift").ending is Ending.APPLIED
    drift = next(event for event in one.history.events() if event.kind == "drift")
    assert "by unknown (the log did not answer: shelf/a: /signs/book: permission" in drift.told


def test_a_commit_that_does_not_load_is_refused_and_the_last_good_one_kept(one: Station) -> None:
    good = one.remote.head()
    bad = one.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "coers: 4"))})
    one.port.by_hand("guest", "101", memory_mib=4096)
    done = one.passes()
    assert (done.desired.revision.commit, done.ending) == (good, Ending.APPLIED)
    assert one.port.documents()["guest/101"]["memory_mib"] == 8192
    assert one.condition("Ready") == ("False", "LabInvalid")
    assert one.condition("Stalled") == ("True", "LabInvalid")
    newest = one.history.newest()
    assert newest is not None
    assert newest.revision.commit == bad
    assert "a.yaml:5:" in newest.told
    assert "coers" in newest.told
    mended = one.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 2"))})
    assert one.passes().desired.revision.commit == mended
    assert one.passes().ending is Ending.IN_SYNC
    assert one.condition("Stalled") == ("False", "Progressing")


@pytest.mark.parametrize("tree", [{"README.md": "no lab"}, {"a.yaml": "# nothing\n"}])
def test_an_empty_tree_deletes_nothing(tree: dict[str, str], one: Station) -> None:
    deleting = LUFFY.replace("pool:", "manage: [observe, create, update, delete], pool:")
    one.remote.commit({"a.yaml": crew(deleting)})
    one.passes()
    one.remote.commit(tree)
    assert one.passes().ending is Ending.IN_SYNC
    assert one.condition("Stalled") == ("True", "EmptyTree")
    assert one.condition("Ready") == ("False", "EmptyTree")
    assert "guest/101" in one.port.documents()
    one.remote.commit({"a.yaml": crew()})  # the guest alone, and on purpose
    assert one.passes().ending is Ending.APPLIED
    assert "guest/101" not in one.port.documents()


def test_a_folder_that_the_commit_in_force_does_not_have_deletes_nothing(one: Station) -> None:
    deleting = LUFFY.replace("pool:", "manage: [observe, create, update, delete], pool:")
    one.remote.commit({"a.yaml": crew(deleting)})
    one.passes()
    one.path = "moved"  # in the settings; the commit is the same
    one.again()
    assert one.controller.once({"start"}) is None
    assert one.condition("Stalled") == ("True", "EmptyTree")
    assert "guest/101" in one.port.documents()


def test_rewritten_history_stalls_until_somebody_accepts_it(one: Station) -> None:
    good = one.remote.head()
    first = one.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 2"))})
    one.passes()
    forced = one.remote.commit(
        {"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 1"))}, "forced", parent=good
    )
    for _ in range(2):
        done = one.passes()
        assert (done.desired.revision.commit, done.ending) == (first, Ending.IN_SYNC)
        assert one.condition("Stalled") == ("True", "HistoryRewritten")
    one.again()
    one.passes("start")
    assert one.condition("Stalled") == ("True", "HistoryRewritten")
    one.commits.accept(forced)
    assert one.passes().desired.revision.commit == forced
    assert one.port.documents()["guest/101"]["cores"] == 1
    assert one.condition("Stalled") == ("False", "Progressing")


def test_a_branch_that_is_brought_back_needs_no_acceptance(one: Station) -> None:
    good = one.remote.head()
    second = one.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 2"))})
    one.passes()
    one.remote.rewind(good)
    one.passes()
    assert one.condition("Stalled") == ("True", "HistoryRewritten")
    one.remote.rewind(second)
    one.passes()
    assert one.condition("Stalled") == ("False", "Progressing")


def test_an_unreachable_remote_leaves_the_last_commit_in_force(one: Station) -> None:
    away = one.remote.path.rename(one.remote.path.with_suffix(".away"))
    one.port.by_hand("guest", "101", memory_mib=4096)
    assert one.passes().ending is Ending.APPLIED
    assert one.passes().ending is Ending.IN_SYNC
    assert one.condition("Stalled") == ("True", "SourceUnreachable")
    assert one.condition("Ready") == IN_SYNC
    one.again()  # and a new process finds it in the mirror
    assert one.passes("start").ending is Ending.IN_SYNC
    away.rename(one.remote.path)
    one.passes()
    assert one.condition("Stalled") == ("False", "Progressing")


def test_a_drift_pass_does_not_ask_the_remote(one: Station) -> None:
    one.remote.path.rename(one.remote.path.with_suffix(".away"))
    one.passes("drift")
    assert one.condition("Stalled") == ("False", "Progressing")


def test_without_any_commit_nothing_is_done(tmp_path: Path) -> None:
    made = station(tmp_path)
    assert made.controller.once({"start"}) is None
    assert made.condition("Ready") == ("Unknown", "SourceUnreachable")
    assert made.condition("Stalled") == ("True", "SourceUnreachable")
    made.remote.commit({"README.md": "soon"})
    assert made.controller.once({"poll"}) is None
    assert made.condition("Stalled") == ("True", "EmptyTree")
    assert made.port.sent == 0
    made.stop()


def test_a_device_that_does_not_answer_is_unknown_and_nothing_is_done(one: Station) -> None:
    one.port.down = True
    one.remote.commit({"a.yaml": crew()})
    done = one.passes()
    assert done.plan.empty
    assert one.condition("Ready") == ("Unknown", "DeviceUnreachable")
    one.port.down = False
    one.passes()
    assert "guest/101" in one.port.documents()  # no delete in its `manage`


def test_one_unreachable_thing_leaves_the_others_ready(one: Station) -> None:
    one.port.deny.add("/guest/101")
    one.passes("drift")
    assert one.condition("Ready", "guests/luffy") == ("Unknown", "DeviceUnreachable")
    assert one.condition("Ready", "pools/mugiwara") == IN_SYNC


def refuse_two_cores(plan: Plan, _lab: Lab, _observed: Observed) -> Judgement:
    """A gate with an opinion."""
    guilty = [
        operation
        for operation in plan.operations
        for change in operation.changes
        if change.new == 2
    ]
    objections = [
        Objection(Rule.WORSE, "files is out for good after fail-node pve2", "leave it", each.place)
        for each in guilty
    ]
    return Judgement(tuple(objections))


def test_what_the_gate_refuses_is_not_done_and_told_once(tmp_path: Path) -> None:
    made = station(tmp_path, gate=refuse_two_cores)
    made.remote.commit({"a.yaml": crew(LUFFY)})
    made.passes()
    made.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 2"))})
    for _ in range(3):
        assert made.passes().ending is Ending.REFUSED
    assert made.port.documents()["guest/101"]["cores"] == 4
    assert made.condition("Ready") == ("False", "GateRefused")
    assert made.condition("Ready", "guests/luffy") == ("False", "GateRefused")
    assert made.condition("Ready", "pools/mugiwara") == IN_SYNC
    assert made.condition("Stalled") == ("True", "GateRefused")
    refused, applied = made.history.runs()
    assert (refused.result, applied.result) == ("refused", "applied")
    assert refused.told == "files is out for good after fail-node pve2"
    made.stop()


def test_the_gate_is_not_asked_again_about_the_same_plan_in_the_same_world(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    def gate(plan: Plan, _lab: Lab, _observed: Observed) -> Judgement:
        asked.append(plan.commit)
        return Judgement()

    made = station(tmp_path, gate=gate, apply=Apply.REPORT)
    made.remote.commit({"a.yaml": crew(LUFFY)})
    for _ in range(3):
        made.passes()
    assert len(asked) == 1
    made.port.by_hand("guest", "999", tags="running")
    made.passes("drift")
    assert len(asked) == 2
    made.stop()


def test_what_fails_is_tried_again_less_and_less_often(one: Station) -> None:
    one.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 2"))})
    one.port.faults |= dict.fromkeys(range(one.port.sent, one.port.sent + 3), "refused")
    assert one.passes("poll").ending is Ending.FAILED
    assert one.condition("Ready", "guests/luffy") == ("False", "OperationFailed")
    assert one.condition("Ready", "pools/mugiwara") == IN_SYNC
    endings = []
    for _ in range(6):
        one.clock.now_s += 10
        endings.append(str(one.passes("drift").ending))
    assert endings == ["held", "failed", "held", "held", "failed", "held"]
    assert one.condition("Stalled") == ("True", "OperationFailed")
    assert one.passes("webhook").ending is Ending.APPLIED
    assert [run.result for run in one.history.runs()[:2]] == ["applied", "failed"]


def test_a_stranger_is_adopted_only_when_somebody_approves(one: Station) -> None:
    one.port.by_hand("pool", "old", comment="found here")
    one.remote.commit({"a.yaml": crew(LUFFY, "pools: {mugiwara: {}, old: {comment: ours}}")})
    one.passes()
    assert one.passes().ending is Ending.WAITING
    assert one.condition("Ready", "pools/old") == ("False", "AwaitingApproval")
    assert one.port.documents()["pool/old"] == {"comment": "found here"}
    one.history.approve([Key("shelf/a", "pool", "old")])
    assert one.passes("approval").ending is Ending.APPLIED
    assert one.port.documents()["pool/old"] == {"comment": "ours"}
    assert one.history.approved() == frozenset()
