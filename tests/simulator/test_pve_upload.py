"""Files sent to a storage, by a client in the same process and as requests."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException
from requests import Session

from simulator.pve.documents import Task
from simulator.pve.wire import Request, Response
from simulator.served.inprocess import TwinAdapter
from simulator.served.multipart import File
from tests.simulator.pve_cluster import ROOT, SECRET, Cluster, cluster

CONTENT = b"CD001" * 1000
SHA1 = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
UPLOAD = "/nodes/pve1/storage/local/upload"


def _client(here: Cluster) -> Any:
    client = ProxmoxAPI("pve1", user="root@pam", token_name="test", token_value=SECRET)
    client._store["session"].mount("https://", TwinAdapter(here.twin))
    return client


def _named(name: str) -> io.BytesIO:
    file = io.BytesIO(CONTENT)
    file.name = name
    return file


def _image(name: str) -> io.BytesIO:
    """The header of a disk of 3 GiB, and little else."""
    size_bytes = 3 * 2**30
    head = {
        "qcow2": b"QFI\xfb" + bytes(20) + size_bytes.to_bytes(8, "big"),
        "vmdk": b"KDMV" + bytes(8) + (size_bytes // 512).to_bytes(8, "little"),
    }[name.rpartition(".")[2]]
    file = io.BytesIO(head + bytes(5000))
    file.name = name
    return file


def _ended(here: Cluster, upid: str) -> Task:
    here.wait(5)
    return here.api.documents.tasks[upid]


def _post(here: Cluster, user: str = ROOT, path: str = UPLOAD, **params: Any) -> Response:
    """An upload as the node's face hands it on."""
    sent = {"content": "iso", "filename": "a.iso", "tmpfilename": "/var/tmp/pveupload-01"}
    given = sent | {name.replace("_", "-"): value for name, value in params.items()}
    headers = {"authorization": f"PVEAPIToken={user}={SECRET}"}
    file = File("filename", "a.iso", len(CONTENT), SHA1)
    return here.api.handle(here.twin, Request("pve1", "POST", path, given, headers, file))


def test_proxmoxer_uploads_an_image_from_which_a_guest_starts() -> None:
    here = cluster()
    storage = _client(here).nodes("pve1").storage("local")
    task = _ended(here, storage.upload.post(content="iso", filename=_named("/tmp/my image.iso")))
    assert (task.type, task.id, task.status) == ("imgcopy", "", "OK")
    assert "target file: /var/lib/vz/template/iso/my_image.iso" in task.log
    assert f"file size is: {len(CONTENT)}" in task.log
    (row,) = storage.content.get(content="iso")
    assert (row["volid"], row["size"], row["format"]) == (
        "local:iso/my_image.iso",
        len(CONTENT),
        "iso",
    )
    here.guest(100, ide2=f"{row['volid']},media=cdrom")
    assert here.config(100)["ide2"] == "local:iso/my_image.iso,media=cdrom"
    task = here.done("DELETE /nodes/pve1/storage/local/content/iso%2Fmy_image.iso")
    assert (task.type, task.id) == ("imgdel", "local"), "it belongs to no guest"


def test_a_disk_is_made_from_an_uploaded_image() -> None:
    here = cluster()
    post = _client(here).nodes("pve1").storage("local").upload.post
    _ended(here, post(content="import", filename=_named("cloud.qcow2")))
    image = "local:import/cloud.qcow2"
    here.guest(100, scsi0=f"data:0,import-from={image}")
    assert here.config(100)["scsi0"] == f"data:100/vm-100-disk-0.raw,size={len(CONTENT)}"
    here.done("POST /nodes/pve1/qemu/100/config", scsi1=f"data:0,import-from={image}")
    assert here.config(100)["scsi1"].startswith("data:100/vm-100-disk-1.raw")
    qemu = "POST /nodes/pve1/qemu"
    assert "scsi0" in here.errors(qemu, vmid=101, scsi0=f"data:8,import-from={image}")
    wrong = here.errors(qemu, vmid=101, scsi0="data:0,import-from=local:iso/a.iso")
    assert wrong["scsi0"].startswith("local:iso/a.iso has wrong type 'iso'")
    missing = here.done(qemu, vmid=101, scsi0="data:0,import-from=local:import/none.raw")
    assert missing.status.startswith("unable to create VM 101 - volume 'local:import/none.raw'")
    ana = here.user("ana@pve", "PVEVMAdmin")
    here.api.documents.acl["/storage/data", "user", "ana@pve", "PVEDatastoreUser"] = 1
    refused = here.refusal(qemu, user=ana, vmid=101, scsi0=f"data:0,import-from={image}")
    assert refused[1].startswith("Permission check failed (/storage/local, Datastore.")


