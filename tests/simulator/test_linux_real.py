"""Simulated commands beside the real ones: the same lines, files and disks, the same answers.

Each skips, with the reason, where the real program or the right to use it is missing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.linux.exportfile import Reading, lines
from simulator.linux.fstab import read_fstab
from simulator.linux.mpconf import read as read_multipath
from simulator.storage.disks import EXTENT_BYTES, usable
from tests.simulator.linux_hosts import Hosts, hosts

ENVIRONMENT = {
    "LC_ALL": "C",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


def _need(*programs: str, root: bool = False) -> None:
    for program in programs:
        if shutil.which(program, path=ENVIRONMENT["PATH"]) is None:
            pytest.skip(f"{program} is not installed")
    if root and os.geteuid() != 0:
        pytest.skip("only root may do this")


def _real(*argv: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=cwd, env=ENVIRONMENT, input=stdin, capture_output=True, text=True, check=False
    )


LINES = [
    "echo a b && echo -n c; printf '%s=%s\\n' x 1 y 2",
    "cat nope",
    "cat . ",
    "cat a nope a",
    "cat < nope",
    "echo x > no/such",
    "echo x > d",
    "cat > new && stat -c '%a %s %F' new",
    "umask 027 && echo x > new && mkdir dir && stat -c '%a %n' new dir",
    "stat nope",
    "stat -c '%s %F' a empty d",
    "ls nope",
    "ls -1 d && ls -d d && ls a",
    "ls -A d",
    "mkdir d",
    "mkdir no/such",
    "mkdir -p no/such/thing d && ls no/such",
    "mkdir -m 700 p && stat -c %a p",
    "rmdir d",
    "rmdir a",
    "rm nope",
    "rm d",
    "rm -f nope && rm -r d && ls",
    "mv nope b",
    "mv a d && ls d",
    "mv -T a d",
    "mv a b && cat b && ls",
    "mv a d/nope/x",
    "cp nope b",
    "cp d b",
    "cp a b && cat b",
    "cp -p a d && stat -c %a d/a",
    "cp a",
    "chmod 600 a && stat -c %a a",
    "chmod 600 nope",
    "chmod 9 a",
    "chown nosuchuser a",
    "chown root:root a nope",
    "install -m 0640 a b && stat -c %a b",
    "install -m 0600 /dev/stdin b && cat b",
    "install nope b",
    "install -d -m 0700 x/y && stat -c %a x x/y",
    "install -D -m 644 a x/y/z && cat x/y/z",
    "tee b > /dev/null && cat b",
    "tee nope/x",
    "tee -a a > /dev/null && cat a",
    "touch a new && ls && touch nope/x",
    "sync a nope",
    "sha256sum a nope",
    "sha256sum < a",
    "cmp a b2",
    "cmp a nope",
    "cmp -s a empty",
    "test -f a && test -d d && test ! -e nope && test -s a && ! test -s empty",
    "test -f a && test -d d && test ! -e nope && test -s a",
    "[ -f a ] && [ x = x ] && [ 2 -gt 1 ] && echo yes",
    "[ -f nope ] || echo no",
    "test x -eq 1",
    "false || echo second && echo third; true && false || echo fourth",
    "false && echo no | cat; echo end",
    "echo a | cat | tee b && cat b",
    "cat a nope 2>&1 | cat",
    "cat nope 2> errors; cat errors",
    "cat nope > out 2>&1; cat out",
    "echo one >> a; cat a",
    "mktemp nope/XXXXXX",
    "mktemp -p nope",
    "mktemp bad.XX",
    "dd of=b status=none conv=fsync && cat b",
    "dd if=nope of=b status=none",
    "head -n 1 a",
    "readlink -f a",
    "readlink a",
    "readlink -f no/such",
    "sh -c 'cat \"$1\" && exit 3' sh a; echo $1",
    "sh -c 'exit 7'",
    "sh -ec 'false; echo no'",
    "env A=b cat a",
    "command -v nosuchcommand",
    "nosuchcommand x",
    "./nosuchcommand",
    "timeout 5 cat a",
    "id -u && id -un && whoami",
    "id nosuchuser",
    "getent passwd nosuchuser",
    "echo 'a' \"a\" a\\",
    "exit 4; echo no",
    "umask",
    "cat a > b > c; ls",
]


@pytest.fixture(scope="module")
def world() -> Hosts:
    here = hosts()
    here.says("pve1", "mkdir /play /play/d && echo first > /play/a && echo second >> /play/a")
    here.says("pve1", "touch /play/empty /play/d/.hidden && echo in > /play/d/file")
    here.says("pve1", "echo firsx > /play/b2 && chmod 750 /play/a")
    return here


@pytest.mark.parametrize("line", LINES)
def test_a_line_does_what_bash_and_the_coreutils_do(
    line: str, world: Hosts, tmp_path: Path
) -> None:
    _need("bash", "stat", root=True)
    for name, content in (("a", "first\nsecond\n"), ("empty", ""), ("b2", "firsx\n")):
        (tmp_path / name).write_text(content)
    (tmp_path / "a").chmod(0o750)
    (tmp_path / "d").mkdir(mode=0o755)
    (tmp_path / "d" / ".hidden").touch()
    (tmp_path / "d" / "file").write_text("in\n")
    expected = _real("bash", "-c", line, cwd=tmp_path, stdin="given\n")
    fork = world.fork()
    account = fork.host("pve1").state.accounts["root"]
    fork.host("pve1").state.accounts["root"] = type(account)(0, "/play", sudo=True)
    result = fork("pve1", line, "given\n")
    if "is not simulated" in result.stderr:
        assert result.status == 2
        return
    place = str(tmp_path)
    assert result.status == expected.returncode
    assert result.stdout == expected.stdout.replace(place, "/play")
    assert _plain(result.stderr) == _plain(expected.stderr.replace(place, "/play"))
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert {name.removeprefix("/play/") for name in fork.host("pve1").files(fork.twin).walk("/play")
            if name != "/play"} == left  # fmt: skip


def _plain(text: str) -> str:
    """Messages without what differs between releases: hints, line numbers, statx."""
    text = re.sub(r"(?m)^Try '.*\n|^\d+\+\d+ records.*\n", "", text)
    text = re.sub(r"\b(bash|sh): (line \d+: )?", r"\1: ", text)
    text = text.replace("bash: -c: ", "bash: ")
    return re.sub(r"0x[0-9a-f]+", "0x", text)


EXPORTS = [
    "/a 10.0.0.0/24(rw,sync,no_subtree_check,no_root_squash)\n",
    '"/b" -no_subtree_check,rw 10.0.0.5 10.0.1.0/255.255.255.0(no_root_squash)  # note\n',
    "/a 10.0.0.0/24(rw,no_subtree_check) \\\n  10.0.1.0/24(ro,no_subtree_check)\n",
    "/a 10.0.0.0/24(rw,no_subtree_check)\n/b 1.1.1.1(rw,foo)\n/a 1.1.1.2(no_subtree_check)\n",
    "/a 10.0.0.0/24 (rw,no_subtree_check)\n",
    "/a 10.0.0.0/33(rw,no_subtree_check)\n",
    "/a 10.0.0.0/24(rw,no_subtree_check)x\n",
    "/a 10.0.0.0/24(rw\n",
    "/a 10.0.0.0/24(rw,anonuid=x,no_subtree_check)\n",
    "/a 10.0.0.0/24(rw,sec=foo,no_subtree_check)\n",
    "/a 10.0.0.0/24(rw,no_subtree_check)\n/a 10.0.0.0/24(ro,no_subtree_check)\n",
    "/nope 10.0.0.0/24(rw,no_subtree_check)\n",
    "/a *(async,no_wdelay,nohide,crossmnt,no_subtree_check,all_squash,anonuid=5,fsid=3)\n",
    "/a 10.0.0.7(rw)\n",
    "/a\n",
    "# nothing\n\n",
    "/a/quite/long/name 10.0.0.0/24(ro,no_subtree_check,insecure,no_acl)\n",
]


@pytest.mark.parametrize("text", EXPORTS)
def test_exports_are_read_as_exportfs_reads_them(text: str, tmp_path: Path) -> None:
    _need("exportfs", "unshare", root=True)
    for name in ("a/quite/long/name", "b", "etc/exports.d", "nfs"):
        (tmp_path / name).mkdir(parents=True)
    placed = re.sub(r'(?m)^("?)/(?=\w)', rf"\1{tmp_path}/", text)
    (tmp_path / "etc/exports").touch()
    (tmp_path / "etc/exports.d/t.exports").write_text(placed)
    script = (
        f"mount --bind {tmp_path}/etc /etc && mount --bind {tmp_path}/nfs /var/lib/nfs"
        " && { exportfs -ra; echo status=$? >&2; exportfs -v; }"
    )
    real = _real("unshare", "-m", "sh", "-c", script, cwd=tmp_path)
    if "status=" not in real.stderr:
        pytest.skip(f"no mount namespace here: {real.stderr.strip()}")
    reading = Reading()
    reading.read("/etc/exports.d/t.exports", placed)
    missing = [s for s in reading.shares if not Path(s.path).is_dir()]
    assert (int("status=0" not in real.stderr)) == int(bool(reading.errors or missing))
    shown = [" ".join(line.split()) for line in lines(reading.shares, verbose=True)]
    assert sorted(shown) == sorted(" ".join(line.split()) for line in _joined(real.stdout))
    for error in reading.errors:
        assert error.split("\n")[0] in real.stderr


def _joined(text: str) -> list[str]:
    """Exports on one line each: a long folder stands on a line of its own."""
    return [line for line in text.replace("\n\t\t", "\t").splitlines() if line]


FSTABS = [
    "UUID=abc /backup xfs defaults,nofail 0 2\n/dev/sdb1 none swap sw 0 0\n",
    "# note\n\n/dev/sda1\t/\text4\terrors=remount-ro\t0\t1\nbad line\n",
    "LABEL=x /with\\040space ext4\n",
    "/dev/sdb /backup xfs defaults zero 0\n",
    "10.0.0.1:/a /mnt/a nfs4 _netdev 0 0\n",
]


@pytest.mark.parametrize("text", FSTABS)
def test_fstab_is_read_as_findmnt_reads_it(text: str, tmp_path: Path) -> None:
    _need("findmnt")
    (tmp_path / "fstab").write_text(text)
    real = _real("findmnt", "--fstab", "--tab-file", "fstab", "-J", cwd=tmp_path)
    entries, bad = read_fstab(text)
    rows = json.loads(real.stdout or '{"filesystems": []}')["filesystems"]
    assert [(row["target"], row["source"], row["fstype"]) for row in rows] == [
        (entry.target, entry.source, entry.fstype) for entry in entries
    ]
    assert [row["options"] or "defaults" for row in rows] == [",".join(e.options) for e in entries]
    numbers = [int(n) for n in re.findall(r"parse error at line (\d+)", real.stderr)]
    assert numbers == bad


LVM_CONF = """
devices {{
 global_filter = ["a|^{device}$|", "r|.*|"]
 hints = "none"
}}
global {{
 locking_dir = "{folder}"
}}
"""


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real block device of 400 MiB, and LVM that sees no other: groups of the same name may be on
    those of other tests.
    """
    _need("losetup", "vgcreate", "wipefs", "mkfs.xfs", root=True)
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(400 * 2**20)
    made = _real("losetup", "-f", "--show", str(image), cwd=tmp_path)
    if made.returncode:
        pytest.skip(f"no loop device: {made.stderr.strip()}")
    device = made.stdout.strip()
    (tmp_path / "lvm.conf").write_text(LVM_CONF.format(device=device, folder=tmp_path))
    monkeypatch.setitem(ENVIRONMENT, "LVM_SYSTEM_DIR", str(tmp_path))
    seen = _real("pvs", cwd=tmp_path)
    if seen.returncode:
        _real("losetup", "-d", device, cwd=tmp_path)
        pytest.skip(f"LVM does not work here: {seen.stderr.strip()}")
    yield device
    _real("vgremove", "-y", "vlabtest", cwd=tmp_path)
    _real("losetup", "-d", device, cwd=tmp_path)


