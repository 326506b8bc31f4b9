"""What is in a backup or an image: refused as the real calls do, for want of content."""

from __future__ import annotations

import pytest

from tests.simulator.pve_cluster import cluster

LOCAL, DATA = "GET /nodes/pve1/storage/local", "GET /nodes/pve1/storage/data"


def test_single_files_come_from_a_backup_server_only() -> None:
    here = cluster()
    given = {"filepath": "/", "volume": "backup/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst"}
    why = {"storage": "Only PBS storages supported for file-restore."}
    assert here.errors(f"{LOCAL}/file-restore/list", **given) == why
    assert here.errors(f"{LOCAL}/file-restore/download", **given) == why
    other = {"filepath": "/", "volume": f"data:{given['volume']}"}
    mismatch = {"storage": "storage ID mismatch"}
    assert here.errors(f"{LOCAL}/file-restore/list", **other) == mismatch
    weak = here.user("ana@pve", "PVEAuditor")
    refused = (403, "Permission check failed (/storage/local, Datastore.AllocateSpace)")
    assert here.refusal(f"{LOCAL}/file-restore/list", user=weak, **given) == refused


@pytest.mark.parametrize(
    ("volume", "why"),
    [("iso/a.iso", "invalid content type 'iso'"), ("import/a.qcow2", "invalid format")],
)
def test_only_what_describes_a_guest_can_be_asked_about(volume: str, why: str) -> None:
    here = cluster()
    assert here.refusal(f"{LOCAL}/import-metadata", volume=volume) == (500, why)
    known = here.refusal(f"{LOCAL}/import-metadata", volume="import/a.ova")
    assert known[0] == 501, "what is in it nobody knows"
    here.ok("POST /storage", storage="tank", type="zfspool", pool="tank")
    refused = here.refusal("GET /nodes/pve1/storage/tank/import-metadata", volume="vm-1-disk-0")
    assert refused == (500, "not implemented")
