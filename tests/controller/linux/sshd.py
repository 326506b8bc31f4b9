"""A real OpenSSH server whose sessions see a throw-away /etc, and a wire that can be cut.

Needs root, for a mount namespace of its own. What is written there is gone with the test.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from controller.linux.ssh import Login
from simulator.served.place import Place

USER = "vlab"
TOOLS = ("sshd", "ssh-keygen", "sudo", "visudo", "exportfs", "findmnt", "nft", "pgrep", "unshare")
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile /etc/vlab_keys
StrictModes no
UsePAM no
PidFile none
"""
_SCRIPT = """\
set -e
mkdir -p /run/sshd /var/lib/nfs
mount --make-rprivate /
mount --bind "$1/etc" /etc
mount --bind "$1/nfs" /var/lib/nfs
mount -t tmpfs -o size=64k tmpfs "$1/small"
exec "$2" -D -e -f "$1/sshd_config"
"""


def missing() -> str:
    """Programs that these tests need and that are not here."""
    return " ".join(tool for tool in TOOLS if shutil.which(tool) is None)


@dataclass(frozen=True)
class Host:
    """A running server. `etc`: its /etc from outside; `small`: a disk of 64 KiB."""

    folder: Path
    port: int
    fresh: Mapping[Path, tuple[int, bytes]]  # the files of its /etc, as they were at the start

    def reset(self) -> None:
        """Bring /etc back."""
        for path in list(_files(self.etc)):
            mode, content = self.fresh.get(path, (0, b""))
            if path not in self.fresh:
                path.unlink()
            elif path.read_bytes() != content:
                path.chmod(0o600)
                path.write_bytes(content)
                path.chmod(mode)

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    @property
    def small(self) -> Path:
        return self.folder / "small"

    def login(self, user: str = "root", port: int = 0) -> Login:
        """A way in; `port`: of a wire."""
        known = self.folder / "known_hosts"
        public = (self.folder / "host_key.pub").read_text()
        known.write_text(
            "".join(f"[127.0.0.1]:{p} {public}" for p in {self.port, port or self.port})
        )
        key = (self.folder / "user_key").read_text()
        return Login("127.0.0.1", port or self.port, user, key, known)


@contextmanager
def serving(folder: Path) -> Iterator[Host]:
    """The server, with users root and vlab, who may use sudo."""
    for name in ("host_key", "user_key"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    others = shutil.ignore_patterns("lvm")  # where a real LVM puts files and takes them away
    shutil.copytree("/etc", folder / "etc", symlinks=True, ignore=others)
    for name in ("nfs", "small"):
        (folder / name).mkdir()
    shutil.copy(folder / "user_key.pub", folder / "etc" / "vlab_keys")
    _users(folder / "etc")
    place = Place("127.0.0.1", 0)
    place.take()  # and keep: others look for free ports meanwhile
    try:
        with _listening(folder, place.port):
            etc = folder / "etc"
            fresh = {p: (p.stat().st_mode & 0o7777, p.read_bytes()) for p in _files(etc)}
            yield Host(folder, place.port, fresh)
    finally:
        place.leave()


@contextmanager
def _listening(folder: Path, port: int) -> Iterator[None]:
    (folder / "sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
    program = shutil.which("sshd")
    assert program is not None
    started = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
         "sh", "-c", _SCRIPT, "sh", str(folder), program],
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert started.stderr is not None
    rest = threading.Thread(target=started.stderr.read)  # or the pipe fills up
    try:
        _await(started.stderr)
        rest.start()
        yield
    finally:
        started.kill()
        started.wait()
        if rest.ident is not None:
            rest.join()
        started.stderr.close()


def _files(etc: Path) -> Iterator[Path]:
    """Files that tests write: those of /etc itself."""
    return (path for path in etc.iterdir() if path.is_file() and not path.is_symlink())


def _users(etc: Path) -> None:
    others = [row for row in (etc / "passwd").read_text().splitlines() if ":0:0:" not in row]
    mine = ["root:x:0:0::/nonexistent:/bin/sh", f"{USER}:x:4711:4711::/nonexistent:/bin/sh"]
    (etc / "passwd").write_text("\n".join([*mine, *others, ""]))
    with (etc / "shadow").open("a") as shadow:
        shadow.write(f"{USER}:*:19000::::::\n")
    (etc / "sudoers").chmod(0o640)
    (etc / "sudoers").write_text(f"root ALL=(ALL:ALL) ALL\n{USER} ALL=(ALL) NOPASSWD: ALL\n")
    (etc / "sudoers").chmod(0o440)
    (etc / "exports").write_text("# by hand\n")
    (etc / "fstab").write_text("# by hand\ntmpfs /tmp tmpfs defaults 0 0\n")


def _await(log: IO[str]) -> None:
    """Until the server says that it listens."""
    said = []
    for line in log:
        said.append(line)
        if "Server listening" in line:
            return
    raise AssertionError(f"sshd did not start: {''.join(said)}")


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


class Wire:
    """A TCP relay to a server that is cut after so many bytes towards it, or when told."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.bytes_left: int | None = None
        self._open: list[socket.socket] = []
        self._changing = threading.Lock()
        self._relays: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def cut(self) -> None:
        """Break every connection that there is."""
        with self._changing:
            ends, self._open = self._open, []
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self.cut()
        for relay in self._relays:
            relay.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._server)
            with self._changing:
                self._open += [near, far]
            for source, target, counted in ((near, far, True), (far, near, False)):
                relay = threading.Thread(target=self._relay, args=(source, target, counted))
                self._relays.append(relay)
                relay.start()

    def _relay(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with source, suppress(OSError):
            while data := source.recv(4096):
                if counted and self.bytes_left is not None:
                    self.bytes_left -= len(data)
                    if self.bytes_left < 0:
                        self.bytes_left = None
                        self.cut()
                        return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def with_key(login: Login, known_hosts: str) -> Login:
    """The same way in, with another file of known hosts."""
    path = login.known_hosts.with_name("other_hosts")
    path.write_text(known_hosts)
    return replace(login, known_hosts=path)
