"""/etc/pve: files that are written are read back equal, and copies of real ones become twins."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import VlabError
from simulator.pve import copied, etc_pve, user_cfg
from simulator.pve.copied import read_archive, twin_of_archive
from simulator.pve.documents import Documents, Entry, GuestConfig
from simulator.pve.wire import Request
from simulator.pve_guest import guest_file
from tests.simulator.pve_cluster import cluster

COROSYNC = """
nodelist {
  node {
    name: n1
    nodeid: 1
    ring0_addr: 10.1.1.1
  }
  node {
    name: n2
    nodeid: 2
    ring0_addr: n2.example
  }
}
totem {
  cluster_name: Prod
}
"""
FILES = {
    "corosync.conf": COROSYNC,
    "user.cfg": "user:root@pam:1:0:::::\nuser:ana@pve:1:0:Ana::a@b.example:hi%3a there::\n"
    "group:ops:ana@pve:the ops:\nacl:1:/:@ops:PVEAdmin:\npool:web::100:local:\n",
    "storage.cfg": "dir: local\n\tpath /var/lib/vz\n\tcontent iso,backup\n\n"
    "lvmthin: thin\n\tthinpool data\n\tvgname pve\n\tcontent rootdir,images\n\n",
    "nodes/n1/qemu-server/100.conf": "#a%3ab\nmemory: 512\nname: web1\nonboot: 1\n"
    "net0: virtio=BC:24:11:00:00:01,bridge=vmbr7,tag=12\nscsi0: thin:vm-100-disk-0,size=2G\n"
    "unused0: thin:vm-100-disk-1\n\n[old]\nmemory: 256\nsnaptime: 1700000000\n",
    "nodes/n2/lxc/200.conf": "arch: amd64\nhostname: ct1\nmemory: 128\n"
    "ostype: alpine\nlxc.cap.drop: x\n",
    "firewall/cluster.fw": "[OPTIONS]\n\nenable: 1\n\n",
    "ha/resources.cfg": "vm: 100\n\tstate started\n\n",
    "jobs.cfg": "vzdump: nightly\n\tschedule 02:00\n\tall 1\n\tstorage local\n\n",
    "datacenter.cfg": "keyboard: es\nmax_workers: 4\n",
}


def archive(path: Path, files: dict[str, str], *extra: tarfile.TarInfo) -> Path:
    """A tar of these files below etc/pve, and of members without content."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"etc/pve/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
        for member in extra:
            tar.addfile(member)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"etc/pve/{name}")
    member.type, member.linkname = kind, target
    return member


def test_a_copied_cluster_answers_as_itself(tmp_path: Path) -> None:
    found = twin_of_archive(archive(tmp_path / "b.tar.gz", FILES, link("local", "nodes/n1")))
    found.api.add_token("root@pam!t", "s")

    def get(path: str) -> object:
        headers = {"authorization": "PVEAPIToken=root@pam!t=s"}
        answer = found.api.handle(found.twin, Request("n1", "GET", path, {}, headers))
        assert answer.status == 200, answer
        return (answer.members or {})["data"]

    rows = get("/cluster/status")
    assert isinstance(rows, list)
    assert [(row["name"], row.get("ip")) for row in rows] == [
        ("Prod", None), ("n1", "10.1.1.1"), ("n2", "192.0.2.2"),
    ]  # fmt: skip
    config = get("/nodes/n1/qemu/100/config")
    assert isinstance(config, dict)
    assert (config["description"], config["memory"]) == ("a:b", "512")
    running = get("/nodes/n1/qemu/100/status/current")
    assert isinstance(running, dict)
    assert running["status"] == "running"
    volumes = get("/nodes/n1/storage/thin/content")
    assert isinstance(volumes, list)
    assert {row["volid"] for row in volumes} == {"thin:vm-100-disk-0", "thin:vm-100-disk-1"}
    job = get("/cluster/backup/nightly")
    assert isinstance(job, dict)
    assert (job["all"], job["schedule"]) == (1, "02:00")


def test_what_is_read_is_written_back_equal() -> None:
    first = etc_pve.read(FILES)
    again = etc_pve.read(etc_pve.write(first.documents, first.places))
    for known in ("users", "groups", "acl", "pools", "storages", "guests", "jobs", "options",
                  "ha_resources", "files"):  # fmt: skip
        assert getattr(again.documents, known) == getattr(first.documents, known), known
    assert again.places == first.places


def test_a_cluster_that_was_worked_on_is_read_back_equal() -> None:
    here = cluster()
    here.guest(100, scsi0="data:1,format=qcow2", description="one\ntwo", tags="a;b")
    here.done("POST /nodes/pve1/qemu/100/snapshot", snapname="one")
    here.ok("POST /pools", poolid="web", comment="a:b %")
    here.ok("POST /cluster/sdn/zones", zone="z1", type="simple")
    here.ok("POST /cluster/firewall/rules", type="in", action="DROP", comment="x")
    here.ok("PUT /cluster/options", migration="type=secure", description="x\ny")
    here.ok("POST /cluster/backup", schedule="daily", all=1, comment="a\nb")
    kept = here.api.documents
    again = etc_pve.read(etc_pve.write(kept, {100: "pve1"})).documents
    for known in ("users", "pools", "storages", "guests", "files", "options", "jobs"):
        assert getattr(again, known) == getattr(kept, known), known


