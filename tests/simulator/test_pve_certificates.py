"""Certificates that somebody sets for a node."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.pve import etc_pve
from tests.simulator.pem import self_signed
from tests.simulator.pve_cluster import Cluster, cluster

CHAIN, KEY = self_signed("pve1.lab.example", "pve1")
OTHER, OTHER_KEY = self_signed("other.lab.example")
CALL = "POST /nodes/pve1/certificates/custom"
FILE = "nodes/pve1/pveproxy-ssl"


def _presented(here: Cluster) -> tuple[str, str] | None:
    return here.api.documents.nodes["pve1"].presented


def test_a_certificate_that_is_set_is_told_of_and_shown_from_the_next_start_on() -> None:
    here = cluster()
    row = here.ok(CALL, certificates=f"CN=pve1\n{CHAIN}", key=KEY)
    assert row["filename"] == "pveproxy-ssl.pem"
    assert row["subject"] == row["issuer"] == "/CN=pve1.lab.example/O=lab"
    assert row["san"] == ["pve1.lab.example", "pve1"]
    assert (row["public-key-type"], row["public-key-bits"]) == ("rsaEncryption", 2048)
    assert here.ok("GET /nodes/pve1/certificates/info")[-1] == row
    told = {each["node"]: each["ssl_fingerprint"] for each in here.ok("GET /nodes")}
    assert told["pve1"] == row["fingerprint"] != told["pve2"]
    assert here.api.documents.files[f"{FILE}.pem"] == CHAIN
    assert _presented(here) is None
    assert here.done("POST /nodes/pve1/services/pveproxy/restart").status == "OK"
    assert _presented(here) == (CHAIN, KEY)


def test_a_node_that_boots_shows_what_was_set_meanwhile() -> None:
    here = cluster()
    here.ok(CALL, certificates=CHAIN, key=KEY)
    here.fail("fail-node pve1")
    assert _presented(here) == (CHAIN, KEY)


def test_one_that_is_there_is_replaced_by_force_alone_and_may_keep_its_key() -> None:
    here = cluster()
    assert here.errors(CALL, certificates=CHAIN) == {
        "key": "Attempted to upload custom certificate without (existing) key."
    }
    here.ok(CALL, certificates=CHAIN, key=KEY, restart=1)
    exists = "Custom certificate file exists but force flag is not set."
    assert here.refusal(CALL, certificates=OTHER, key=OTHER_KEY) == (500, exists)
    here.ok(CALL, certificates=CHAIN, force=1)
    here.ok(CALL, certificates=OTHER, key=OTHER_KEY, force=1, restart=1)
    assert _presented(here) == (OTHER, OTHER_KEY)
    here.ok("DELETE /nodes/pve1/certificates/custom", restart=1)
    assert _presented(here) is None
    assert len(here.ok("GET /nodes/pve1/certificates/info")) == 1
    here.ok("DELETE /nodes/pve1/certificates/custom")


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"certificates": "nothing", "key": KEY}, "certificates"),
        ({"certificates": CHAIN + "x", "key": KEY}, "certificates"),
        ({"certificates": KEY, "key": KEY}, "certificates"),
        (
            {"certificates": "-----BEGIN CERTIFICATE-----\nA" + "\n" * 400_000, "key": KEY},
            "certificates",
        ),
        ({"certificates": CHAIN, "key": "nothing"}, "key"),
    ],
)
def test_what_is_no_pem_is_refused(sent: dict[str, Any], why: str) -> None:
    assert cluster().errors(CALL, **sent) == {
        why: "invalid format - not a valid PEM-formatted string.\n"
    }


def test_a_key_that_does_not_fit_changes_nothing() -> None:
    here = cluster()
    status, said = here.refusal(CALL, certificates=CHAIN, key=OTHER_KEY)
    assert (status, said.partition(" - ")[0]) == (500, "Setting certificate files failed")
    assert f"{FILE}.pem" not in here.api.documents.files


def test_a_copy_keeps_the_certificate_and_never_the_key() -> None:
    here = cluster()
    here.ok(CALL, certificates=CHAIN + OTHER, key=KEY)
    files = etc_pve.write(here.api.documents, {})
    again = etc_pve.read(files)
    assert again.documents.files[f"{FILE}.pem"] == files[f"{FILE}.pem"] == CHAIN + OTHER
    assert f"{FILE}.key" in again.unread
    here.api.documents.files[f"{FILE}.pem"] = "spoilt"
    assert len(here.ok("GET /nodes/pve1/certificates/info")) == len(here.ok("GET /nodes")) - 2


def test_who_may_set_certificates() -> None:
    here = cluster()
    auditor = here.user("ana@pve", "PVEAuditor")
    sent = {"certificates": CHAIN, "key": KEY, "user": auditor}
    assert here.refusal(CALL, **sent)[0] == 403
    assert here.refusal("DELETE /nodes/pve1/certificates/custom", user=auditor)[0] == 403
