"""REST 2.0 and 1.0 of the array, in process through requests."""

from __future__ import annotations

from functools import cache

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.auth import HTTPBasicAuth

from simulator.served.inprocess import TwinAdapter
from tests.simulator.array import GIB, PASSWORD, Array, array


def rest(version: str, *, full: bool = True) -> tuple[Array, requests.Session]:
    here = array(version, full=full)
    session = requests.Session()
    session.auth = HTTPBasicAuth(here.api.version.administrator, PASSWORD)
    session.mount("https://", TwinAdapter(here.twin))
    return here, session


BASE = "https://nas1/api/v2.0"


def test_rest_2_has_paths_by_rule_and_bodies_that_are_the_parameter() -> None:
    here, web = rest("13.0", full=False)
    made = web.post(
        f"{BASE}/pool/dataset", json={"name": "tank/a", "type": "VOLUME", "volsize": GIB}
    )
    assert (made.status_code, made.json()["id"]) == (200, "tank/a")
    one = f"{BASE}/pool/dataset/id/tank%2Fa"
    assert web.get(one).json()["volsize"]["parsed"] == GIB
    assert web.put(one, json={"volsize": 2 * GIB}).json()["volsize"]["parsed"] == 2 * GIB
    assert web.post(f"{one}/attachments").json() == []
    assert web.get(f"{BASE}/iscsi/global/").json()["basename"] == "iqn.2005-10.org.freenas.ctl"
    assert web.put(f"{BASE}/iscsi/global", json={"basename": "iqn.x"}).json()["basename"] == "iqn.x"
    assert web.get(f"{BASE}/system/version").json() == "TrueNAS-13.0-U6.8"
    assert web.put(f"{BASE}/service/id/nfs", json={"enable": True}).json() == 4
    assert web.post(f"{BASE}/service/start", json={"service": "nfs"}).json() is True
    extent = {"name": "e", "disk": "zvol/tank/a"}
    number = web.post(f"{BASE}/iscsi/extent", json=extent).json()["id"]
    gone = web.delete(f"{BASE}/iscsi/extent/id/{number}", json={"remove": False, "force": False})
    assert gone.json() is True
    assert web.delete(one, json={"recursive": True}).json() is True
    assert web.get(one).status_code == 404
    assert here("iscsi.extent.query") == []


def test_rest_2_takes_members_of_extra_from_the_query_string() -> None:
    _, web = rest("13.0")
    pools = {row["name"]: row["pool"] for row in web.get(f"{BASE}/disk?extra.pools=true").json()}
    assert {"tank", "images"} <= {*pools.values()}
    assert {row["pool"] for row in web.get(f"{BASE}/disk").json()} == {None}
    roots = web.get(f"{BASE}/pool/dataset?extra.flat=false").json()
    assert {row["id"] for row in roots} == {"tank", "images"}


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [("POST", "/alert/list", "GET"), ("PATCH", "/pool/dataset", "GET,POST"),
     ("POST", "/iscsi/target/id/1", "DELETE,GET,PUT")],
)  # fmt: skip
def test_rest_2_says_which_verbs_a_path_has(verb: str, path: str, allowed: str) -> None:
    _, web = rest("13.0", full=False)
    answer = web.request(verb, f"{BASE}{path}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert web.request(verb, f"{BASE}/nothing").status_code == 404


def test_rest_2_filters_by_query_string() -> None:
    here, web = rest("13.0", full=False)
    for number in range(3):
        here("iscsi.initiator.create", {"comment": f"c{number}", "initiators": ["iqn.a:b"]})
    url = f"{BASE}/iscsi/initiator"
    assert len(web.get(f"{url}?limit=0").json()) == 3
    assert [row["id"] for row in web.get(f"{url}?id__gt=1&sort=-id").json()] == [3, 2]
    assert web.get(f"{url}?count=true").json() == 3
    assert [row["id"] for row in web.get(f"{url}?comment=c1").json()] == [2]
    assert [row["id"] for row in web.get(f"{url}?id__in=1,3").json()] == [1, 3]
    assert [row["id"] for row in web.get(f"{url}?comment__contains=c").json()] == [1, 2, 3]
    assert [row["id"] for row in web.get(f"{url}?limit=1&offset=1").json()] == [2]


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("GET", "/none", None, 404),
        ("GET", "/iscsi/target/id/99", None, 404),
        ("DELETE", "/iscsi/target/id/99", None, 404),
        ("POST", "/iscsi/target", "{", 400),
        ("POST", "/iscsi/target", '{"name": "Upper"}', 422),
        ("POST", "/iscsi/target", '{"nme": "x"}', 422),
        ("DELETE", "/iscsi/target/id/1", None, 422),
        ("DELETE", "/iscsi/extent/id/1", '{"rm": true}', 400),
        ("POST", "/service/start", '{"options": {}}', 400),
        ("POST", "/core/set_options", "{}", 404),
    ],
)
def test_rest_2_says_no_with_a_status(verb: str, path: str, body: str | None, status: int) -> None:
    _, web = rest("13.0")
    answer = web.request(verb, f"{BASE}{path}", data=body)
    assert answer.status_code == status
    assert answer.json()


def test_rest_2_bodies_of_refusals_are_the_vendors() -> None:
    _, web = rest("13.0")
    refused = web.delete(f"{BASE}/iscsi/target/id/1").json()
    assert refused == {"message": "Target t is in use.", "errno": 14}
    invalid = web.post(f"{BASE}/iscsi/extent", json={"name": "z", "disk": "zvol/tank/none"}).json()
    assert invalid["iscsi_extent_create.name"] == [
        {"message": "Extent name must be unique", "errno": 17}
    ]
    assert web.delete(f"{BASE}/iscsi/target/id/1", data="true").json() is True


