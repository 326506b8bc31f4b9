"""The settings file: what it may say, and that no secret gets in or out."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.secrets import SecretMissing, resolve
from controller.settings import Apply, Settings, SettingsInvalid, read_settings

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


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = """
    aply = "auto"
    drift_s = inf
    apply = "sometimes"
    [source]
    branch = "--upload-pack=x"
    poll_s = 0
    [pve.a]
    addresses = []
    user = "vlab@pve"
    token_name = "controller"
    token = "hunter2"
    """
    with pytest.raises(SettingsInvalid) as refused:
        settings_of(tmp_path, text)
    said = str(refused.value).splitlines()
    wrong = {line.split(": ")[1] for line in said}
    assert wrong == {
        *("aply", "drift_s", "apply", "source.remote", "source.branch", "source.poll_s"),
        *("pve.a.addresses", "pve.a.token"),
    }
    assert "hunter2" not in str(refused.value)
    assert "Value error" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ['[source]\nremote = "https://luffy:meat@git.lab.example/lab.git"\n',
     'history = "postgresql://luffy:meat@db/vlab"\n[source]\nremote = "/srv/lab.git"\n'],
)  # fmt: skip
def test_a_password_in_an_address_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"does not belong here.*\.pgpass") as refused:
        settings_of(tmp_path, text)
    assert "meat" not in str(refused.value)


ARRAY = """
[source]
remote = "/srv/lab.git"
[nas.nas1]
"""


@pytest.mark.parametrize("address", ["https://nas1:8443/", "wss://nas1:8443", "nas1:8443"])
def test_an_array_is_named_by_its_host(address: str, tmp_path: Path) -> None:
    text = f'{ARRAY}address = "{address}"\napi_key = "secret://env/KEY"\n'
    assert settings_of(tmp_path, text).nas["nas1"].address == "nas1:8443"


@pytest.mark.parametrize("address", ["http://nas1", "ws://nas1/websocket"])
def test_a_key_never_goes_to_an_array_without_tls(address: str, tmp_path: Path) -> None:
    text = f'{ARRAY}address = "{address}"\napi_key = "secret://env/KEY"\n'
    with pytest.raises(SettingsInvalid, match=r"nas\.nas1\.address: .* would be revoked"):
        settings_of(tmp_path, text)


@pytest.mark.parametrize(
    "login", ["", 'api_key = "secret://env/KEY"\npassword = "secret://env/PASSWORD"\n']
)
def test_an_array_has_one_login(login: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="write api_key or password, one of the two"):
        settings_of(tmp_path, f'{ARRAY}address = "nas1"\n{login}')


@pytest.mark.parametrize("content", [b"[source", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "vlab.toml").write_bytes(content)
    with pytest.raises(SettingsInvalid, match=r"vlab\.toml: not TOML"):
        read_settings(tmp_path / "vlab.toml")


def test_a_missing_file_says_where_to_find_an_example(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"No such file.*vlab demo"):
        read_settings(tmp_path / "vlab.toml")


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
    with pytest.raises(SettingsInvalid, match=r"ceph\.a\.client"):
        settings_of(tmp_path, f'{SMALL}\n[ceph.a]\nclient = "osd.3"\n')


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


@pytest.mark.parametrize("missing", ["address", "key"])
def test_a_host_without_a_way_in_is_told(missing: str, tmp_path: Path) -> None:
    lines = {"address": 'address = "192.168.99.14"', "key": 'key = "id"'}
    del lines[missing]
    file = tmp_path / "vlab.toml"
    text = "\n".join(lines.values())
    file.write_text(f'[source]\nremote = "lab.git"\n[linux.pve4]\n{text}\n')

    with pytest.raises(SettingsInvalid, match=f"linux.pve4: {missing} is missing"):
        read_settings(file)
