"""Backup jobs and the calendar events that start them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from simulator.pve.calendar import NoEvent, parse_calendar
from tests.simulator.pve_cluster import cluster

SUNDAY = datetime(2026, 11, 22, 9, 57, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "run"),
    [
        ("sat 03:00", "2026-11-28T03:00"),
        ("mon..fri 22:00", "2026-11-23T22:00"),
        ("daily", "2026-11-23T00:00"),
        ("hourly", "2026-11-22T10:00"),
        ("*/15", "2026-11-22T10:00"),
        ("monthly", "2026-12-01T00:00"),
        ("*-*-01 04:30", "2026-12-01T04:30"),
        ("2,22:30", "2026-11-22T22:30"),
        ("8..17:0/15", "2026-11-22T10:00"),
        ("sun 09:58", "2026-11-22T09:58"),
        ("sun 09:57", "2026-11-29T09:57"),
        ("2028-02-29", "2028-02-29T00:00"),
    ],
)
def test_a_job_runs_next_when_its_event_says(event: str, run: str) -> None:
    next_s = parse_calendar(event).next_run_s(SUNDAY.timestamp())
    assert next_s is not None
    assert datetime.fromtimestamp(next_s, UTC).isoformat()[:16] == run


def test_an_event_that_never_comes_has_no_next_run() -> None:
    assert parse_calendar("2020-01-01").next_run_s(SUNDAY.timestamp()) is None


@pytest.mark.parametrize("event", ["foo bar", "25:00", "mon..", "", "03:00 04:00", "fri..mon 1:00"])
def test_what_is_no_event_is_refused(event: str) -> None:
    with pytest.raises(NoEvent):
        parse_calendar(event)


def test_retention_goes_in_as_text_and_comes_out_as_an_object() -> None:
    here = cluster()
    here.ok(
        "POST /cluster/backup",
        id="weekly",
        schedule="sat 03:00",
        all="1",
        storage="local",
        prune__backups="keep-last=4",
    )
    (row,) = here.ok("GET /cluster/backup")
    assert row["prune-backups"] == {"keep-last": "4"}
    assert (row["type"], row["enabled"]) == ("vzdump", 1)
    assert row["next-run"] > here.api.epoch_s


def test_a_job_needs_one_way_to_choose_guests() -> None:
    here = cluster()
    post = "POST /cluster/backup"
    response = here.send(post, schedule="daily")
    assert (response.status, response.reason) == (500, "400 Parameter verification failed.")
    assert (response.members or {})["message"].endswith("vmid: property is missing\n")  # type: ignore[attr-defined]
    assert here.refusal(post, schedule="daily", vmid="100", all="1")[0] == 500
    here.ok(post, id="rest", schedule="daily", exclude="100")
    assert here.ok("GET /cluster/backup/rest")["all"] == 1
    here.ok("PUT /cluster/backup/rest", vmid="101")
    changed = here.ok("GET /cluster/backup/rest")
    assert (changed["vmid"], changed.get("all"), changed.get("exclude")) == ("101", None, None)


def test_an_old_start_time_becomes_a_schedule() -> None:
    here = cluster()
    here.ok("POST /cluster/backup", id="old", starttime="03:00", dow="sat", all="1")
    assert here.ok("GET /cluster/backup/old")["schedule"] == "sat 03:00"
    assert "starttime" in here.errors(
        "POST /cluster/backup", starttime="03:00", schedule="daily", all="1"
    )


def test_guests_that_no_job_covers_are_told() -> None:
    here = cluster()
    here.guest(100)
    here.guest(101)
    here.ok("POST /cluster/backup", id="one", schedule="daily", vmid="100")
    rows = here.ok("GET /cluster/backup-info/not-backed-up")
    assert [row["vmid"] for row in rows] == [101]


def test_guests_of_a_job_are_listed_or_told_another_way_but_not_both() -> None:
    here = cluster()
    here.ok("POST /pools", poolid="web")
    create = "POST /cluster/backup"
    both = here.send(create, schedule="daily", vmid="100", exclude="101")
    assert "exclude: option conflicts with option 'vmid'" in str((both.members or {})["message"])
    here.ok(create, id="wide", schedule="daily", all=1, pool="web")
    here.ok(create, id="one", schedule="daily", vmid="100")
    here.ok("PUT /cluster/backup/one", exclude="101")
    job = here.ok("GET /cluster/backup/one")
    assert (job["all"], job["exclude"], "vmid" in job) == (1, "101", False)
    here.ok("PUT /cluster/backup/one", pool="web", delete="all,exclude")
    assert "all" not in here.ok("GET /cluster/backup/one")


def test_a_change_of_a_job_says_something_that_fits_before_the_job_is_looked_for() -> None:
    here = cluster()
    nothing = here.refusal("PUT /cluster/backup/none")
    assert nothing == (500, "no options specified")
    notes = "{{vmid}}\\t{{host}}"
    wrong = here.send("PUT /cluster/backup/none", storage="local", notes__template=notes)
    text = "found unknown: escape sequence '\\t' at char 8, variable 'host' at char 10"
    assert text in str((wrong.members or {})["message"])


def test_a_time_that_no_day_has_leaves_a_job_without_a_next_run() -> None:
    here = cluster()
    here.ok("POST /cluster/backup", starttime="25:00", all=1)
    assert "next-run" not in here.ok("GET /cluster/backup")[0]