def test_secrets_are_passed_over_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    plain = tarfile.TarFile.extractfile

    def noted(tar: tarfile.TarFile, member: tarfile.TarInfo | str) -> object:
        read.append(str(getattr(member, "name", member)))
        return plain(tar, member)

    monkeypatch.setattr(tarfile.TarFile, "extractfile", noted)
    secret = {"priv/token.cfg": "hidden", "nodes/n1/priv/x.key": "hidden", "priv/shadow.cfg": "h"}
    files = read_archive(archive(tmp_path / "b.tar.gz", {**FILES, **secret}))
    assert not [name for name in read if "priv" in name]
    assert not [text for text in files.values() if "hidden" in text]


def test_a_secret_that_stands_in_a_plain_file_is_left_out() -> None:
    text = "openid: sso\n\tissuer-url https://x\n\tclient-id c\n\tclient-key hidden\n\n"
    assert "hidden" not in str(etc_pve.read({"domains.cfg": text}).documents)


_HOSTILE: dict[str, Callable[[Path], Path]] = {
    "leads out": lambda path: archive(path, FILES, tarfile.TarInfo("../../etc/passwd")),
    "absolute": lambda path: archive(path, FILES, tarfile.TarInfo("/etc/passwd")),
    "link": lambda path: archive(path, FILES, link("user.cfg", "/etc/shadow")),
    "hard link": lambda path: archive(path, FILES, link("x.cfg", "etc/pve/y", tarfile.LNKTYPE)),
    "device": lambda path: archive(path, FILES, link("null", "", tarfile.CHRTYPE)),
    "large file": lambda path: archive(path, {**FILES, "user.cfg": "#" * (2**20 + 1)}),
    "many members": lambda path: archive(path, {f"n{n}": "" for n in range(40)}),
    "no archive": lambda path: path.with_name("none"),
    "not a tar": lambda path: (path.write_bytes(b"no tar"), path)[1],
    "cut short": lambda path: _cut(archive(path, FILES)),
    "damaged": lambda path: _damaged(path),
    "no cluster": lambda path: archive(path, {"hello.txt": "x"}),
    "no node": lambda path: archive(path, {"storage.cfg": "dir: local\n\tpath /x\n"}),
    "bad name": lambda path: archive(path, {"nodes/a b;c/config": "x: y"}),
}  # fmt: skip


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-40])
    return path


def _damaged(path: Path) -> Path:
    text = random.Random(0).randbytes(300_000).hex()
    tar = gzip.decompress(archive(path, {**FILES, "x": text}).read_bytes())
    packed = bytearray(lzma.compress(tar))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    return path


@pytest.mark.parametrize("kind", _HOSTILE)
def test_a_hostile_or_broken_archive_gets_a_plain_error(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied, "MOST_MEMBERS", 30)
    with pytest.raises(VlabError):
        twin_of_archive(_HOSTILE[kind](tmp_path / "b.tar.gz"))


def test_what_a_file_says_wrong_is_left_out_and_the_rest_served() -> None:
    files = {
        **FILES,
        "user.cfg": "user::\nbogus\nacl:x\nuser:bob@pve:1\n",
        "storage.cfg": "huh\n\tx",
    }
    found = etc_pve.read(files)
    assert "bob@pve" in found.documents.users
    assert found.documents.storages == {}


_KEY = st.sampled_from(["name", "cores", "memory", "scsi0", "net0", "tags", "args"])
_VALUE = st.from_regex(r"[A-Za-z][A-Za-z0-9=,:\-]{0,12}", fullmatch=True)
_OPTIONS: st.SearchStrategy[Entry] = st.dictionaries(_KEY, _VALUE, max_size=4)
_NOTES = st.lists(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1), min_size=1
)


@given(
    options=_OPTIONS, pending=_OPTIONS, removals=st.dictionaries(_KEY, st.integers(1, 2)),
    snapshots=st.dictionaries(st.sampled_from(["snap", "other"]), _OPTIONS, max_size=2),
    notes=_NOTES,
)  # fmt: skip
def test_a_guests_file_is_read_back_equal(
    options: Entry, pending: Entry, removals: dict[str, int], snapshots: dict[str, Entry],
    notes: list[str],
) -> None:  # fmt: skip
    described = {**options, "description": "\n".join(notes)}
    guest = GuestConfig("qemu", described, pending, removals, snapshots)
    assert guest_file.read(guest.text, "qemu") == guest


_TEXT = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=12)
_NAME = st.from_regex(r"[a-z][a-z0-9]{1,6}", fullmatch=True)


@given(comment=_TEXT, first=_TEXT, user=_NAME, group=_NAME, pool=_NAME)
def test_any_text_survives_user_cfg(
    comment: str, first: str, user: str, group: str, pool: str
) -> None:
    documents = Documents()
    documents.users["root@pam"] = {"enable": 1, "expire": 0}
    documents.groups[group] = {"comment": comment}
    documents.users[f"{user}@pve"] = {"enable": 0, "expire": 5, "firstname": first, "groups": group}
    documents.tokens[f"{user}@pve!t1"] = {"expire": 0, "privsep": 1, "comment": comment}
    documents.pools[pool] = {"comment": comment, "vms": "100,101"}
    documents.acl["/vms/100", "token", f"{user}@pve!t1", "PVEAuditor"] = 1
    again = Documents()
    user_cfg.read(user_cfg.write(documents), again)
    for known in ("users", "groups", "tokens", "pools", "acl"):
        assert getattr(again, known) == getattr(documents, known)


def test_an_empty_value_of_a_guest_is_written_as_nothing_and_comes_back_as_a_blank() -> None:
    guest = GuestConfig("qemu", {"boot": " ", "name": "web"})
    assert guest.text == "boot: \nname: web\n"
    assert guest_file.read(guest.text, "qemu") == guest


def test_what_is_no_file_is_no_archive() -> None:
    with pytest.raises(VlabError, match="/dev/zero is no file"):
        read_archive(Path("/dev/zero"))
