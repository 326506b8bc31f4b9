"""The twin's own Proxmox VE, in process: a small cluster, and somebody else at its API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from proxmoxer import ProxmoxAPI
from requests import PreparedRequest, Response
from requests.exceptions import ReadTimeout

from controller.devices import Device
from controller.managed import Managed
from controller.observe import observe
from controller.observed import Observed
from controller.pve import KINDS, PvePort, connect, context
from controller.rehearsal import TwinClock
from controller.step import Step
from lab.lab import Lab
from simulator.build import twin_of
from simulator.pve.api import PveApi
from simulator.pve.install import installed
from simulator.served.inprocess import TwinAdapter
from simulator.twin import Twin
from tests.controller.pve.worlds import DEVICE
from tests.labs import lab_of
from tests.simulator.three_nodes import NODES, hardware

TOKEN = "a-token-that-must-not-be-told"

LOAD = """
storages:
  data: {type: dir, clusters: [a], content: [images], path: /srv/data}
  iso: {type: dir, clusters: [a], content: [iso], path: /srv/iso, keep: {last: 3}}
roles: {Student: {privileges: [VM.Audit, VM.Console]}}
groups: {students: {comment: all of them}}
users: {"ana@pve": {groups: [students], first-name: Ana, email: ana@lab.example}}
pools: {company: {comment: Mugiwara, storages: [iso]}}
acls: {s: {path: /pool/company, groups: [students], roles: [Student, PVEVMUser], propagate: false}}
guests:
  luffy:
    vmid: 101
    cluster: a
    pool: company
    cores: 2
    memory: 2GiB
    tags: [Web, prod]
    description: "two\\nlines"
    onboot: true
    agent: true
    disks: {scsi0: {storage: data, size: 10GiB, discard: true}, scsi1: {storage: data, size: 96MiB}}
    nets: {net0: {vlan: production, firewall: true}}
    ha: {restart: 2}
    placement: {pin: [pve1, pve2]}
  zoro: {vmid: 102, cluster: a, state: started, memory: 1GiB, placement: {prefer: [pve2]}}
  nami: {vmid: 103, cluster: a, state: stopped, disks: {scsi0: {storage: data, size: 1GiB}}}
ha-rules:
  near: {cluster: a, type: node-affinity, guests: [brook], nodes: {pve3: 2, pve1: 1}}
backup-jobs:
  weekly: {cluster: a, schedule: "sat 03:00", storage: iso, guests: [zoro, nami], keep: {last: 4}}
"""
BROOK = "guests: {brook: {vmid: 104, cluster: a, ha: {}, state: stopped}}"


def small_lab(*texts: str) -> Lab:
    """Three nodes on a switch, and what the texts declare."""
    return lab_of(hardware(), *texts, rules=False)


class Line(TwinAdapter):
    """The way to the twin's API, watched. `cut` says whether the answer to a request is lost.

    `without_quorum`: a node that says so of itself.
    """

    def __init__(self, twin: Twin) -> None:
        super().__init__(twin)
        self.cut: Callable[[PreparedRequest], bool] = lambda _request: False
        self.requests: list[str] = []
        self.without_quorum = ""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        self.requests.append(f"{request.method} {request.url}")
        alone = f"://{self.without_quorum}:" in str(request.url)
        if alone and request.method != "GET":
            return _refused(request, "cluster not ready - no quorum?")
        response = super().send(request, *args, **kwargs)
        if self.cut(request):
            raise ReadTimeout("cut", request=request)
        if alone:
            said = response.content.replace(b'"quorate": 1', b'"quorate": 0')
            response._content = said
        return response


def _refused(request: PreparedRequest, reason: str) -> Response:
    made = Response()
    made.status_code, made.reason, made._content = 500, reason, b'{"data": null}'
    made.request, made.url = request, str(request.url)
    return made


@dataclass
class Served:
    """A cluster as the controller sees it, and as somebody else does."""

    twin: Twin
    api: PveApi
    line: Line
    port: PvePort
    clock: TwinClock

    @property
    def device(self) -> Device:
        return Device(DEVICE, self.port, KINDS, context)

    def observe(self) -> Observed:
        return observe([self.device], self.clock)

    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def steps(self, lab: Lab) -> Iterator[tuple[Managed, Step]]:
        """What there is to send for a lab, each thing after what it needs."""
        observed = self.observe()
        assert not observed.unknown
        assert not observed.doubtful
        wanted = [thing for kind in KINDS for thing in kind.wanted(lab, DEVICE)]
        for thing in wanted:
            old = observed.things.get(thing.key)
            for step in thing.steps(old, observed.context(DEVICE)):
                yield thing, step

    def apply(self, lab: Lab) -> list[str]:
        """Send all of it; what was sent."""
        return [self._sent(step) for _, step in list(self.steps(lab))]

    def _sent(self, step: Step) -> str:
        self.port.send(step)
        return str(step)

    def somebody(self, node: str = NODES[0], **token: str) -> ProxmoxAPI:
        """Another client, with a token of its own."""
        self.api.add_token("root@pam!somebody", TOKEN)
        login = {"user": "root@pam", "token_name": "somebody", "token_value": TOKEN} | token
        api = ProxmoxAPI(node, verify_ssl=True, **login)
        api._store["session"].mount("https://", TwinAdapter(self.twin))
        return api


def served(lab: Lab, *, empty: bool = True) -> Served:
    """A cluster that was just installed, reached at each of its nodes."""
    twin = twin_of(lab, empty=empty)
    api = PveApi("a", installed(twin, "a"))
    api.add_token("root@pam!vlab", TOKEN)
    twin.attach(api)
    api.sync(twin)
    twin.settle()
    line, clock = Line(twin), TwinClock(twin)
    port = connect(
        DEVICE,
        NODES,
        user="root@pam",
        token_name="vlab",
        token=TOKEN,
        clock=clock,
        adapter=line,
    )
    return Served(twin, api, line, port, clock)