@pytest.mark.parametrize("name", ["cloud.qcow2", "cloud.vmdk"])
def test_a_disk_made_from_an_image_is_as_large_as_the_image_says(name: str) -> None:
    here = cluster()
    storage = _client(here).nodes("pve1").storage("local")
    _ended(here, storage.upload.post(content="import", filename=_image(name)))
    (row,) = storage.content.get(content="import")
    assert row["size"] < 6000
    assert storage.content(row["volid"]).get()["size"] == 3 * 2**30
    here.guest(100, scsi0=f"data:0,import-from={row['volid']}")
    assert here.config(100)["scsi0"].endswith(",size=3G")


def test_a_checksum_is_compared_with_what_arrived() -> None:
    here = cluster()
    post = _client(here).nodes("pve1").storage("local").upload.post
    known = {"content": "vztmpl", "checksum-algorithm": "sha1"}
    good = _ended(here, post(filename=_named("a.tar.zst"), checksum=SHA1.upper(), **known))
    assert (good.status, good.log[1]) == ("OK", "calculating checksum...OK, checksum verified")
    bad = _ended(here, post(filename=_named("b.tar.zst"), checksum="0" * 40, **known))
    assert bad.status == f"checksum mismatch: got '{SHA1}' != expect '{'0' * 40}'"
    rows = here.ok("GET /nodes/pve1/storage/local/content")
    assert [row["volid"] for row in rows] == ["local:vztmpl/a.tar.zst"]


def test_a_file_of_the_same_name_is_replaced() -> None:
    here = cluster()
    for _ in range(2):
        upid = (_post(here).members or {})["data"]
        assert _ended(here, str(upid)).status == "OK"
    assert len(here.ok("GET /nodes/pve1/storage/local/content")) == 1


def test_the_node_asked_copies_the_file_to_the_node_named() -> None:
    here = cluster()
    response = _post(here, path="/nodes/pve2/storage/local/upload")
    upid = str((response.members or {})["data"])
    assert upid.split(":")[1] == "pve1"
    assert "target node: pve2" in _ended(here, upid).log
    assert here.ok("GET /nodes/pve1/storage/local/content") == []
    assert len(here.ok("GET /nodes/pve2/storage/local/content")) == 1
    here.fail("fail-node pve2")
    refused = _post(here, path="/nodes/pve2/storage/local/upload").reason
    assert refused.startswith("can't activate storage 'local' on node 'pve2'")


@pytest.mark.parametrize(
    ("params", "status", "reason"),
    [
        ({"filename": "a.txt"}, 400, "Parameter verification failed."),
        ({"content": "import", "filename": "a.ovf"}, 400, "Parameter verification failed."),
        ({"content": "snippets"}, 400, "Parameter verification failed."),
        ({"checksum": SHA1}, 400, "Parameter verification failed."),
        ({"path": "/nodes/pve1/storage/data/upload"}, 500,
         "storage 'data' does not support 'iso' content"),
        ({"path": "/nodes/pve1/storage/none/upload"}, 500, "storage 'none' does not exist"),
        ({"path": "/nodes/pve9/storage/local/upload"}, 500,
         "hostname lookup 'pve9' failed - failed to get address info for: pve9: "
         "Name or service not known"),
        ({"tmpfilename": None}, 500, "missing temporary file name"),
    ],
)  # fmt: skip
def test_an_upload_is_refused_as_a_node_does(
    params: dict[str, Any], status: int, reason: str
) -> None:
    response = _post(cluster(), **params)
    assert (response.status, response.reason) == (status, reason)


def test_who_may_not_allocate_templates_is_told_so() -> None:
    here = cluster()
    weak = here.user("ana@pve", "PVEDatastoreUser", path="/storage/local")
    refused = (403, "Permission check failed (/storage/local, Datastore.AllocateTemplate)")
    answer = _post(here, weak)
    assert (answer.status, answer.reason) == refused
    here.api.documents.storages["data"] = {
        **here.api.documents.storages["data"],
        "content": "iso",
        "nodes": "pve2",
    }
    reason = _post(here, path="/nodes/pve1/storage/data/upload").reason
    assert reason == "storage 'data' is not available on node 'pve1'"


def test_what_is_no_form_with_a_file_is_not_implemented() -> None:
    here = cluster()
    with pytest.raises(ResourceException, match="501"):
        _client(here).nodes("pve1").storage("local").upload.post(content="iso", filename="a.iso")
    session = Session()
    session.mount("https://", TwinAdapter(here.twin))
    headers = {"Authorization": f"PVEAPIToken={ROOT}={SECRET}"}
    url = f"https://pve1:8006/api2/json{UPLOAD}"
    wrong = session.post(url, headers=headers, files={"file": _named("a.iso")})
    assert (wrong.status_code, wrong.reason) == (
        501,
        "wrong field name 'file' for file upload, expected 'filename'",
    )
    elsewhere = session.post(url.replace(UPLOAD, "/pools"), headers=headers, files={"a": b"x"})
    assert elsewhere.status_code == 506
