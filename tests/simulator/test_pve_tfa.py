"""Second factors: adding them, the login that then asks for one, and being locked out."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, unquote

import pytest

from simulator.pve.factors import Totp, read_totp
from tests.simulator.pve_cluster import SECRET, Cluster, cluster

ANA = "ana@pve"
APP = "otpauth://totp/lab:ana?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=6&period=30"
KEY = b"12345678901234567890"


def _here() -> Cluster:
    here = cluster()
    here.user(ANA, "PVEAuditor")
    here.api.set_password(ANA, SECRET)
    return here


def _code(here: Cluster, later: int = 0) -> str:
    """What the app shows now, or `later` steps of half a minute on."""
    return read_totp(APP).code(int(here.api.epoch_s + here.twin.now_s) // 30 + later)


def _add(here: Cluster, **params: Any) -> Any:
    sent = {"type": "totp", "totp": APP, "description": "phone", "value": _code(here), **params}
    return here.ok(f"POST /access/tfa/{ANA}", user=None, headers=here.login(), **sent)


def _first(here: Cluster) -> dict[str, Any]:
    found = here.ok("POST /access/ticket", user=None, username=ANA, password=SECRET)
    assert isinstance(found, dict)
    return found


def _second(here: Cluster, ticket: str, response: str) -> int:
    sent: dict[str, Any] = {"username": ANA, "password": response, "tfa__challenge": ticket}
    return here.send("POST /access/ticket", user=None, **sent).status


def test_codes_are_those_of_the_standard() -> None:
    for now_s, code in ((59, "94287082"), (1111111109, "07081804"), (20000000000, "65353130")):
        assert Totp(KEY, digits=8).code(now_s // 30) == code
    assert read_totp(APP).secret == KEY


def test_a_login_with_a_second_factor_takes_two_steps() -> None:
    here = _here()
    name = _add(here)["id"]
    assert here.ok(f"GET /access/users/{ANA}")["keys"] == "x"
    first = _first(here)
    assert (first["NeedTFA"], "cap" in first) == (1, False)
    challenge = unquote(first["ticket"].split(":")[1]).removeprefix("!tfa!")
    assert json.loads(challenge) == {"totp": True}
    cookie = {"cookie": f"PVEAuthCookie={quote(first['ticket'], safe='')}"}
    assert here.refusal("GET /version", user=None, headers=cookie)[0] == 401
    assert _second(here, first["ticket"], "totp:000000") == 401
    assert _second(here, "PVE:nobody:0::x", f"totp:{_code(here)}") == 401
    assert _second(here, first["ticket"], f"totp:{_code(here)}") == 200
    assert _second(here, first["ticket"], f"totp:{_code(here)}") == 401, "a code is good once"
    (row,) = here.ok("GET /access/tfa")
    assert (row["userid"], [entry["id"] for entry in row["entries"]]) == (ANA, [name])
    here.ok(f"DELETE /access/tfa/{ANA}/{name}", user=None, headers=here.login())
    assert "NeedTFA" not in _first(here)
    assert "keys" not in here.ok(f"GET /access/users/{ANA}")


def test_recovery_keys_are_told_once_and_each_is_good_once() -> None:
    here = _here()
    keys = _add(here, type="recovery", totp=None, value=None, description=None)["recovery"]
    assert len(set(keys)) == 10
    first = _first(here)
    assert '"recovery": [0, 1,' in unquote(first["ticket"])
    assert _second(here, first["ticket"], f"recovery:{keys[0]}") == 200
    assert _second(here, first["ticket"], f"recovery:{keys[0]}") == 401
    assert '"recovery": [1,' in unquote(_first(here)["ticket"])
    (row,) = here.ok(f"GET /access/tfa/{ANA}")
    assert (row["id"], row["type"]) == ("recovery", "recovery")


def test_too_many_wrong_codes_lock_codes_until_somebody_unlocks_them() -> None:
    here = _here()
    _add(here)
    ticket = _first(here)["ticket"]
    for _ in range(8):
        assert _second(here, ticket, "totp:000000") == 401
    assert _second(here, ticket, f"totp:{_code(here)}") == 401
    assert here.ok("GET /access/tfa")[0]["totp-locked"] == 1
    locked = [row["userid"] for row in here.ok("GET /access/users") if row.get("totp-locked")]
    assert locked == [ANA]
    assert here.ok(f"PUT /access/users/{ANA}/unlock-tfa") == 1
    assert here.ok(f"PUT /access/users/{ANA}/unlock-tfa") == 0
    assert _second(here, ticket, f"totp:{_code(here)}") == 200


def test_a_hundred_wrong_answers_lock_all_factors_for_an_hour() -> None:
    here = _here()
    (key, other, *_) = _add(here, type="recovery", totp=None, value=None, description=None)[
        "recovery"
    ]
    ticket = _first(here)["ticket"]
    for _ in range(100):
        assert _second(here, ticket, "recovery:0000-0000-0000-0000") == 401
    assert _second(here, ticket, f"recovery:{key}") == 401
    assert here.ok("GET /access/tfa")[0]["tfa-locked-until"] == 3600 + int(
        here.api.epoch_s + here.twin.now_s
    )
    here.wait(3600)
    assert _second(here, ticket, f"recovery:{key}") == 200
    assert _second(here, ticket, f"recovery:{other}") == 200


def test_factors_go_with_their_user() -> None:
    here = _here()
    _add(here)
    here.ok(f"DELETE /access/users/{ANA}")
    assert here.ok("GET /access/tfa") == []
    here.ok("POST /access/users", userid=ANA)
    here.api.set_password(ANA, SECRET)
    assert "NeedTFA" not in _first(here)


def test_a_user_changes_his_own_factors_with_his_password_and_no_token_does() -> None:
    here = _here()
    first = _first(here)
    cookie = f"PVEAuthCookie={quote(first['ticket'], safe='')}"
    own = {"cookie": cookie, "csrfpreventiontoken": first["CSRFPreventionToken"]}
    sent = {"type": "totp", "totp": APP, "description": "phone", "value": _code(here)}
    call = f"POST /access/tfa/{ANA}"
    needed = {"password": "password is required to modify TFA data"}
    assert here.errors(call, user=None, headers=own, **sent) == needed
    wrong = here.refusal(call, user=None, headers=own, password="guessed", **sent)
    assert wrong == (500, "invalid credentials")
    assert here.ok(call, user=None, headers=own, password=SECRET, **sent)["id"]
    assert "not available with API token" in here.refusal(call, **sent)[1]
    assert here.refusal("POST /access/tfa/root@pam", user=None, headers=own, **sent)[0] == 403


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"value": "000000"}, "failed to verify TOTP challenge"),
        ({"description": None}, "'description' is required for new entries"),
        ({"totp": None}, "'totp' type requires both 'totp' and 'value' parameters"),
        ({"totp": "https://totp/x"}, "not an otpauth uri"),
        ({"type": "recovery"}, "generating recovery tokens does not allow additional parameters"),
        ({"type": "yubico"}, "no yubico otp configuration available for realm pve"),
        ({"type": "webauthn"}, "no webauthn configuration available"),
    ],
)
def test_a_factor_that_can_not_be_is_refused(params: dict[str, Any], told: str) -> None:
    here = _here()
    sent = {"type": "totp", "totp": APP, "description": "x", "value": _code(here), **params}
    refused = here.refusal(f"POST /access/tfa/{ANA}", user=None, headers=here.login(), **sent)
    assert refused == (500, told)
    assert here.ok("GET /access/tfa") == []


def test_a_realm_that_asks_for_codes_lets_nobody_in_who_has_none() -> None:
    here = _here()
    here.ok("PUT /access/domains/pve", tfa="type=oath")
    sent: dict[str, Any] = {"username": ANA, "password": SECRET}
    assert here.send("POST /access/ticket", user=None, **sent).status == 401
    _add(here)
    assert _first(here)["NeedTFA"] == 1
    once = f"totp:{_code(here)}"
    assert "cap" in here.ok("POST /access/ticket", user=None, otp=once, **sent)


def test_a_factor_that_is_off_is_not_taken() -> None:
    here = _here()
    name = _add(here)["id"]
    here.ok(f"PUT /access/tfa/{ANA}/{name}", user=None, headers=here.login(), enable=0)
    assert here.ok(f"GET /access/tfa/{ANA}/{name}")["enable"] == 0
    ticket = _first(here)["ticket"]
    assert _second(here, ticket, f"totp:{_code(here)}") == 401
