"""The git remote: fetched into a bare mirror, read as files of one exact commit.

Nothing of a commit is ever executed: there is no work tree, hooks are off, submodules, links and
attributes are not followed, and only the transports file, http, https and ssh are allowed. Logins
are git's own affair (credential helper, netrc, ssh agent). What was fetched once stays in the
mirror, so the last good commit survives a rewritten history.

Left out: files kept by git-lfs (their pointers are read as they are), signatures.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import git
from git.exc import GitCommandError

from lab.compose import MAX_FILE_BYTES
from lab.errors import LabInvalid, Place, Problem, VlabError
from lab.tree import ENDINGS, MAX_FILES, SCENARIOS

MAX_ENTRIES = 10 * MAX_FILES  # a tree of ten small objects can list ten billion files
MAX_TREE_BYTES = 64 * 2**20
FETCH_TIMEOUT_S = 60.0

_NEWEST = "refs/vlab/newest"
_FETCH = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsync=committed"),
    *("-c", "gc.pruneExpire=never", "-c", "gc.autoDetach=false"),
    *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"),
    "--end-of-options",
)
_SAFE = {
    "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}


class SourceUnreachable(VlabError):
    """The remote did not answer, or has no such branch; what was fetched before stays in force."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One exact commit of the branch. Texts are as the committer wrote them, made printable."""

    commit: str
    author: str
    subject: str
    at_s: float  # committer's date, seconds since the epoch


class Source:
    """A mirror of one branch of a remote."""

    def __init__(
        self,
        remote: str,
        branch: str,
        path: str,
        mirror: Path,
        timeout_s: float = FETCH_TIMEOUT_S,
    ) -> None:
        self.remote = remote
        self.branch = branch
        self.path = PurePosixPath(path)
        self._mirror = mirror.resolve()
        self._timeout_s = timeout_s
        mirror.mkdir(parents=True, exist_ok=True)
        if not (mirror / "HEAD").exists():
            self._git("init", "--quiet", "--bare", "--template=", str(self._mirror))

    def fetch(self) -> Revision:
        """The newest commit of the branch. Raises SourceUnreachable."""
        with _alone(self._mirror) as lock:
            self._git(*_FETCH, self.remote, f"+refs/heads/{self.branch}:{_NEWEST}", keep=lock)
        return self.revision(_NEWEST)

    def revision(self, name: str) -> Revision:
        """A commit by name. Raises SourceUnreachable if the mirror does not have it."""
        with self._commit(name) as commit:
            subject, author = plain(str(commit.summary)), plain(str(commit.author))
            return Revision(commit.hexsha, author, subject, float(commit.committed_date))

    def follows(self, old: str, new: str) -> bool:
        """Whether history goes from `old` to `new`; False: it was rewritten."""
        try:
            with self._commit(old) as before, self._commit(new) as after:
                return before.repo.is_ancestor(before, after)
        except SourceUnreachable:
            return False

    def files(self, name: str) -> dict[str, bytes]:
        """The YAML files of the tree in a commit; names relative to it.

        Raises LabInvalid for what a tree may not hold, SourceUnreachable if the mirror does not
        have the commit.
        """
        with self._commit(name) as commit:
            return read_files(commit, self.path)

    @contextmanager
    def _commit(self, name: str) -> Iterator[git.Commit]:
        with git.Repo(self._mirror) as repo:
            repo.git.update_environment(**_SAFE, GIT_DIR=str(self._mirror))
            try:
                commit = repo.commit(name)
                repo.odb.info(commit.binsha)  # a full name is taken as it is, there or not
            except (ValueError, git.BadName, GitCommandError) as error:
                raise SourceUnreachable(f"{self.remote}: there is no commit {name}") from error
            try:
                yield commit
            except (ValueError, GitCommandError) as error:
                what = f"{self._mirror}: broken at {commit.hexsha}; remove it, it is fetched anew"
                raise SourceUnreachable(what) from error

    def _git(self, *arguments: str, keep: int | None = None) -> None:
        """Run git in a session of its own: no terminal to ask on, and ended as a whole."""
        process = subprocess.Popen(
            ["git", f"--git-dir={self._mirror}", *arguments],
            cwd=self._mirror,
            env={**os.environ, **_SAFE},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=() if keep is None else (keep,),
        )
        with process:
            try:
                said = process.communicate(timeout=self._timeout_s)[1]
            except subprocess.TimeoutExpired as error:
                os.killpg(process.pid, signal.SIGKILL)
                why = f"no answer within {self._timeout_s:g} s"
                raise SourceUnreachable(f"{self.remote} {self.branch}: {why}") from error
        if process.returncode != 0:
            raise SourceUnreachable(f"{self.remote} {self.branch}: {_reason(said)}")