def test_lvm_answers_as_the_real_one(loop: str, tmp_path: Path) -> None:
    """The same acts on a blank device: statuses, messages, and reports but for sizes and uuids."""
    here = hosts()
    acts = [
        "wipefs -J DEV",
        "vgs --reportformat json --units b vlabtest",
        "pvcreate DEV",
        "wipefs -J DEV",
        "pvs --reportformat json --units b DEV",
        "vgcreate vlabtest DEV",
        "vgs --reportformat json --units b vlabtest",
        "vgs -o vg_name,vg_extent_size,pv_count,vg_seqno --reportformat json --units b vlabtest",
        "pvs --reportformat json --units b DEV",
        "pvcreate DEV",
        "vgcreate vlabtest DEV",
        "vgcreate other DEV",
        "vgextend vlabtest DEV",
        "vgextend nosuch DEV",
        "pvremove DEV",
        "vgs --noheadings -o vg_name vlabtest",
        "vgs -o nosuchfield",
        "pvs /dev/nosuch",
        "vgremove vlabtest",
        "pvremove DEV",
        "blkid -p DEV",
        "mkfs.xfs DEV > /dev/null",
        "mkfs.xfs DEV",
        "pvcreate DEV",
        "pvcreate -y DEV",
    ]
    for act in acts:
        real = _real("bash", "-c", act.replace("DEV", loop), cwd=tmp_path)
        result = here("bak1", act.replace("DEV", "/dev/sdb"))
        assert result.status == real.returncode, (act, real, result)
        assert _shape(result.stdout, "/dev/sdb") == _shape(real.stdout, loop), act
        assert _shape(result.stderr, "/dev/sdb") == _shape(real.stderr, loop), act


