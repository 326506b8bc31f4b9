"""The settings file: what it may say, and that no secret gets in or out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.secrets import SecretMissing, resolve
from controller.setting_types import address
from controller.settings import Apply, Settings, SettingsInvalid, read_settings
from lab.compose import MAX_FILE_BYTES

CASES = Path(__file__).parent / "settings"
SMALL = """
[source]
remote = "https://git.lab.example/lab.git"

[pve.a]
addresses = ["192.168.99.11", "192.168.99.12"]
user = "vlab@pve"
token_name = "controller"
token = "secret://file/token"
"""


def settings_of(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "vlab.toml"
    file.write_text(text)
    return read_settings(file)


def test_a_new_installation_only_reports(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, SMALL)
    assert settings.apply is Apply.REPORT
    assert (settings.drift_s, settings.source.branch) == (15.0, "main")
    assert settings.history_url == f"sqlite:///{tmp_path}/.vlab/history.db"
    assert settings.remote == "https://git.lab.example/lab.git"


@pytest.mark.parametrize(
    ("written", "remote"),
    [
        ("../lab.git", "{folder}/../lab.git"),
        ("/srv/lab.git", "/srv/lab.git"),
        ("git@lab.example:lab.git", "git@lab.example:lab.git"),
        ("file:///srv/lab.git", "file:///srv/lab.git"),
    ],
)
def test_a_remote_that_is_a_path_is_relative_to_the_settings(
    written: str, remote: str, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, f'[source]\nremote = "{written}"\n')
    assert settings.remote == remote.format(folder=tmp_path)


@pytest.mark.parametrize("case", sorted(CASES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_bad_file_says_everything_that_stands_beside_it(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES)
    with pytest.raises(SettingsInvalid) as refused:
        read_settings(Path(case.name))
    assert f"{refused.value}\n" == case.with_suffix(".txt").read_text()


def test_no_message_repeats_a_secret_or_speaks_of_the_libraries_underneath() -> None:
    hidden = ("hunter2", "pydantic", "nput", "valid dict", "Value error", "None")
    for case in CASES.glob("*.txt"):
        for line in case.read_text().splitlines():
            assert not any(word in line for word in hidden), line


ARRAY = """
[source]
remote = "/srv/lab.git"
[nas.nas1]
"""


@pytest.mark.parametrize("address", ["https://nas1:8443/", "wss://nas1:8443", "nas1:8443"])
def test_an_array_is_named_by_its_host(address: str, tmp_path: Path) -> None:
    text = f'{ARRAY}address = "{address}"\napi_key = "secret://env/KEY"\n'
    assert settings_of(tmp_path, text).nas["nas1"].address == "nas1:8443"


def test_a_file_of_another_editor_is_read(tmp_path: Path) -> None:
    text = "\ufeff" + SMALL.replace("\n", "\r\n")
    (tmp_path / "vlab.toml").write_bytes(text.encode())
    assert list(read_settings(tmp_path / "vlab.toml").pve) == ["a"]


def test_a_file_that_is_none_says_where_to_find_an_example(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "large").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    said = {
        "": "is no regular file",
        "pipe": "is no regular file",
        "missing": "No such file",
        "dangling": "No such file",
        "nul\0": "null byte",
        "large": "more than",
    }
    for name, why in said.items():
        with pytest.raises(SettingsInvalid, match=f"{why}.*\n  fix: .*vlab demo"):
            read_settings(tmp_path / name)


def test_secrets_come_from_the_environment_or_a_file_and_do_not_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("one piece\n")
    monkeypatch.setenv("TOKEN", "one piece")
    for reference in (
        "secret://file/token",
        "secret://env/TOKEN",
        f"secret://file/{tmp_path}/token",
    ):
        secret = resolve(reference, tmp_path)
        assert secret.get_secret_value() == "one piece"
        assert "one piece" not in f"{secret!r} {secret}"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("hunter2", "a secret is written"),
        ("secret://vault/x", "a secret is written"),
        ("secret://env/", "a secret is written"),
        ("secret://env/NO_SUCH_THING", "the environment has no NO_SUCH_THING"),
        ("secret://file/none", "No such file"),
        ("secret://file/empty", "is not one line of text"),
        ("secret://file/two-lines", "is not one line of text"),
        ("secret://file/binary", "is not one line of text"),
    ],
)
def test_a_secret_that_is_not_there_is_named_by_its_reference(
    reference: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "two-lines").write_text("a token\nX-Header: evil\n")
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    with pytest.raises(SecretMissing, match=said) as missing:
        resolve(reference, tmp_path)
    assert "hunter2" not in str(missing.value)


def test_a_ceph_cluster_is_reached_by_its_conf(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, f'{SMALL}\n[ceph.a]\nconf = "ceph/a.conf"\n')
    (way,) = settings.ceph.values()
    assert settings.path(way.conf) == tmp_path / "ceph" / "a.conf"
    assert (way.client, way.keyring, way.command) == ("client.admin", None, ())


def test_hosts_take_what_they_do_not_say_from_the_table_for_all(tmp_path: Path) -> None:
    file = tmp_path / "vlab.toml"
    file.write_text("""
[source]
remote = "lab.git"
[linux."*"]
user = "vlab"
key = "id"
[linux.pve4]
address = "192.168.99.14"
[linux.bak1]
address = "192.168.99.31"
user = "root"
port = 2222
""")

    hosts = read_settings(file).linux_hosts

    assert list(hosts) == ["pve4", "bak1"]
    assert (hosts["pve4"].user, hosts["pve4"].port, hosts["pve4"].key) == ("vlab", 22, "id")
    assert (hosts["bak1"].user, hosts["bak1"].port) == ("root", 2222)


def test_every_secret_that_is_not_there_is_told_with_its_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    text = f"""{SMALL.replace("file/token", "file/pipe")}
[nas.nas1]
address = "nas1"
api_key = "secret://env/NO_SUCH_THING"
[linux."*"]
key = "nowhere"
[linux.pve4]
address = "192.168.99.14"
[api]
token = "secret://file/none"
"""
    settings = settings_of(tmp_path, text)
    file = tmp_path / "vlab.toml"

    with pytest.raises(SettingsInvalid) as missing:
        settings.check_secrets("pve", "nas", "linux")
    assert str(missing.value).splitlines()[::2] == [
        f"{file}:9:1: pve.a.token: secret://file/pipe: {tmp_path}/pipe is no regular file",
        f"{file}:13:1: nas.nas1.api_key: secret://env/NO_SUCH_THING: the environment has no"
        " NO_SUCH_THING",
        f'{file}:15:1: linux."*".key: secret://file/nowhere: {tmp_path}/nowhere can\'t be read:'
        " No such file or directory",
    ]
    with pytest.raises(SettingsInvalid, match=r"19:1: api\.token: secret://file/none"):
        settings.check_secrets("api")
    settings.check_secrets()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("127.0.0.1:8420", ("127.0.0.1", 8420)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_an_address_is_a_host_and_a_port(written: str, read: tuple[str, int]) -> None:
    assert address(written) == read


@pytest.mark.parametrize(
    "written",
    ["127.0.0.1", ":8420", "127.0.0.1:port", "[::1:80", "", "a:99999", "a:1/x", "a@b:1", "a..b:80"],
)
def test_what_is_no_address_is_refused_with_an_example(written: str, tmp_path: Path) -> None:
    text = f'{SMALL}[api]\nlisten = "{written}"\n'
    with pytest.raises(SettingsInvalid, match="11:1: api.listen: .*\n  fix: .*127.0.0.1:8420"):
        settings_of(tmp_path, text)
