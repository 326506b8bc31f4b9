"""What the port puts into a call, takes out of an answer, and will not send at all."""

from __future__ import annotations

import json
from collections.abc import Sequence

import httpx
import pytest

from controller.clock import Clock
from controller.step import SECRET, Json, JsonRpc, Query
from controller.truenas import rest2
from controller.truenas.connect import newest
from controller.truenas.family import TwinTransport
from controller.truenas.rest1 import size_of
from controller.truenas.transport import Transport, refused
from controller.truenas.versions import Release, release_of
from lab.errors import DeviceError, Refused
from tests.controller.truenas.served import CHAP, Served, in_process, lab

USED = "iqn.1993-08.org.debian:01:pve1"


@pytest.fixture
def full() -> Served:
    """An array that has all of the lab, with nodes logged in."""
    array = in_process(lab())
    assert array.apply(lab()).done
    return array


def send(array: Served, method: str, *params: object) -> object:
    return array.device.port.send(JsonRpc(method, params))  # type: ignore[arg-type]


def test_a_number_is_looked_up_when_it_is_needed(full: Served) -> None:
    before = full.call("iscsi.portal.query")[0]
    full.call("iscsi.portal.create", {"listen": [{"ip": "10.0.103.21"}]})
    send(full, "iscsi.portal.update", "{portal 10.0.103.21}", {"comment": "new"})
    rows = {row["comment"]: row["id"] for row in full.call("iscsi.portal.query")}
    assert rows["new"] != before["id"]


def test_what_is_gone_is_told_by_its_name(full: Served) -> None:
    with pytest.raises(DeviceError, match="there is no portal 10.9.9.9 any more"):
        send(full, "iscsi.portal.update", "{portal 10.9.9.9}", {"comment": "new"})


def test_text_that_looks_like_a_name_of_ours_is_sent_as_it_is(full: Served) -> None:
    comment = "{portal 10.0.101.21}"
    send(full, "iscsi.portal.update", "{portal 10.0.101.21}", {"comment": comment})
    assert comment in [row["comment"] for row in full.call("iscsi.portal.query")]


def test_a_secret_goes_out_as_itself_and_comes_back_as_its_reference(full: Served) -> None:
    (row,) = full.call("iscsi.auth.query")
    assert row["secret"] == CHAP
    seen = json.dumps(full.device.port.ask(Query("iscsi.auth.query")))
    assert "secret://env/CHAP" in seen
    assert CHAP not in seen


def test_a_refusal_that_repeats_a_secret_is_told_without_it(full: Served) -> None:
    data = {"tag": 9, "user": "twice", "secret": "secret://env/CHAP"}
    full.line.inner = Repeating()
    with pytest.raises(DeviceError, match="refused: no:") as told:
        send(full, "iscsi.auth.create", data)
    assert CHAP not in str(told.value)
    assert told.value.__cause__ is None


class Repeating:
    """An array that refuses every call and says what it was told."""

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> object:
        if method == "system.version":
            return "25.10.5"
        raise refused("nas/nas1", method, 22, f"no: {params}")

    def close(self) -> None:
        """Nothing is open."""


def test_a_secret_of_somebody_else_is_never_shown(full: Served) -> None:
    full.call("iscsi.auth.create", {"tag": 8, "user": "other", "secret": "do-not-tell-it"})
    observed = full.observe()
    assert "do-not-tell-it" not in str(observed.documents)
    (theirs,) = [thing for key, thing in observed.things.items() if key.id == "8 other"]
    assert str(theirs.values["secret"]).startswith(SECRET)


def test_a_login_that_may_not_see_secrets_leaves_logins_unknown(full: Served) -> None:
    full.line.inner = Masked(full.line.inner)
    assert "may not see secrets" in full.observe().unknown["nas/nas1", "chap"]


class Masked:
    """The same array for a reader without rights."""

    def __init__(self, inner: object) -> None:
        self.inner = inner

    def call(self, method: str, params: object, timeout_s: float) -> object:
        answer = self.inner.call(method, params, timeout_s)  # type: ignore[attr-defined]
        if method == "iscsi.auth.query":
            return [{**row, "secret": "*" * 8} for row in answer]
        return answer

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("method", "params", "why"),
    [
        ("pool.dataset.delete", ("tank/z",), "tank/z is used by iSCSI Extent"),
        ("iscsi.portal.delete", ("{portal 10.0.101.21}",), "is used by target other, t"),
        ("iscsi.auth.delete", ("{chap 7 students}",), "auth 7 is used by target other"),
        ("iscsi.global.update", ({"basename": "iqn.2011-03.org.example"},), f"sessions of {USED}"),
        ("service.control", ("STOP", "iscsitarget"), f"there are sessions of {USED}"),
    ],
)
def test_what_the_array_would_take_from_its_users_is_looked_at_once_more(
    full: Served, method: str, params: tuple[object, ...], why: str
) -> None:
    calls = len(full.line.calls)
    with pytest.raises(Refused, match=why):
        send(full, method, *params)
    assert method not in [name for name, _ in full.line.calls[calls:]]


