"""A whole site for stories: a git remote over file, a served lab behind HTTPS, one installation.

The lab is three nodes with Ceph on one switch. Time runs `SPEED` times as fast as on the wall, so a
guest's boot takes a fraction of a second; nobody sleeps: stories wait for what they need to see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from proxmoxer import ProxmoxAPI

from controller.installation import Installation, install
from controller.reconcile import Pass
from controller.settings import Apply, Settings, read_settings
from controller.stage import empty_stage
from lab.load import load
from simulator.served.lab import ServedLab
from tests.controller.remotes import Remote

SPEED = 200.0
NODES = ("pve1", "pve2", "pve3")
PATIENCE_S = 60.0
Said = TypeVar("Said")


def hardware() -> str:
    """Three nodes with 11 GiB for guests and two OSDs each, one switch, all on it."""
    ports, hosts, cables, osds = "", "", "", ""
    for number, node in enumerate(NODES, 1):
        ports += f"      p{number}: {{vlans: [management, production, ceph], mtu: 9000}}\n"
        hosts += f"""  {node}:
    cluster: a
    feeds: []
    memory: 12GiB
    reserved: 1GiB
    nics: {{eno1: {{vlans: [management, production, ceph], mtu: 9000}}}}
    bridges: {{vmbr0: {{ports: [eno1]}}}}
    addresses: {{management: 192.168.99.{number}, ceph: 192.168.253.{number}}}
    disks: {{sdb: {{size: 500GB}}, sdc: {{size: 500GB}}}}
"""
        cables += f"  {node}: {{ends: [{node}/eno1, sw1/p{number}]}}\n"
        first = 2 * number - 2
        osds += f"      {first}: {{node: {node}, disk: sdb}}\n"
        osds += f"      {first + 1}: {{node: {node}, disk: sdc}}\n"
    return f"""
vlans:
  management: {{id: 99, role: management, subnet: 192.168.99.0/24}}
  production: {{id: 10, role: guests, subnet: 192.168.10.0/24}}
  ceph: {{id: 253, role: ceph, mtu: 9000, subnet: 192.168.253.0/24}}
clusters:
  a: {{version: "9.2", corosync: {{links: [management]}}, time-source: 192.168.99.254}}
ceph:
  a:
    cluster: a
    version: squid
    public: ceph
    mons: [pve1, pve2, pve3]
    osds:
{osds}    pools: {{vm: {{size: 3, min-size: 2}}}}
storages:
  vm: {{type: rbd, clusters: [a], ceph: a, pool: vm, content: [images]}}
switches:
  sw1:
    feeds: []
    ports:
{ports}nodes:
{hosts}cables:
{cables}"""


def guest(name: str, vmid: int, *, memory: str = "2GiB", more: str = "") -> str:
    """An entry of `guests:` under HA, with a disk; `more` are further lines of it."""
    extra = "".join(f"    {line}\n" for line in more.splitlines())
    return f"""  {name}:
    vmid: {vmid}
    cluster: a
    memory: {memory}
    disks: {{scsi0: {{storage: vm, size: 8GiB}}}}
    nets: {{net0: {{vlan: production}}}}
    ha: {{}}
    boot: 30s
{extra}"""


def tree(*guests: str, more: str = "") -> dict[str, str]:
    """Files of a desired state; a service and an expectation for each guest."""
    names = [text.split(":")[0].strip() for text in guests]
    services = "".join(f"  {name}: {{any: [{name}]}}\n" for name in names)
    promise = f"services: [{', '.join(names)}], any-one-fault-of: [node], outage: 300s"
    expect = f"expect:\n  survive: {{{promise}}}\n"
    files = {"desired-state/hardware.yaml": hardware()}
    if guests:
        files["desired-state/guests.yaml"] = f"guests:\n{''.join(guests)}"
        files["desired-state/expect.yaml"] = f"services:\n{services}{expect}"
    if more:
        files["desired-state/more.yaml"] = more
    return files


LUFFY = guest("luffy", 101)


@dataclass
class Site:
    """What a story happens to."""

    folder: Path
    served: ServedLab
    remote: Remote
    settings: Settings
    told: list[str] = field(default_factory=list)

    def push(self, files: dict[str, str], subject: str = "change") -> str:
        """A commit with just these files."""
        return self.remote.commit({name: text.encode() for name, text in files.items()}, subject)

    @contextmanager
    def installation(self, **more: object) -> Iterator[Installation]:
        """The controller of this site."""
        with install(self.settings, progress=self.told.append, **more) as parts:  # type: ignore[arg-type]
            yield parts

    def once(self, reason: str = "poll") -> Pass:
        """One pass of a fresh process."""
        with self.installation() as parts:
            return passes(parts, reason)

    def api(self, node: str = "pve1") -> ProxmoxAPI:
        """Somebody else's client, as root by password."""
        login = self.served.login
        return ProxmoxAPI(
            self.served.addresses[node],
            user=login.user,
            password=login.password,
            verify_ssl=str(self.served.ca_file),
        )

    def eventually(self, seen: Callable[[], bool]) -> None:
        """Look again and again until something is seen; the story fails after a minute."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not seen():
            assert time.monotonic() < deadline_s, "it was not seen in time"


def passes(parts: Installation, reason: str = "poll") -> Pass:
    """One pass, which must come to something."""
    done = parts.controller.once({reason})
    assert done is not None, "there was no pass"
    return done


def in_its_thread(served: ServedLab, ask: Callable[[], Said]) -> Said:
    """What is asked of the twin itself, where nothing changes it meanwhile."""
    said: list[Said] = []
    served._call(lambda: said.append(ask()))
    return said[0]


@contextmanager
def site(folder: Path, *, apply: Apply = Apply.AUTO, state: str = "state") -> Iterator[Site]:
    """A site whose lab is empty and whose remote has no commit."""
    lab = load({"hardware.yaml": hardware().encode()})
    with ServedLab.start(empty_stage(lab), folder, speed=SPEED, port=0) as served:
        remote = Remote(folder / "lab.git")
        settings = write_settings(folder, served, apply, state)
        yield Site(folder, served, remote, settings)


def write_settings(folder: Path, served: ServedLab, apply: Apply, state: str) -> Settings:
    """The settings of one installation of this site."""
    user, token_name = served.login.token.split("!")
    (folder / "token").write_text(served.login.secret)
    addresses = [served.addresses[node] for node in NODES]
    file = folder / f"{state}.toml"
    file.write_text(f"""
apply = "{apply}"
state = "{state}"
[source]
remote = "lab.git"
[pve.a]
addresses = {addresses}
user = "{user}"
token_name = "{token_name}"
token = "secret://file/token"
ca = "ca.pem"
""")
    return read_settings(file)
