"""`--from-etc-pve`: a copy of a real cluster, served as a twin and adopted as desired state."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

from lab.load import load
from tests.api.shell import Shell
from tests.simulator.test_pve_etc import FILES, archive


def test_a_copy_is_adopted_as_files_that_load(tmp_path: Path) -> None:
    copy = archive(tmp_path / "backup.tar.gz", {**FILES, "priv/token.cfg": "hidden"})
    done = Shell(tmp_path)("adopt", "--from-etc-pve", str(copy), "--into", "tree")
    assert (done.code, "adopted/servers.yaml: cards and cores are assumed" in done.err) == (0, True)
    files = {str(file): file.read_bytes() for file in (tmp_path / "tree").rglob("*.yaml")}
    lab = load(files, rules=False)
    assert set(lab.nodes) == {"n1", "n2"}
    assert lab.guests["web1"].vmid == 100
    assert "hidden" not in done.out + done.err + str(files)


def test_what_is_no_copy_is_refused_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_text("no archive")
    done = Shell(tmp_path)("adopt", "--from-etc-pve", "x.tar.gz")
    assert done.code == 1
    assert "x.tar.gz is no archive that can be read" in done.err
    assert "fix: make one with: tar czf" in done.err
    assert "Traceback" not in done.err


def test_a_copy_is_served(tmp_path: Path) -> None:
    copy = archive(tmp_path / "backup.tar.gz", FILES)
    words = ["lab", "up", "--from-etc-pve", str(copy), "--port", "0"]
    command = [sys.executable, "-c", "from api.main import main; main()", *words]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={"XDG_STATE_HOME": str(tmp_path), "PATH": "", "PYTHONPATH": str(Path.cwd())},
    ) as served:  # fmt: skip
        try:
            assert served.stdout is not None
            told = json.loads(served.stdout.readline())
            url = f"https://{told['addresses']['n1']}/api2/json/nodes/n1/qemu/100/config"
            token = {"Authorization": f"PVEAPIToken={told['token']}={told['secret']}"}
            request = urllib.request.Request(url, headers=token)
            context = ssl.create_default_context(cafile=told["ca"])
            with urllib.request.urlopen(request, timeout=60, context=context) as answer:  # noqa: S310
                assert json.load(answer)["data"]["name"] == "web1"
        finally:
            served.send_signal(signal.SIGINT)
