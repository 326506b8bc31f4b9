"""Git remotes for tests: bare repositories with commits of any shape, as files or by HTTP."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

FILE, LINK, SUBMODULE = "100644", "120000", "160000"
Entry = str | bytes | tuple[str, str]
"""Content of a file, or (mode, link target or commit)."""


@dataclass
class Remote:
    """A bare repository; every commit states the whole tree."""

    path: Path
    branch: str = "main"
    clock_s: int = 1_700_000_000
    fresh: bool = True  # False: it is there already

    def __post_init__(self) -> None:
        if not self.fresh:
            return
        self._git("init", "--quiet", "--bare", f"--initial-branch={self.branch}", str(self.path))
        self._git("config", "http.receivepack", "false")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def commit(self, tree: Mapping[str, Entry], subject: str = "change", parent: str = "") -> str:
        """A commit with just this tree on top of `parent`, or of the branch; its name."""
        self.clock_s += 60
        parent = parent or self.head()
        ref = f"refs/heads/{self.branch}"
        stream = [b"reset %s\n" % ref.encode()] if not parent else []
        stream += [b"commit %s\n" % ref.encode()]
        stream += [b"committer Nami <nami@lab.example> %d +0000\n" % self.clock_s, _data(subject)]
        stream += [b"from %s\n" % parent.encode()] if parent else []
        stream += [b"deleteall\n", *(_entry(name, entry) for name, entry in tree.items())]
        self._git("fast-import", "--quiet", "--force", stdin=b"".join(stream))
        return self.head()

    def rewind(self, commit: str) -> None:
        """The branch as if everything after `commit` had never been."""
        self._git("update-ref", f"refs/heads/{self.branch}", commit)

    def head(self) -> str:
        """The newest commit; empty if there is none."""
        return self._git("for-each-ref", "--format=%(objectname)", f"refs/heads/{self.branch}")

    def _git(self, *arguments: str, stdin: bytes = b"") -> str:
        where = [] if arguments[0] == "init" else [f"--git-dir={self.path}"]
        done = subprocess.run(
            ["git", *where, *arguments],
            input=stdin,
            capture_output=True,
            check=True,
            env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        )
        return done.stdout.decode().strip()


def _data(content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return b"data %d\n%s\n" % (len(raw), raw)


def _entry(name: str, entry: Entry) -> bytes:
    mode, content = entry if isinstance(entry, tuple) else (FILE, entry)
    path = name.encode(errors="surrogateescape")
    if mode == SUBMODULE:
        assert isinstance(content, str)
        return b"M %s %s %s\n" % (mode.encode(), content.encode(), path)
    return b"M %s inline %s\n%s" % (mode.encode(), path, _data(content))


class GitServer:
    """`git http-backend` behind a small HTTP(S) server on loopback; can go away and come back.

    While it is away its port refuses, and nobody else can have it.
    """

    def __init__(self, root: Path, tls: ssl.SSLContext | None = None) -> None:
        self._root = root
        self._tls = tls
        self._address = socket.socket()
        self._address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._address.bind(("127.0.0.1", 0))
        self.port: int = self._address.getsockname()[1]
        self._server: ThreadingHTTPServer | None = None

    def url(self, name: str) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        handler = type("Handler", (_Backend,), {"root": self._root})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler, False)
        self._server.daemon_threads = False
        self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._server.server_bind()
        self._server.server_activate()
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> GitServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()
        self._address.close()


class _Backend(BaseHTTPRequestHandler):
    """One request as the CGI program wants it. Source: RFC 3875, git-http-backend(1)."""

    root: Path

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        names = {"Git-Protocol": "GIT_PROTOCOL", "Content-Encoding": "HTTP_CONTENT_ENCODING"}
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            **{name: self.headers[field] for field, name in names.items() if field in self.headers},
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the name is theirs

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