def _shape(text: str, device: str) -> list[str]:
    """Lines without what must differ: the device's name, sizes, identifiers, lists of fields."""
    if text.startswith("{"):
        text = json.dumps(json.loads(text), indent=1)
    text = text.replace(device, "DEV").replace(device.rpartition("/")[2], "DEV")
    text = re.sub(r"\d+B\b", "SIZE", text)
    text = re.sub(r"\w{6}(-\w{4}){5}-\w{6}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"at offset \d+(?:,? length \d+)?|^File descriptor.*\n", "", text, flags=re.M)
    found = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]
    fields = [line for line in found if re.match(r"\w+ +- |[A-Z][\w ]+ Fields$|-+$|\? ", line)]
    return [line for line in found if line and line not in fields]


def test_a_volume_group_has_the_extents_that_lvm_counts(loop: str, tmp_path: Path) -> None:
    _real("vgcreate", "-y", "vlabtest", loop, cwd=tmp_path)
    report = _real("vgs", "--reportformat", "json", "--units", "b", "vlabtest", cwd=tmp_path)
    (row,) = json.loads(report.stdout)["report"][0]["vg"]
    assert row["vg_size"] == f"{usable(400 * 2**20)}B"
    assert usable(400 * 2**20) % EXTENT_BYTES == 0