def test_an_initiator_group_in_use_stays(full: Served) -> None:
    (group,) = full.call("iscsi.initiator.query")
    with pytest.raises(Refused, match="is used by target t"):
        send(full, "iscsi.initiator.delete", group["id"])


def test_a_refusal_is_told_in_the_arrays_words_with_its_number(full: Served) -> None:
    with pytest.raises(DeviceError, match=r"pool.dataset.create refused: .*already exists") as told:
        send(full, "pool.dataset.create", {"name": "tank/z", "type": "FILESYSTEM"})
    assert (told.value.retryable, told.value.status) == (False, 22)


def test_after_a_lost_answer_a_running_job_is_waited_for(full: Served) -> None:
    step = JsonRpc("service.control", ("RESTART", "nfs"))
    assert isinstance(full.line.inner, TwinTransport)
    full.line.inner._call(step.method, step.params)  # begun, and its answer lost
    before_s = full.clock.now()
    full.device.port.settle(step, before_s)
    assert full.call("core.get_jobs", [["state", "=", "RUNNING"]]) == []
    assert full.clock.now() > before_s


def test_a_job_that_ends_while_it_is_asked_for_has_ended(full: Served) -> None:
    step = JsonRpc("service.control", ("RESTART", "nfs"), timeout_s=60.0)
    assert isinstance(full.line.inner, TwinTransport)
    full.line.inner._call(step.method, step.params)
    full.line.inner = Late(full.line.inner, full.clock)
    full.device.port.settle(step, full.clock.now())
    assert full.call("core.get_jobs", [["state", "=", "RUNNING"]]) == []


class Late:
    """An array whose answers on jobs are on their way for longer than a step may take."""

    def __init__(self, inner: Transport, clock: Clock) -> None:
        self.inner, self.clock = inner, clock

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> object:
        answer: object = self.inner.call(method, params, timeout_s)
        self.clock.sleep(100.0 if method == "core.get_jobs" else 0.0)
        return answer

    def close(self) -> None:
        """Nothing is open."""


def test_plain_calls_have_ended_with_their_answer_so_nothing_is_waited_for(full: Served) -> None:
    calls = len(full.line.calls)
    full.device.port.settle(JsonRpc("iscsi.portal.create", ({},)), full.clock.now())
    assert len(full.line.calls) == calls


@pytest.mark.parametrize(
    ("text", "release", "name"),
    [
        ("FreeNAS-11.1-U7 (e2f6cc2)", Release(11, 1), "FreeNAS 11.1"),
        ("FreeNAS-11.3-U5", Release(11, 3), "FreeNAS 11.3"),
        ("TrueNAS-13.0-U6.8", Release(13, 0), "TrueNAS 13.0"),
        ("TrueNAS-SCALE-24.04.2", Release(24, 4), "TrueNAS 24.04"),
        ("25.10.5", Release(25, 10), "TrueNAS 25.10"),
    ],
)
def test_a_release_is_known_by_its_two_numbers(text: str, release: Release, name: str) -> None:
    assert release_of("nas/nas1", text) == release
    assert str(release) == name


def test_an_answer_that_names_no_version_is_told() -> None:
    with pytest.raises(DeviceError, match="of no version that we know: 'none'"):
        release_of("nas/nas1", "none")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["v25.04.0", "v25.10.0", "v25.10.5"], "v25.10.5"),
        (["v25.10.5", "v26.0.0"], "v25.10.5"),
        (["v26.0.0"], "current"),
        ("nonsense", "current"),
    ],
)
def test_the_newest_version_of_the_api_that_we_know_is_spoken(offered: object, chosen: str) -> None:
    assert newest(offered) == chosen


@pytest.mark.parametrize(
    ("text", "size"), [("10G", 10 * 2**30), ("1.5T", 3 * 2**39), (512, 512), ("8 MiB", 2**23)]
)
def test_sizes_of_freenas_are_texts(text: object, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"message": "in use", "errno": 16}, "x refused: in use"),
        (
            {"iscsi_extent_create.name": [{"message": "too long", "errno": 22}]},
            "x refused: iscsi_extent_create.name: too long",
        ),
        ("no JSON", "x refused: no JSON"),
    ],
)
def test_every_form_of_a_refusal_over_rest_is_told(body: object, told: str) -> None:
    said = {"text": body} if isinstance(body, str) else {"json": body}
    answer = httpx.Response(422, **said)
    assert rest2._error("nas/nas1", "x", answer).what == told


def test_what_is_busy_may_be_free_later_and_what_is_wrong_stays_wrong() -> None:
    assert refused("nas/nas1", "x", 16, "busy").retryable
    assert not refused("nas/nas1", "x", 22, "wrong").retryable
