"""The git remote: what is read from a commit, and what happens when the remote is not as it was."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.source import Source, SourceUnreachable
from lab.errors import LabInvalid
from lab.tree import read_tree
from simulator.served.authority import Authority
from tests.controller.remotes import LINK, SUBMODULE, GitServer, Remote

LUFFY = "guests: {luffy: {vmid: 101, cluster: a}}\n"


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's git takes part."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "lab.git")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path) as server:
        yield server


def source_of(remote: Remote, tmp_path: Path, url: str = "", timeout_s: float = 60.0) -> Source:
    mirror = tmp_path / "state" / "mirror"
    return Source(url or remote.url, remote.branch, "desired-state", mirror, timeout_s)


def test_files_of_the_newest_commit_are_those_that_the_tree_itself_shows(
    remote: Remote, tmp_path: Path
) -> None:
    tree = {
        "README.md": "no part of it",
        "desired-state/guests.yaml": LUFFY,
        "desired-state/network/vlans.yml": "vlans: {}\n",
        "desired-state/notes.txt": "no YAML",
        "desired-state/.vlab/schema.yaml": "hidden",
        "desired-state/network/.draft.yaml": "hidden",
        "desired-state/network/.old/vlans.yaml": "hidden",
        "desired-state/scenarios/story.yaml": "a lab of its own",
        "desired-state/network/scenarios/kept.yaml": "vlans: {}\n",
    }
    commit = remote.commit(tree, "Bring luffy aboard")
    source = source_of(remote, tmp_path)

    revision = source.fetch()

    assert (revision.commit, revision.author) == (commit, "Nami")
    assert (revision.subject, revision.at_s) == ("Bring luffy aboard", remote.clock_s)
    for name, content in tree.items():
        (tmp_path / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / name).write_text(content)
    assert source.files(commit) == read_tree(tmp_path / "work" / "desired-state")
    assert len(source.files(commit)) == 3


def test_a_tree_may_be_the_whole_repository(remote: Remote, tmp_path: Path) -> None:
    commit = remote.commit({"guests.yaml": LUFFY})
    source = Source(remote.url, "main", ".", tmp_path / "mirror")
    source.fetch()
    assert source.files(commit) == {"guests.yaml": LUFFY.encode()}


def test_an_earlier_commit_stays_readable_as_it_was(remote: Remote, tmp_path: Path) -> None:
    first = remote.commit({"desired-state/a.yaml": "vlans: {}\n"})
    second = remote.commit({"desired-state/b.yaml": "vlans: {}\n"})
    source = source_of(remote, tmp_path)
    source.fetch()
    assert list(source.files(first)) == ["a.yaml"]
    assert source.follows(first, second)
    assert not source.follows(second, first)


def test_a_remote_behind_http_goes_away_and_comes_back(
    remote: Remote, server: GitServer, tmp_path: Path
) -> None:
    first = remote.commit({"desired-state/a.yaml": LUFFY})
    source = source_of(remote, tmp_path, server.url("lab.git"))
    assert source.fetch().commit == first

    server.stop()
    with pytest.raises(SourceUnreachable, match=r"main: fatal: unable to access .*127\.0\.0\.1"):
        source.fetch()
    assert source.files(first) == {"a.yaml": LUFFY.encode()}

    second = remote.commit({"desired-state/a.yaml": "vlans: {}\n"})
    server.start()
    assert source.fetch().commit == second


def test_a_remote_behind_https_is_read_only_if_its_certificate_is_trusted(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = remote.commit({"desired-state/a.yaml": LUFFY})
    (tmp_path / "strangers").mkdir()
    stranger = Authority(tmp_path / "strangers", datetime.now(UTC))
    ours = Authority(tmp_path, datetime.now(UTC))
    with GitServer(tmp_path, ours.server_context("git.lab.example", "127.0.0.1")) as server:
        source = source_of(remote, tmp_path, server.url("lab.git"))
        monkeypatch.setenv("GIT_SSL_CAINFO", str(stranger.ca_file))
        with pytest.raises(SourceUnreachable, match="certificate"):
            source.fetch()
        monkeypatch.setenv("GIT_SSL_CAINFO", str(ours.ca_file))
        assert source.fetch().commit == commit


def test_a_remote_that_never_answers_is_given_up_in_bounded_time(
    remote: Remote, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/lab.git"
        for bound_s in (2, 8, 32):  # until git was quick enough to ask
            with pytest.raises(SourceUnreachable, match=f"no answer within {bound_s} s"):
                source_of(remote, tmp_path, url, timeout_s=bound_s).fetch()
            with suppress(BlockingIOError):
                connection, _ = silent.accept()
                break
        else:
            pytest.fail("git never asked")
        with connection:
            connection.settimeout(60)
            while connection.recv(4096):  # ends when git's own helper is gone too
                pass


def test_a_missing_branch_and_a_missing_repository_are_named(
    remote: Remote, tmp_path: Path
) -> None:
    with pytest.raises(SourceUnreachable, match="couldn't find remote ref refs/heads/main"):
        source_of(remote, tmp_path).fetch()
    with pytest.raises(SourceUnreachable, match=r"'/nowhere' does not appear to be a git"):
        source_of(remote, tmp_path, "/nowhere").fetch()


def test_a_remote_that_would_run_a_command_is_refused(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "gitconfig").write_text('[protocol "ext"]\n allow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    with pytest.raises(SourceUnreachable, match="transport 'ext' not allowed"):
        source_of(remote, tmp_path, f"ext::touch {marker}").fetch()
    with pytest.raises(SourceUnreachable):
        source_of(remote, tmp_path, f"--upload-pack=touch {marker}").fetch()
    assert not marker.exists()


def test_rewritten_history_is_seen_and_the_commit_in_force_survives_it(
    remote: Remote, tmp_path: Path
) -> None:
    root = remote.commit({"desired-state/a.yaml": "vlans: {}\n"})
    good = remote.commit({"desired-state/a.yaml": LUFFY})
    source = source_of(remote, tmp_path)
    source.fetch()

    rewritten = remote.commit({"desired-state/a.yaml": "vlans: {}\n"}, parent=root)

    assert source.fetch().commit == rewritten
    assert not source.follows(good, rewritten)
    assert source.follows(root, rewritten)
    again = source_of(remote, tmp_path)
    assert again.files(good) == {"a.yaml": LUFFY.encode()}


def test_a_commit_of_elsewhere_is_no_ancestor(remote: Remote, tmp_path: Path) -> None:
    commit = remote.commit({"desired-state/a.yaml": LUFFY})
    source = source_of(remote, tmp_path)
    source.fetch()
    assert not source.follows("0" * 40, commit)
    with pytest.raises(SourceUnreachable, match="there is no commit 0000"):
        source.files("0" * 40)


def test_a_fetch_that_was_killed_leaves_no_lock_in_the_way(remote: Remote, tmp_path: Path) -> None:
    remote.commit({"desired-state/a.yaml": LUFFY})
    source = source_of(remote, tmp_path)
    source.fetch()
    mirror = tmp_path / "state" / "mirror"
    for lock in ("refs/vlab/newest.lock", "packed-refs.lock", "shallow.lock"):
        (mirror / lock).touch()
    commit = remote.commit({"desired-state/a.yaml": "vlans: {}\n"})
    assert source_of(remote, tmp_path).fetch().commit == commit


def test_a_broken_mirror_is_named_with_what_mends_it(remote: Remote, tmp_path: Path) -> None:
    commit = remote.commit({"desired-state/a.yaml": LUFFY})
    source = source_of(remote, tmp_path)
    source.fetch()
    blobs = [path for path in (tmp_path / "state/mirror/objects").rglob("*") if path.is_file()]
    for blob in blobs:
        blob.chmod(0o600)
        blob.write_bytes(b"")
    with pytest.raises(SourceUnreachable):
        source.files(commit)


def test_nothing_of_a_hostile_commit_is_executed(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-checkout", "post-merge", "post-rewrite"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / name).chmod(stat.S_IRWXU)
    operator = tmp_path / "gitconfig"
    operator.write_text(
        f"[core]\n hooksPath = {hooks}\n attributesFile = {tmp_path}/attributes\n"
        f'[filter "evil"]\n smudge = touch {marker}\n clean = touch {marker}\n required = true\n'
        f"[fetch]\n recurseSubmodules = true\n[submodule]\n recurse = true\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(operator))
    other = Remote(tmp_path / "other.git")
    commit = remote.commit(
        {
            ".gitmodules": f'[submodule "m"]\n path = desired-state/m\n url = {other.url}\n'
            f" update = !touch {marker}\n",
            ".gitattributes": "*.yaml filter=evil export-subst working-tree-encoding=UTF-16\n",
            "desired-state/.gitattributes": "*.yaml filter=evil eol=crlf ident\n",
            "desired-state/m": (SUBMODULE, other.commit({"x.yaml": "far: away\n"})),
            "desired-state/hooks/post-checkout": f"#!/bin/sh\ntouch {marker}\n",
            "desired-state/a.yaml": "# $Id$ $Format:%an$\n",
        }
    )
    source = source_of(remote, tmp_path)
    source.fetch()
    assert source.files(commit) == {"a.yaml": b"# $Id$ $Format:%an$\n"}
    assert not marker.exists()


def test_links_and_unprintable_names_are_refused_all_at_once(
    remote: Remote, tmp_path: Path
) -> None:
    (tmp_path / "secret.yaml").write_text("never: read\n")
    commit = remote.commit(
        {
            "desired-state/a.yaml": LUFFY,
            "desired-state/link.yaml": (LINK, str(tmp_path / "secret.yaml")),
            "desired-state/\x1b[2Jgone.yaml": "vlans: {}\n",
        }
    )
    source = source_of(remote, tmp_path)
    source.fetch()
    with pytest.raises(LabInvalid) as refused:
        source.files(commit)
    said = str(refused.value)
    assert len(refused.value.problems) == 2
    assert "link.yaml:1:1: is a symbolic link" in said
    assert "can't be printed" in said
    assert "\x1b" not in said


def test_a_tree_folder_that_is_a_link_or_a_file_holds_nothing(
    remote: Remote, tmp_path: Path
) -> None:
    source = source_of(remote, tmp_path)
    for entry in ((LINK, "/etc"), "guests: {}\n"):
        commit = remote.commit({"desired-state": entry})
        source.fetch()
        assert source.files(commit) == {}


def test_a_tree_that_lists_itself_without_end_is_given_up(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.source.MAX_ENTRIES", 50)
    commit = remote.commit({f"desired-state/{n}/x.txt": "" for n in range(40)})
    source = source_of(remote, tmp_path)
    source.fetch()
    with pytest.raises(LabInvalid, match="more than 50 entries"):
        source.files(commit)


@pytest.mark.parametrize(
    ("limit", "said"),
    [("MAX_FILE_BYTES", r"big\.yaml:1:1: the file has 101 bytes, more than 100"),
     ("MAX_TREE_BYTES", "more than 10000 files or 100 bytes"),
     ("MAX_FILES", "more than 100 files")],
)  # fmt: skip
def test_a_tree_that_is_too_large_is_refused(
    limit: str, said: str, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"controller.source.{limit}", 100)
    many = {f"desired-state/{n}.yaml": "" for n in range(101)} if limit == "MAX_FILES" else {}
    commit = remote.commit({"desired-state/big.yaml": "#" * 101, **many})
    source = source_of(remote, tmp_path)
    source.fetch()
    with pytest.raises(LabInvalid, match=said):
        source.files(commit)


def test_what_a_committer_wrote_cannot_move_the_terminal(remote: Remote, tmp_path: Path) -> None:
    remote.commit({"desired-state/a.yaml": LUFFY}, "\x1b[31mred\x07 alert")
    assert source_of(remote, tmp_path).fetch().subject == "\ufffd[31mred\ufffd alert"
