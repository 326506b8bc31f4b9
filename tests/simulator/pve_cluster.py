"""A cluster of three nodes with its API, for tests that speak to it as a client would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lab.faults import parse_faults
from simulator.build import twin_of
from simulator.pve.api import PveApi
from simulator.pve.documents import GuestConfig, Task
from simulator.pve.install import installed
from simulator.pve.wire import Given, Request, Response
from simulator.served.multipart import File
from simulator.twin import Twin
from tests.labs import lab_of
from tests.simulator.three_nodes import hardware

SECRET = "made up"
ROOT = "root@pam!test"


@dataclass
class Cluster:
    """The twin, the API, and calls by token."""

    twin: Twin
    api: PveApi

    def send(
        self,
        call: str,
        user: str | None = ROOT,
        node: str = "pve1",
        headers: dict[str, str] | None = None,
        upload: File | None = None,
        **params: Given,
    ) -> Response:
        """`GET /version`: the whole answer. Underscores before a parameter's name are dropped."""
        method, _, path = call.partition(" ")
        known = dict(headers or {})
        if user is not None:
            known.setdefault("authorization", f"PVEAPIToken={user}={SECRET}")
        given = {name.strip("_").replace("__", "-"): value for name, value in params.items()}
        return self.api.handle(self.twin, Request(node, method, path, given, known, upload))

    def ok(self, call: str, **params: Any) -> Any:
        """The data of an answer that has to be 200."""
        response = self.send(call, **params)
        assert response.status == 200, f"{call}: {response.status} {response.members}"
        return (response.members or {})["data"]

    def refusal(self, call: str, **params: Any) -> tuple[int, str]:
        """Status and reason of an answer that must not be 200."""
        response = self.send(call, **params)
        assert response.status != 200, f"{call} was accepted"
        return response.status, response.reason

    def errors(self, call: str, **params: Any) -> dict[str, str]:
        """What is wrong with the parameters."""
        response = self.send(call, **params)
        assert response.status == 400, f"{call}: {response.status} {response.reason}"
        found = (response.members or {})["errors"]
        assert isinstance(found, dict)
        return found

    def login(self) -> dict[str, str]:
        """Headers that a browser of root@pam sends, who may what no token may."""
        found = self.ok("POST /access/ticket", user=None, username="root@pam", password=SECRET)
        cookie = f"PVEAuthCookie={quote(found['ticket'], safe='')}"
        return {"cookie": cookie, "csrfpreventiontoken": found["CSRFPreventionToken"]}

    def done(self, call: str, **params: Any) -> Task:
        """The task that a call starts, after its end."""
        upid = self.ok(call, **params)
        assert str(upid).startswith("UPID:"), f"{call} gave {upid!r}"
        end_s = self.twin.now_s + 3600
        while self.api.documents.tasks[upid].running:
            assert self.twin.now_s < end_s, f"{upid} does not end"
            self.twin.run_until(self.twin.now_s + 1)
        return self.api.documents.tasks[upid]

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.twin.run_until(self.twin.now_s + seconds)

    def fail(self, fault: str, wait_s: float = 10.0) -> None:
        """Let something fail and the cluster notice."""
        self.twin.inject(parse_faults([fault]))
        self.wait(wait_s)

    def user(self, name: str, *roles: str, path: str = "/") -> str:
        """A user with roles on a path, and a token that may the same; the token's name."""
        documents = self.api.documents
        documents.users[name] = {"enable": 1, "expire": 0}
        for role in roles:
            documents.acl[path, "user", name, role] = 1
        self.api.add_token(f"{name}!t1", SECRET)
        return f"{name}!t1"

    def guest(self, vmid: int, node: str = "pve1", **options: Any) -> None:
        """A virtual machine on a node, off."""
        self.done(f"POST /nodes/{node}/qemu", vmid=vmid, **options)

    def config(self, vmid: int, node: str = "pve1") -> dict[str, Any]:
        """A guest's configuration."""
        found = self.ok(f"GET /nodes/{node}/qemu/{vmid}/config")
        assert isinstance(found, dict)
        return found

    def file(self, vmid: int) -> GuestConfig:
        """The same, as it is kept."""
        return self.api.documents.guests[vmid]


def cluster(declared: str = "") -> Cluster:
    """A fresh installation with a storage `data` for disks on every node's own disk.

    `declared`: its hardware, if not that of `three_nodes`.
    """
    twin = twin_of(lab_of(declared or hardware(), rules=False), empty=True)
    api = PveApi("a", installed(twin, "a"))
    api.add_token(ROOT, SECRET)
    api.set_password("root@pam", SECRET)
    api.documents.storages["data"] = {
        "type": "dir",
        "path": "/srv/data",
        "content": "images,rootdir",
    }
    twin.attach(api)
    api.sync(twin)
    twin.settle()
    return Cluster(twin, api)