def read_files(commit: git.Commit, path: PurePosixPath) -> dict[str, bytes]:
    """Content of every YAML file below `path` by its name there, as `lab.tree` takes them.

    Raises LabInvalid with every file that is no plain one.
    """
    contents: dict[str, bytes] = {}
    problems: list[Problem] = []
    size_bytes = 0
    for name, blob in _yaml_blobs(commit, path):
        if (problem := _unfit(name, blob)) is not None:
            problems.append(problem)
            continue
        size_bytes += blob.size
        if len(contents) >= MAX_FILES or size_bytes > MAX_TREE_BYTES:
            what = f"the tree has more than {MAX_FILES} files or {MAX_TREE_BYTES} bytes"
            problems.append(Problem(None, what, fix="keep only the desired state in it"))
            break
        contents[name] = blob.data_stream.read()
    if problems:
        raise LabInvalid(tuple(problems))
    return contents


def _yaml_blobs(commit: git.Commit, path: PurePosixPath) -> Iterator[tuple[str, git.Blob]]:
    """YAML files by their name below `path`, unread; hidden ones and stories are left out."""
    try:
        root = commit.tree if path == PurePosixPath() else commit.tree / str(path)
    except KeyError:
        return
    folders = [("", root)] if isinstance(root, git.Tree) else []
    entries = 0
    while folders:
        above, folder = folders.pop()
        for item in folder:
            entries += 1
            if entries > MAX_ENTRIES:
                what = f"the tree has more than {MAX_ENTRIES} entries"
                raise LabInvalid((Problem(None, what, fix="keep only the desired state in it"),))
            if not isinstance(item, git.Tree | git.Blob) or item.name.startswith("."):
                continue
            name = f"{above}{item.name}"
            if name == SCENARIOS:
                continue
            if isinstance(item, git.Tree):
                folders.append((f"{name}/", item))
            elif name.endswith(ENDINGS):
                yield name, item


def _unfit(name: str, blob: git.Blob) -> Problem | None:
    """Why this file is not read, or None."""
    place = Place(plain(name), 1, 1)
    if plain(name) != name:
        what = "the file's name holds characters that can't be printed"
        return Problem(place, what, fix="rename it")
    if blob.mode == git.Blob.link_mode:
        why = "the tree is what was committed; what it links to is not"
        return Problem(place, "is a symbolic link", why, "commit the file itself")
    if blob.size > MAX_FILE_BYTES:
        what = f"the file has {blob.size} bytes, more than {MAX_FILE_BYTES}"
        return Problem(place, what, fix="split it: files of the tree are merged")
    return None


def plain(text: str) -> str:
    """`text` on one line, without what would move a terminal's cursor or can't be encoded."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


@contextmanager
def _alone(mirror: Path) -> Iterator[int]:
    """The only one who fetches; locks that a killed fetch left behind are swept.

    git holds the lock too, so that a fetch which outlived its controller is not disturbed.
    """
    with (mirror / "fetching").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SourceUnreachable(f"{mirror}: another process is fetching into it") from error
        for stale in (*mirror.glob("*.lock"), *(mirror / "refs").rglob("*.lock")):
            stale.unlink(missing_ok=True)
        yield file.fileno()


def _reason(said: bytes) -> str:
    """What git gave as its reason: up to the first line that says `fatal`."""
    lines = [plain(line.strip()) for line in said.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    ends = next((at for at, line in enumerate(lines, 1) if line.startswith("fatal:")), 3)
    return "; ".join(lines[:ends][-3:]) or "git failed without a word"
