"""The ways to monitors: the program as it is called, its exits, and librados where there is one."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from controller.ceph.family import CephFamily
from controller.ceph.port import CephPort
from controller.ceph.transport import Answer, CephCommand, Librados, NoAnswer, rados_module
from controller.clock import SystemClock
from controller.secrets import Vault
from controller.settings import read_settings
from controller.step import Json, MonCommand, Query
from lab.errors import DeviceError, Refused
from tests.controller.ceph.sites import DEVICE

ECHO = "import sys; print(sys.argv[1:])"


def vault() -> Vault:
    return Vault(lambda reference: SecretStr(f"value of {reference}"))


def program(tmp_path: Path, text: str) -> CephCommand:
    """A program in the place of `ceph`."""
    file = tmp_path / "ceph"
    file.write_text(f"#!{sys.executable}\n{text}\n")
    file.chmod(0o755)
    return CephCommand([str(file)])


def test_arguments_go_by_name_and_lists_and_flags_as_words(tmp_path: Path) -> None:
    way = program(tmp_path, ECHO)
    args: dict[str, Json] = {"pool": "a b", "ids": ["osd.0", "osd.1"], "yes_i_really_mean_it": True}
    assert way.command("osd pool set", args, 10).output.strip() == str(
        ["osd", "pool", "set", "--pool", "a b", "--ids", "osd.0", "osd.1",
         "--yes-i-really-mean-it", "--format", "json"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ("Error EPERM: no", Answer(errno.EPERM, "", "no")),
        ("Error EBUSY: in use", Answer(errno.EBUSY, "", "in use")),
    ],
)
def test_a_refusal_has_the_errno_that_it_names(tmp_path: Path, told: str, answer: Answer) -> None:
    way = program(tmp_path, f"import sys; sys.exit(sys.stderr.write({told!r}) and 1)")
    assert way.command("status", {}, 10) == answer


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.stderr.write('timed out'); sys.exit(1)",
        "import sys; sys.stderr.write('Error ETIMEDOUT: x'); sys.exit(110)",
        "import time; time.sleep(60)",
    ],
)
def test_no_answer_may_be_asked_again(tmp_path: Path, text: str) -> None:
    port = CephPort(DEVICE, program(tmp_path, text), vault())
    with pytest.raises(DeviceError) as told:
        port.send(MonCommand("osd set", {"key": "noout"}, timeout_s=1.0))
    assert (told.value.retryable, told.value.status) == (True, 0)


def test_a_program_that_is_not_there_is_no_answer() -> None:
    with pytest.raises(NoAnswer, match="No such file"):
        CephCommand(["/nowhere/ceph"]).command("status", {}, 1)


def test_pools_that_may_not_be_deleted_are_a_persons_business(tmp_path: Path) -> None:
    told = "Error EPERM: pool deletion is disabled; you must first set the mon_allow_pool_delete"
    port = CephPort(DEVICE, program(tmp_path, f"import sys; sys.exit({told!r})"), vault())
    with pytest.raises(Refused) as refused:
        port.send(MonCommand("osd pool delete", {"pool": "x"}))
    assert "ceph config set mon mon_allow_pool_delete true" in refused.value.fix


def test_secrets_go_out_as_values_and_come_back_as_references(tmp_path: Path) -> None:
    text = "import json, sys; print(json.dumps(sys.argv))"
    known = vault()
    port = CephPort(DEVICE, program(tmp_path, text), known)
    reference = "secret://env/PASSWORD"
    known._known.add(reference)  # as a thing that is wanted would
    assert f"value of {reference}" not in str(
        port.ask(Query("echo", {"x": f"value of {reference}"}))
    )
    assert str(MonCommand("config set", {"value": reference})) == "config set value=***"


def test_a_secret_never_becomes_a_word_that_a_list_of_processes_shows(tmp_path: Path) -> None:
    port = CephPort(DEVICE, program(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')"), vault())
    port.send(MonCommand("config set", {"name": "x", "value": "plain"}))
    (tmp_path / "ran").unlink()
    with pytest.raises(Refused, match="a list of processes would show the secret"):
        port.send(MonCommand("config set", {"name": "x", "value": "secret://env/PASSWORD"}))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("said", ["b'{}'", "b'[1]'", r"b'\xff'"])
def test_a_key_that_is_none_is_told_without_what_came(said: str, tmp_path: Path) -> None:
    text = f"import sys; sys.stdout.buffer.write({said})"
    port = CephPort(DEVICE, program(tmp_path, text), vault())
    with pytest.raises(DeviceError, match=r"auth get-key of client\.x answered no key"):
        port.key("client.x")


def test_an_answer_that_is_no_json_is_told(tmp_path: Path) -> None:
    port = CephPort(DEVICE, program(tmp_path, "print('plain')"), vault())
    with pytest.raises(DeviceError, match=r"osd tree answered no JSON: 'plain\\n'"):
        port.ask(Query("osd tree"))


def test_librados_without_monitors_is_no_answer_and_may_be_asked_again(tmp_path: Path) -> None:
    if (rados := rados_module()) is None:
        pytest.skip("no librados for this Python (Debian: python3-rados)")
    conf = tmp_path / "ceph.conf"
    conf.write_text("[global]\nmon_host = 127.0.0.1:1\nkeyring = /nowhere\n")
    with pytest.raises(NoAnswer):
        Librados(rados, conf, "client.admin", None).command("status", {}, 1)


def test_settings_open_a_way_for_each_cluster(tmp_path: Path) -> None:
    file = tmp_path / "vlab.toml"
    file.write_text('source.remote = "x"\nceph.a.command = ["bin/ceph", "-v"]\nceph.b = {}\n')
    devices = list(CephFamily().opened(read_settings(file), SystemClock(), vault()))
    assert [device.name for device in devices] == ["ceph/a", "ceph/b"]
