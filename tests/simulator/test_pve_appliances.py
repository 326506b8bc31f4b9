"""Templates from the index, and what is told of files elsewhere."""

from __future__ import annotations

from tests.simulator.pve_cluster import cluster

INDEX = "/nodes/pve1/aplinfo"
METADATA = "GET /nodes/pve1/query-url-metadata"


def test_a_template_of_the_index_is_fetched_once_and_makes_a_container() -> None:
    here = cluster()
    entry = next(row for row in here.ok(f"GET {INDEX}") if row["os"] == "debian-12")
    name = entry["template"]
    assert (entry["type"], entry["section"], entry["architecture"]) == ("lxc", "system", "amd64")
    assert name == f"{entry['package']}_{entry['version']}_amd64.tar.zst"
    fetched = here.done(f"POST {INDEX}", storage="local", template=name)
    assert (fetched.type, fetched.id, fetched.status) == ("download", name, "OK")
    again = here.done(f"POST {INDEX}", storage="local", template=name)
    assert again.status == "OK"
    assert again.log[0].endswith("got correct file already, no need to download")
    volid = f"local:vztmpl/{name}"
    assert [v.volid for v in here.api.documents.volumes.values()] == [volid]
    made = here.done("POST /nodes/pve1/lxc", vmid=200, ostemplate=volid, rootfs="data:1")
    assert made.status == "OK"


def test_only_templates_of_the_index_are_fetched_to_where_templates_may_be() -> None:
    here = cluster()
    asked = f"POST {INDEX}"
    errors = here.errors(asked, storage="local", template="debian-1.tar.gz")
    assert errors == {"template": "no such template"}
    (first, *_) = here.ok(f"GET {INDEX}")
    refused = here.refusal(asked, storage="data", template=first["template"])
    assert refused == (500, "storage 'data' does not support templates")


def test_a_file_elsewhere_is_as_large_as_it_will_be_once_fetched() -> None:
    here = cluster()
    url = "https://mirror.example/images/cloud.qcow2?version=1"
    told = here.ok(METADATA, url=url)
    assert (told["filename"], told["mimetype"]) == ("cloud.qcow2", "application/octet-stream")
    fetch = "POST /nodes/pve1/storage/local/download-url"
    here.done(fetch, content="import", filename=told["filename"], url=url)
    (row,) = here.ok("GET /nodes/pve1/storage/local/content")
    assert row["size"] == told["size"]
    assert "url" in here.errors(METADATA, url="ftp://mirror.example/a")
    weak = here.user("weak@pve", "PVEAuditor")
    assert here.send(METADATA, weak, url=url).status == 403
