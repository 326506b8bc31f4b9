"""ACME: plugins that are kept, and a server that nobody reaches."""

from __future__ import annotations

from base64 import b64encode

import pytest

from simulator.pve.releases import RELEASES
from tests.simulator.pem import self_signed
from tests.simulator.pve_cluster import cluster

PLUGIN = "/cluster/acme/plugins"
LOST = "Can't connect to ca.lab.example:8443 (Temporary failure in name resolution)"


def test_a_plugin_is_kept_in_its_file_and_tells_its_data_in_plain() -> None:
    here = cluster()
    data = b64encode(b"PDNS_Url=http://ns\nPDNS_Token=a=b\n").decode()
    here.ok(f"POST {PLUGIN}", id="own", type="dns", api="pdns", data=data, nodes="pve1,pve2")
    here.ok(f"PUT {PLUGIN}/own", validation__delay=5, disable=1)
    assert here.api.documents.files["priv/acme/plugins.cfg"] == (
        f"dns: own\n\tdisable\n\tapi pdns\n\tdata {data}\n\tnodes pve1,pve2\n"
        "\tvalidation-delay 5\n\nstandalone: standalone\n\n"
    )
    own = here.ok(f"GET {PLUGIN}/own")
    assert own["data"] == "PDNS_Url=http://ns\nPDNS_Token=a=b\n"
    assert (own["plugin"], own["type"], own["disable"]) == ("own", "dns", 1)
    assert [row["plugin"] for row in here.ok(f"GET {PLUGIN}")] == ["own", "standalone"]
    assert here.ok(f"GET {PLUGIN}", type="dns") == [own]
    here.ok(f"PUT {PLUGIN}/own", delete="data,disable", digest=own["digest"])
    assert here.ok(f"GET {PLUGIN}/own").keys() & {"data", "disable"} == set()
    here.ok(f"PUT {PLUGIN}/own", data="QT\n0x")
    assert "\tdata QT0x\n" in here.api.documents.files["priv/acme/plugins.cfg"]
    here.ok(f"PUT {PLUGIN}/own", data="QTI")
    assert "\tdata QTI=\n" in here.api.documents.files["priv/acme/plugins.cfg"]
    here.ok(f"DELETE {PLUGIN}/own")
    assert here.refusal(f"GET {PLUGIN}/own") == (500, "ACME plugin 'own' not defined")
    here.ok(f"DELETE {PLUGIN}/standalone")
    assert [row["plugin"] for row in here.ok(f"GET {PLUGIN}")] == ["standalone"]


@pytest.mark.parametrize(
    ("call", "sent", "why"),
    [
        (f"POST {PLUGIN}", {"id": "own", "type": "dns", "api": "cf"},
         "ACME plugin ID 'own' already exists"),
        (f"POST {PLUGIN}", {"id": "two", "type": "dns"},
         "missing value for required option 'api'"),
        (f"POST {PLUGIN}", {"id": "two", "type": "standalone", "api": "cf"},
         "unexpected property 'api'"),
        (f"PUT {PLUGIN}/two", {}, "ACME plugin ID 'two' does not exist"),
        (f"PUT {PLUGIN}/own", {"delete": "api"}, "unable to delete required option 'api'"),
        (f"PUT {PLUGIN}/own", {"digest": "0" * 40}, "detected modified configuration - file "
         "changed by other user? Try again."),
    ],
)  # fmt: skip
def test_a_plugin_that_does_not_fit_is_refused(call: str, sent: dict[str, str], why: str) -> None:
    here = cluster()
    here.ok(f"POST {PLUGIN}", id="own", type="dns", api="pdns")
    assert here.refusal(call, **sent) == (500, why)


def test_each_release_knows_its_providers() -> None:
    here = cluster()
    for name, has in {"9.2": {"beget", "gcore"}, "8.4": {"gcore"}, "7.4": {"yandex"}}.items():
        here.api.release = RELEASES[name]
        known = {row["id"] for row in here.ok("GET /cluster/acme/challenge-schema")}
        assert known & {"beget", "gcore", "yandex"} == has


def test_no_account_is_registered_with_a_server_that_is_not_reached() -> None:
    here = cluster()
    root = {"user": None, "headers": here.login()}
    server = "https://ca.lab.example:8443/dir"
    call = {"contact": "root@lab.example", "directory": server}
    task = here.done("POST /cluster/acme/account", **call, **root)
    assert task.status == f"Registration failed: Error: GET to {server} {LOST}"
    assert here.ok("GET /cluster/acme/account") == []
    assert here.refusal("GET /cluster/acme/tos", directory=server) == (
        500, f"Error: GET to {server}"
    )  # fmt: skip
    assert here.refusal("GET /cluster/acme/meta")[0] == 500
    missing = {"name": "ACME account config file 'own' does not exist."}
    for method in ("GET", "PUT", "DELETE"):
        assert here.errors(f"{method} /cluster/acme/account/own", **root) == missing
    assert here.refusal("POST /cluster/acme/account", **call)[0] == 403, "for root alone"


def test_an_order_needs_a_domain_and_an_account() -> None:
    here, order = cluster(), "/nodes/pve1/certificates/acme/certificate"
    assert here.refusal(f"POST {order}")[0] == 400
    here.ok("PUT /nodes/pve1/config", acme="account=own,domains=a.lab.example")
    lost = "ACME account config file 'own' does not exist."
    assert here.done(f"POST {order}").status == lost
    assert here.refusal(f"PUT {order}")[1].startswith("No current (custom) certificate found")
    chain, key = self_signed("pve1")
    here.ok("POST /nodes/pve1/certificates/custom", certificates=chain, key=key)
    assert here.errors(f"POST {order}").keys() == here.errors(f"PUT {order}").keys() == {"force"}
    task = here.done(f"PUT {order}", force=1)
    assert (task.type, task.status) == ("acmerenew", lost)
    assert here.done(f"DELETE {order}").status == lost


def test_a_domain_may_name_a_plugin_that_is_there() -> None:
    here, put = cluster(), "PUT /nodes/pve1/config"
    own = "a.lab.example,plugin=own"
    assert here.refusal(put, acmedomain0=own)[1].startswith("plugin 'own' for domain")
    here.ok(f"POST {PLUGIN}", id="own", type="dns", api="pdns")
    here.ok(put, acmedomain0=own)
