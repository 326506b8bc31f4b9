"""The array's middleware: logins, filters, jobs, services, alerts, and what the physics sees."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.truenas import unused
from simulator.truenas.call import HANDLERS, Session
from simulator.truenas.catalogue import METHODS
from simulator.truenas.documents import Job
from simulator.truenas.errors import CallError, Invalid
from simulator.truenas.inprocess import InProcess
from simulator.truenas.query import selected
from simulator.truenas.tables import TABLES
from simulator.truenas.version import version_of
from tests.simulator.array import PASSWORD, SECRET, Array, array, chain

ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "a", "size": 5, "tags": ["x"], "deep": {"on": True},
     "parts": [{"size": 1}, {"size": 2}]},
    {"id": 2, "name": "b", "size": None, "tags": [], "deep": {"on": False}, "props": {"a.b": 1}},
    {"id": 3, "name": "ab", "size": 7, "tags": ["x", "y"], "deep": {"on": True}},
]  # fmt: skip


def ids(filters: list[Any], **options: Any) -> list[int]:
    found = selected(ROWS, filters, options)
    assert isinstance(found, list)
    return [row["id"] for row in found]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([["name", "=", "a"]], [1]),
        ([["name", "!=", "a"]], [2, 3]),
        ([["size", ">", 5]], [3]),
        ([["size", "<=", 5]], [1]),
        ([["id", "in", [1, 3]]], [1, 3]),
        ([["id", "nin", [1, 3]]], [2]),
        ([["tags", "rin", "y"]], [3]),
        ([["tags", "rnin", "x"]], [2]),
        ([["name", "^", "a"]], [1, 3]),
        ([["name", "!^", "a"]], [2]),
        ([["name", "$", "b"]], [2, 3]),
        ([["name", "!$", "b"]], [1]),
        ([["name", "~", "a.?"]], [1, 3]),
        ([["deep.on", "=", True]], [1, 3]),
        ([["none", "=", 1]], []),
        ([["OR", [["id", "=", 1], ["id", "=", 2]]]], [1, 2]),
        ([["OR", [[["id", "=", 1], ["name", "=", "b"]], ["id", "=", 3]]]], [3]),
        ([["id", ">", 1], ["deep.on", "=", True]], [3]),
        ([["name", "C=", "A"]], [1]),
        ([["name", "Cin", ["A", "AB"]]], [1, 3]),
        ([["name", "C~", "A."]], [3]),
        ([["parts.*.size", "=", 2]], [1]),
        ([["parts.0.size", "=", 2]], []),
        ([["props.a\\.b", "=", 1]], [2]),
    ],
)
def test_filters_choose_rows(filters: list[Any], expected: list[int]) -> None:
    assert ids(filters) == expected


def test_order_says_where_nulls_are() -> None:
    assert ids([], order_by=["nulls_first:size"]) == [2, 1, 3]
    assert ids([], order_by=["nulls_last:-size"]) == [3, 1, 2]
    assert ids([], order_by=["nulls_first:-size"]) == [2, 3, 1]


def test_options_order_cut_count_and_choose_members() -> None:
    assert ids([], order_by=["-name"]) == [2, 3, 1]
    assert ids([], order_by=["size"]) == [1, 3, 2]
    assert ids([], order_by=["deep.on", "-id"]) == [2, 3, 1]
    assert ids([], offset=1, limit=1) == [2]
    assert selected(ROWS, [["size", ">", 0]], {"count": True}) == 2
    assert selected(ROWS, [], {"get": True, "select": ["deep.on", ["id", "number"]]}) == {
        "deep": {"on": True},
        "number": 1,
    }
    with pytest.raises(CallError) as caught:
        selected(ROWS, [["id", "=", 9]], {"get": True})
    assert caught.value.number == 2


@pytest.mark.parametrize(
    "bad", [[1], [["id"]], [["id", "?", 1]], [["name", "~", "["]], [["OR", 1]], [["id", "C?", 1]]]
)
def test_filters_that_make_no_sense_are_refused(bad: list[Any]) -> None:
    with pytest.raises(Invalid):
        selected(ROWS, bad, {})


def test_every_method_of_the_catalogue_is_answered() -> None:
    assert HANDLERS.keys() == METHODS.keys()


@pytest.mark.parametrize("namespace", unused.NAMESPACES)
def test_what_the_lab_has_none_of_is_an_empty_list(namespace: str) -> None:
    here = array()
    assert here(f"{namespace}.query") == []
    assert here(f"{namespace}.query", [["id", ">", 0]], {"count": True}) == 0


def test_nothing_but_a_login_is_answered_without_one() -> None:
    here = array()
    session = Session()
    for name in ("core.ping", "system.ready"):
        assert here.api.call(here.twin, session, name)
    with pytest.raises(CallError) as caught:
        here.api.call(here.twin, session, "pool.query")
    assert caught.value.number == 207


@pytest.mark.parametrize(
    ("mechanism", "user", "secret", "response"),
    [
        ("API_KEY_PLAIN", "truenas_admin", f"1-{SECRET}", "SUCCESS"),
        ("API_KEY_PLAIN", "root", f"1-{SECRET}", "AUTH_ERR"),
        ("API_KEY_PLAIN", "truenas_admin", "1-x", "AUTH_ERR"),
        ("PASSWORD_PLAIN", "truenas_admin", PASSWORD, "SUCCESS"),
        ("PASSWORD_PLAIN", "truenas_admin", "no", "AUTH_ERR"),
    ],
)
def test_login_ex_says_whether_it_lets_in(
    mechanism: str, user: str, secret: str, response: str
) -> None:
    here = array()
    word = "api_key" if mechanism == "API_KEY_PLAIN" else "password"
    data = {"mechanism": mechanism, "username": user, word: secret}
    answer: Any = here.api.call(here.twin, Session(), "auth.login_ex", [data])
    assert answer["response_type"] == response
    if response == "SUCCESS":
        assert answer["user_info"]["pw_name"] == "truenas_admin"


def test_a_token_lets_its_maker_in_until_it_was_not_used_for_its_time() -> None:
    here = array()
    token = here("auth.generate_token", 600)
    session = Session()
    for _ in range(3):
        here.wait(500)
        assert here.api.call(here.twin, session, "auth.login_with_token", [token]) is True
    assert session.user == "truenas_admin"
    here.wait(601)
    data = {"mechanism": "TOKEN_PLAIN", "token": token}
    answer = here.api.call(here.twin, Session(), "auth.login_ex", [data])
    assert answer == {"response_type": "AUTH_ERR"}


def test_a_key_lets_in_until_its_day() -> None:
    here = array()
    day = {"$date": int((here.api.epoch_s + 1000) * 1000)}
    key = here("api_key.create", {"name": "x", "username": "truenas_admin", "expires_at": day})
    data = {"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": key["key"]}
    said: list[Any] = []
    for _ in range(2):
        said.append(here.api.call(here.twin, Session(), "auth.login_ex", [data]))
        here.wait(1001)
    assert [answer["response_type"] for answer in said] == ["SUCCESS", "EXPIRED"]
    assert here.api.call(here.twin, Session(), "auth.login_with_api_key", [key["key"]]) is False


def test_a_token_for_once_is_for_once() -> None:
    here = array()
    token = here("auth.generate_token", 600, {}, True, True)
    data = {"mechanism": "TOKEN_PLAIN", "token": token}
    answer: Any = here.api.call(here.twin, Session(), "auth.login_ex", [data])
    assert answer["response_type"] == "SUCCESS"
    assert here.api.call(here.twin, Session(), "auth.login_with_token", [token]) is False


def test_an_array_that_started_again_knows_no_token() -> None:
    here = array()
    token = here("auth.generate_token")
    here.fail("fail-nas nas1")
    assert here.api.call(here.twin, Session(), "auth.login_with_token", [token]) is False


@pytest.mark.parametrize(
    ("version", "there", "absent"),
    [
        ("13.0", "zfs.snapshot.create", "pool.snapshot.create"),
        ("25.10", "service.control", "zfs.snapshot.create"),
        ("26.0", "pool.snapshot.create", "service.restart"),
    ],
)
def test_a_release_tells_its_methods(version: str, there: str, absent: str) -> None:
    found = array(version)("core.get_methods")
    assert there in found
    assert absent not in found
    assert found["pool.query"]["filterable"]
    assert [*array(version)("core.get_methods", "core")] == [
        name for name in found if name.startswith("core.")
    ]


@pytest.mark.parametrize("data", [{}, {"mechanism": "MAGIC"}, {"mechanism": "TOKEN_PLAIN", "x": 1}])
def test_login_ex_checks_its_mechanism(data: dict[str, object]) -> None:
    here = array()
    with pytest.raises(Invalid):
        here.api.call(here.twin, Session(), "auth.login_ex", [data])


def test_a_key_that_came_without_tls_is_revoked_and_an_alert_says_so() -> None:
    here = array()
    login = {"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": here.key}
    answer: Any = here.api.call(here.twin, Session(secure=False), "auth.login_ex", [login])
    assert answer == {"response_type": "EXPIRED"}
    answer = here.api.call(here.twin, Session(), "auth.login_ex", [login])
    assert answer == {"response_type": "EXPIRED"}
    with pytest.raises(PermissionError):
        InProcess(here.twin, "nas1", here.key).call("pool.query")
    user = InProcess(here.twin, "nas1", user="truenas_admin", password=PASSWORD)
    assert [alert["klass"] for alert in user.call("alert.list")] == ["ApiKeyRevoked"]
    assert user.call("api_key.query")[0]["revoked"] is True
    with pytest.raises(CallError, match="does not exist"):
        user.call("alert.dismiss", "none")


def test_older_releases_did_not_revoke_keys_and_the_oldest_had_none() -> None:
    here = array("13.0")
    session = Session(secure=False)
    assert here.api.call(here.twin, session, "auth.login_with_api_key", [here.key]) is True
    with pytest.raises(CallError) as caught:
        array("11.3").client.api.method("auth.login_with_api_key")
    assert caught.value.number == 201


def test_a_new_key_is_shown_once_and_opens_the_array() -> None:
    here = array()
    made = here("api_key.create", {"name": "ci", "username": "truenas_admin"})
    assert len(made["key"].partition("-")[2]) == 64
    assert InProcess(here.twin, "nas1", made["key"]).call("core.ping") == "pong"
    assert "key" not in here("api_key.get_instance", made["id"])
    reset = here("api_key.update", made["id"], {"reset": True})
    assert reset["key"].startswith(f"{made['id']}-")
    here("api_key.delete", made["id"])
    assert len(here("api_key.query")) == 1


def test_types_are_strict_since_25_04_and_digits_were_numbers_before() -> None:
    for version, strict in (("13.0", False), ("25.10", True)):
        here = array(version)
        made = chain(here)
        here("iscsi.targetextent.delete", made["lun"], True)
        data = {"target": str(made["target"]), "lunid": "1", "extent": made["extent"]}
        if strict:
            with pytest.raises(Invalid, match="valid integer"):
                here("iscsi.targetextent.create", data)
        else:
            assert here("iscsi.targetextent.create", data)["lunid"] == 1


def test_arguments_are_checked_all_at_once_and_not_too_many() -> None:
    here = array()
    with pytest.raises(Invalid) as caught:
        here("iscsi.extent.create", {"type": "TAPE", "blocksize": 513, "lun": 0})
    places = {attribute for attribute, _, _ in caught.value.problems}
    assert places == {
        f"iscsi_extent_create.{name}" for name in ("name", "type", "blocksize", "lun")
    }
    with pytest.raises(CallError, match="Too many arguments"):
        here("iscsi.portal.delete", 1, 2)


def test_a_job_takes_time_and_can_be_waited_for() -> None:
    here = array()
    number = here("service.control", "START", "nfs")
    (job,) = here("core.get_jobs", [["id", "=", number]])
    assert (job["state"], job["method"]) == ("RUNNING", "service.control")
    waiting = here("core.job_wait", number)
    here.wait(1)
    running = here("core.get_jobs", [["state", "=", "RUNNING"]])
    assert [job["progress"]["percent"] for job in running] == [50, 0]
    here.wait(5)
    states = {job["id"]: (job["state"], job["result"]) for job in here("core.get_jobs")}
    assert states == {number: ("SUCCESS", True), waiting: ("SUCCESS", True)}
    assert here("service.started", "nfs") is True


def test_a_job_fails_with_its_reason_and_an_aborted_one_does_nothing() -> None:
    here = array()
    bad, stopped = here("service.control", "START", "none"), here("service.control", "START", "nfs")
    here("core.job_abort", stopped)
    here.wait(5)
    by_id = {job["id"]: job for job in here("core.get_jobs")}
    assert by_id[bad]["state"] == "FAILED"
    assert by_id[bad]["exc_info"]["errno"] == 2
    assert by_id[stopped]["state"] == "ABORTED"
    assert here("service.started", "nfs") is False


def test_bulk_answers_each_call_by_itself() -> None:
    here = array()
    number = here("core.bulk", "iscsi.initiator.create", [[{"comment": "a"}], [{"x": 1}]])
    here.wait(1)
    (job,) = here("core.get_jobs", [["id", "=", number]])
    good, bad = job["result"]
    assert good["result"]["comment"] == "a"
    assert "Extra inputs" in bad["error"]


def test_plain_start_and_stop_left_with_26_and_control_came_with_25_10() -> None:
    for version, plain, control in (
        ("13.0", True, False),
        ("25.10", True, True),
        ("26.0", False, True),
    ):
        api = array(version).api
        for name, there in (("service.start", plain), ("service.control", control)):
            if there:
                assert api.method(name).name == name
            else:
                with pytest.raises(CallError):
                    api.method(name)


def test_after_a_power_cut_only_enabled_services_run_and_jobs_are_forgotten() -> None:
    here = array()
    chain(here)
    here("service.update", "nfs", {"enable": True})
    here("service.control", "START", "cifs")
    here.fail("fail-nas nas1@0s..10s")
    with pytest.raises(ConnectionRefusedError):
        here("core.ping")
    here.wait(600)
    running = here("service.query", [["state", "=", "RUNNING"]], {"select": ["service"]})
    assert running == [{"service": "nfs"}]
    assert here("core.get_jobs") == []
    assert here("system.info")["uptime_seconds"] < 600
    assert here.problem() == "nas1 LUN 0 is not offered to pve1"


def test_an_array_that_hangs_times_out() -> None:
    here = array()
    here.fail("silence-nas nas1")
    with pytest.raises(TimeoutError):
        here("core.ping")


@pytest.mark.parametrize(
    ("faults", "status", "alerts"),
    [
        ("fail-disk nas1/sdc", "DEGRADED", 1),
        ("fail-disk nas1/sdc fail-disk nas1/sdd", "UNAVAIL", 1),
        ("fail-disk nas1/sdc fail-disk nas1/sde", "DEGRADED", 1),
    ],
)
def test_a_disk_fault_degrades_its_pool_and_raises_an_alert_until_it_is_mended(
    faults: str, status: str, alerts: int
) -> None:
    here = array()
    here.fail(" ".join(f"{fault}" for fault in faults.split("  ")))
    (pool,) = here("pool.query", [["name", "=", "tank"]])
    assert (pool["status"], pool["healthy"]) == (status, False)
    assert "sdc" not in [disk["name"] for disk in here("disk.query")]
    found = [alert for alert in here("alert.list") if alert["klass"] == "PoolStatus"]
    assert len(found) == alerts
    assert found[0]["level"] == "CRITICAL"


def test_an_alert_goes_with_its_cause() -> None:
    here = array()
    here.fail("fail-disk nas1/sdg@0s..60s")
    assert here("pool.query", [["name", "=", "images"]], {"get": True})["status"] == "UNAVAIL"
    assert len(here("alert.list")) == 1
    here.wait(61)
    assert here("alert.list") == []


def test_a_pool_that_fills_up_raises_an_alert() -> None:
    here = array()
    size = here("pool.query", [["name", "=", "tank"]], {"get": True})["size"]
    here.volume(size=int(size * 0.85) // 16384 * 16384, force_size=True)
    assert [alert["klass"] for alert in here("alert.list")] == ["ZpoolCapacityWarning"]
    here.volume("tank/y", size=int(size * 0.07) // 16384 * 16384, force_size=True)
    assert [alert["klass"] for alert in here("alert.list")] == ["ZpoolCapacityCritical"]
    here("pool.dataset.delete", "tank/z")
    assert here("alert.list") == []


def test_raid_10_of_four_is_two_mirrors_of_two() -> None:
    here = array()
    pool = here("pool.query", [["name", "=", "tank"]], {"get": True})
    vdevs = [
        (vdev["type"], [disk["disk"] for disk in vdev["children"]])
        for vdev in pool["topology"]["data"]
    ]
    assert vdevs == [("MIRROR", ["sdc", "sdd"]), ("MIRROR", ["sde", "sdf"])]
    assert pool["size"] == 2 * 10**12


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def known_data(name: str) -> st.SearchStrategy[Any]:
    """Objects whose members have names that the method knows, and values that may not fit."""
    table = next(
        (param.kind.strip("{}~") for param in METHODS[name].params if param.kind.startswith("{")),
        "",
    )
    members = [param.name for param in TABLES.get(table, ())]
    sane = st.sampled_from(["tank/z", "zvol/tank/z", "t", 1, 2**30, [1], [{"ip": "10.0.101.21"}]])
    return st.dictionaries(st.sampled_from(members or ["x"]), sane | JSON, max_size=5)


@pytest.mark.parametrize("version", ["11.3", "13.0", "25.10"])
@given(data=st.data())
@settings(max_examples=150)
def test_whatever_is_sent_is_answered_or_refused_in_the_arrays_words(
    version: str, data: st.DataObject
) -> None:
    here = _shared(version)
    names = [name for name, known in METHODS.items() if here.api.version.has(known.span)]
    name = data.draw(st.sampled_from(names))
    params = data.draw(
        st.lists(JSON | known_data(name) | st.sampled_from([1, "tank/z"]), max_size=3)
    )
    session = Session(user="root")
    with suppress(CallError, Invalid):
        result = here.api.call(here.twin, session, name, json.loads(json.dumps(params)))
        json.dumps(None if isinstance(result, Job) else result)
    here.wait(3)


@cache
def _shared(version: str) -> Array:
    """One array that all examples shake, so that states pile up."""
    here = array(version)
    chain(here)
    return here


@pytest.mark.parametrize(
    ("text", "short", "full"),
    [
        ("25.10", "25.10.5", "TrueNAS-25.10.5"),
        ("13.0", "13.0-U6.8", "TrueNAS-13.0-U6.8"),
        ("11.1", "11.1-U7", "FreeNAS-11.1-U7"),
        ("TrueNAS-SCALE-24.04.2", "24.04.2", "TrueNAS-SCALE-24.04.2"),
        ("27.1", "27.1", "TrueNAS-27.1"),
    ],
)
def test_a_release_is_known_by_its_number(text: str, short: str, full: str) -> None:
    assert (version_of(text).short, version_of(text).full) == (short, full)


def test_what_is_no_release_is_said() -> None:
    with pytest.raises(ValueError, match="no TrueNAS version"):
        version_of("newest")