MULTIPATH = [
    "defaults {\n\tuser_friendly_names no\n\tfind_multipaths strict\n}\n",
    "defaults {\n bad_word yes\n user_friendly_names no\n",
    'multipaths {\n multipath {\n  wwid "36589cfc000000"\n  alias group1\n }\n}\n',
    'devices {\n device {\n  vendor "TrueNAS|FreeNAS"\n  product "iSCSI Disk"\n'
    "  path_grouping_policy multibus\n  no_path_retry queue\n }\n}\n",
    "nosection {\n x y\n}\n",
    "defaults {\n polling_interval\n}\n",
    "defaults {\n polling_interval 5 6\n}\n",
    "}\n",
    "# only a note\n",
]


@pytest.mark.parametrize("text", MULTIPATH)
def test_multipath_conf_is_complained_of_as_multipath_does(text: str, tmp_path: Path) -> None:
    _need("multipath", "unshare", root=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "multipath.conf").write_text(text)
    script = f"mount --bind {tmp_path}/etc /etc && multipath -t"
    real = _real("unshare", "-m", "sh", "-c", script, cwd=tmp_path)
    if "user_friendly_names" not in real.stdout:
        pytest.skip(f"multipath -t does not work here: {real.stderr.strip()[-200:]}")
    complaints = [
        re.sub(r"^[\d.]+ \| ", "", line)
        for line in [*real.stderr.splitlines(), *real.stdout.splitlines()]
        if "multipath.conf" in line
    ]
    conf = read_multipath({"/etc/multipath.conf": text})
    assert conf.complaints == complaints
    shown = dict(re.findall(r'(?m)^\t(\w+) "?([^"\n]*)"?$', real.stdout.split("\n}\n")[0]))
    for name in ("user_friendly_names", "find_multipaths", "polling_interval", "no_path_retry"):
        assert shown.get(name, "fail") == conf.setting(name), name
