"""Linux hosts for the rest of the controller: real ones, and those of a rehearsal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controller.clock import Clock
from controller.devices import Device
from controller.linux.kinds import KINDS, context, costs
from controller.linux.port import LinuxPort
from controller.linux.ssh import Login, SshShell
from controller.linux.staging import put
from controller.linux.thing import DEVICE
from controller.linux.twin import TwinShell
from controller.managed import Cost, Managed
from controller.observed import Observed
from controller.rehearsal import TwinClock
from controller.secrets import Vault, resolve
from controller.settings import LinuxSettings, Settings
from controller.step import answered
from simulator.linux.inprocess import HostConnection
from simulator.linux.install import declared, hosts_of, installed
from simulator.twin import Twin


class LinuxFamily:
    """Nodes and backup servers, `linux/pve4`."""

    kinds: tuple[type[Managed], ...] = KINDS

    def costs(self) -> Mapping[str, Cost]:
        """Of files it is nothing: what follows from them is said by their `after`."""
        return costs()

    def opened(self, settings: Settings, clock: Clock, vault: Vault) -> Iterator[Device]:
        """Those of the settings' `linux` tables."""
        for host, login in settings.linux_hosts.items():
            name = f"{DEVICE}{host}"
            port = LinuxPort(name, SshShell(name, _login(settings, login)), clock, vault)
            yield Device(name, port, KINDS, context, close=port.close)

    def install(self, twin: Twin) -> None:
        """Hosts with an operating system and nothing else."""
        for host in hosts_of(twin):
            installed(twin, host)

    def stage(self, twin: Twin, observed: Observed) -> None:
        """Hosts that are as was observed; those not observed are as declared.

        What is on a LUN is said by those observed of the nodes that share it.
        """
        hosts, clusters = hosts_of(twin), set[str]()
        seen = [host for host in hosts if answered(observed.documents.get(f"{DEVICE}{host}", {}))]
        for host in seen:
            name = f"{DEVICE}{host}"
            clusters.add(installed(twin, host).in_cluster(twin))
            things = [thing for key, thing in observed.things.items() if key.device == name]
            put(twin, host, things, TwinClock(twin))
        for host in hosts:
            if host not in seen:
                node = twin.model.lab.nodes.get(host)
                declared(twin, host, filled=node is None or node.cluster not in clusters)

    def served(self, twin: Twin, clock: Clock, vault: Vault) -> Iterator[Device]:
        """As root, in process."""
        for host in hosts_of(twin):
            name = f"{DEVICE}{host}"
            if name not in twin.devices:
                continue
            shell = TwinShell(name, HostConnection(twin, host))
            yield Device(name, LinuxPort(name, shell, clock, vault), KINDS, context)


def _login(settings: Settings, login: LinuxSettings) -> Login:
    """How to log in. Raises SecretMissing."""
    return Login(
        login.address,
        login.port,
        login.user,
        resolve(login.reference, settings.folder, several_lines=True).get_secret_value(),
        settings.path(login.known_hosts),
        login.timeout_s,
    )