@pytest.mark.parametrize("header", ["", "Basic !", "Basic dXNlcg==", "Bearer 1-x", "Token x"])
def test_rest_2_lets_nobody_in_without_a_login(header: str) -> None:
    here, _ = rest("13.0")
    web = requests.Session()
    web.mount("https://", TwinAdapter(here.twin))
    assert web.get(f"{BASE}/pool", headers={"Authorization": header}).status_code == 401


def test_rest_2_takes_an_api_key_since_12() -> None:
    for version, status in (("13.0", 200), ("11.3", 401)):
        here, _ = rest(version)
        web = requests.Session()
        web.mount("https://", TwinAdapter(here.twin))
        headers = {"Authorization": f"Bearer {here.key}"}
        assert web.get(f"{BASE}/pool", headers=headers).status_code == status


def test_rest_came_and_went() -> None:
    for version, first, second in (
        ("11.1", 200, 404), ("11.3", 200, 200), ("13.0", 404, 200), ("26.0", 404, 404),
    ):  # fmt: skip
        _, web = rest(version)
        web.auth = HTTPBasicAuth("root", PASSWORD)
        _.api.set_password("root", PASSWORD)
        assert web.get("https://nas1/api/v1.0/services/iscsi/target/").status_code == first
        assert web.get(f"{BASE}/iscsi/target").status_code == second


def test_a_job_over_rest_is_a_number_to_ask_for() -> None:
    here, web = rest("25.10")
    number = web.post(f"{BASE}/service/control", json={"verb": "START", "service": "ssh"}).json()
    here.wait(5)
    (job,) = web.get(f"{BASE}/core/get_jobs?id={number}").json()
    assert job["state"] == "SUCCESS"


OLD = "https://nas1/api/v1.0"


def test_rest_1_reads_the_whole_chain_under_its_old_names() -> None:
    _, web = rest("11.1")
    iscsi = f"{OLD}/services/iscsi"
    (target,) = web.get(f"{iscsi}/target/").json()
    groups = web.get(f"{iscsi}/targetgroup/").json()
    portals = web.get(f"{iscsi}/portal/").json()
    (extent,) = web.get(f"{iscsi}/extent/").json()
    (lun,) = web.get(f"{iscsi}/targettoextent/").json()
    (group,) = web.get(f"{iscsi}/authorizedinitiator/").json()
    assert target["iscsi_target_name"] == "t"
    assert [row["iscsi_target_portalgroup"] for row in groups] == [row["id"] for row in portals]
    assert portals[0]["iscsi_target_portal_ips"] == ["10.0.101.21:3260"]
    assert extent["iscsi_target_extent_disk"] == "zvol/tank/z"
    assert extent["iscsi_target_extent_type"] == "ZVOL"
    assert (lun["iscsi_target"], lun["iscsi_extent"]) == (target["id"], extent["id"])
    assert group["iscsi_target_initiator_initiators"].count("iqn.") == 3
    assert web.get(f"{iscsi}/globalconfiguration/").json()["iscsi_basename"].startswith("iqn.")
    assert web.get(f"{OLD}/sharing/nfs/").json()[0]["nfs_paths"] == ["/mnt/images/iso"]
    assert web.get(f"{OLD}/storage/volume/tank/zvols/").json()[0]["name"] == "z"
    assert web.get(f"{OLD}/storage/volume/images/datasets/").json()[0]["name"] == "iso"
    for path in ("services/services", "network/interface", "network/vlan", "storage/volume"):
        assert web.get(f"{OLD}/{path}/").json()
    assert web.get(f"{iscsi}/authcredential/").json() == []
    assert web.get(f"{OLD}/system/version/").json()["fullversion"] == "FreeNAS-11.1-U7"


def test_rest_1_pages_its_lists_finds_one_and_writes_nothing() -> None:
    here, web = rest("11.1")
    for number in range(24):
        here("iscsi.initiator.create", {"comment": str(number)})
    url = f"{OLD}/services/iscsi/authorizedinitiator/"
    assert len(web.get(url).json()) == 20
    assert len(web.get(url, params={"limit": 0}).json()) == 25
    assert len(web.get(url, params={"offset": 20}).json()) == 5
    assert web.get(f"{url}3/").json()["id"] == 3
    assert web.get(f"{url}99/").status_code == 404
    assert web.post(url, json={}).status_code == 405
    assert web.get(url, auth=HTTPBasicAuth("root", "wrong")).status_code == 401


PATHS = st.sampled_from(
    [
        "/iscsi/target",
        "/iscsi/target/id/1",
        "/pool/dataset/id/tank",
        "/service/start",
        "/pool",
        "/id",
    ]
)


@given(
    verb=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    path=PATHS | st.text(max_size=20).map(lambda text: f"/{text}"),
    query=st.text(max_size=20),
    body=st.binary(max_size=20) | st.sampled_from([b"{}", b"[]", b"true", b'{"force": 1}', b"1"]),
)
@settings(max_examples=200)
def test_whatever_is_asked_over_rest_is_answered(
    verb: str, path: str, query: str, body: bytes
) -> None:
    answer = _shaken_over_rest().request(verb, f"{BASE}{path}?{query}", data=body)
    assert answer.status_code in (200, 400, 404, 405, 422)


@cache
def _shaken_over_rest() -> requests.Session:
    return rest("13.0")[1]
