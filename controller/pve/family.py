"""Proxmox VE clusters for the rest of the controller: real ones, and those of a rehearsal.

Leaves out: guests whose configuration did not answer, which weigh nothing in a rehearsal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.clock import Clock
from controller.devices import Device
from controller.managed import Cost, Managed
from controller.observed import Observed
from controller.pve.connect import connect
from controller.pve.kinds import KINDS, context, costs
from controller.pve.port import PvePort
from controller.pve.thing import DEVICE
from controller.pve.trail import PveTrail
from controller.secrets import Vault, resolve
from controller.settings import PveSettings, Settings
from controller.step import answered
from lab.faults import Fault, FaultKind
from simulator.pve.api import PveApi
from simulator.pve.install import from_answers, installed
from simulator.served.inprocess import TwinAdapter
from simulator.state import GuestPower, GuestState
from simulator.twin import Twin

USER, TOKEN_NAME = "root@pam", "rehearsal"
TOKEN = "rehearsal"  # noqa: S105 - opens a twin in this process and nothing else


class PveFamily:
    """Clusters, `pve/a`."""

    kinds: tuple[type[Managed], ...] = KINDS

    def costs(self) -> Mapping[str, Cost]:
        """Of guests it is the cost while they run."""
        return costs()

    def opened(self, settings: Settings, clock: Clock, vault: Vault) -> Iterator[Device]:
        """Those of the settings' `pve` tables."""
        for cluster, login in settings.pve.items():
            name = f"{DEVICE}{cluster}"
            trail = PveTrail(f"{login.user}!{login.token_name}")
            yield Device(name, _port(name, settings, login, clock, vault), KINDS, context, trail)

    def install(self, twin: Twin) -> None:
        """Clusters without anything on them."""
        for cluster in twin.model.lab.clusters:
            attach(twin, PveApi(cluster, installed(twin, cluster)))

    def stage(self, twin: Twin, observed: Observed) -> None:
        """Clusters that hold the observed documents, with guests and dead nodes as they are."""
        for cluster in twin.model.lab.clusters:
            self._stage(twin, cluster, observed)

    def _stage(self, twin: Twin, cluster: str, observed: Observed) -> None:
        nodes = twin.model.lab.nodes
        answers = answered(observed.documents.get(f"{DEVICE}{cluster}", {}))
        documents = from_answers(answers) if answers else installed(twin, cluster)
        api = PveApi(cluster, documents)
        attach(twin, api)
        api.sync(twin)
        for row in _rows(answers, "/cluster/resources", "qemu"):
            running = row.get("status") == "running"
            power = GuestPower.RUNNING if running else GuestPower.STOPPED
            if row["node"] in nodes and int(row["vmid"]) in documents.guests:
                twin.state.guests[(cluster, int(row["vmid"]))] = GuestState(row["node"], power)
        away = sorted(observed.context(api.name).away)
        twin.inject(Fault(FaultKind.NODE, node) for node in away if node in nodes)

    def served(self, twin: Twin, clock: Clock, vault: Vault) -> Iterator[Device]:
        """Through the same client as to real ones."""
        for cluster in twin.model.lab.clusters:
            port = connect(
                f"{DEVICE}{cluster}",
                twin.model.nodes[cluster],
                user=USER,
                token_name=TOKEN_NAME,
                token=TOKEN,
                clock=clock,
                adapter=TwinAdapter(twin),
                reveal=vault.reveal,
            )
            yield Device(port.device, port, KINDS, context)


def let_in(api: PveApi) -> None:
    """Give a served cluster our token."""
    api.add_token(f"{USER}!{TOKEN_NAME}", TOKEN)


def attach(twin: Twin, api: PveApi) -> None:
    """Put a device on a twin, and let us in."""
    let_in(api)
    twin.attach(api)


def _port(
    device: str, settings: Settings, login: PveSettings, clock: Clock, vault: Vault
) -> PvePort:
    return connect(
        device,
        login.addresses,
        user=login.user,
        token_name=login.token_name,
        token=resolve(login.token, settings.folder).get_secret_value(),
        clock=clock,
        ca=settings.path(login.ca) if login.ca is not None else None,
        timeout_s=login.timeout_s,
        reveal=vault.reveal,
    )


def _rows(answers: Mapping[str, object], path: str, type_: str) -> Iterator[Mapping[str, Any]]:
    for text, data in answers.items():
        if text.partition("?")[0] == path and isinstance(data, list):
            yield from (row for row in data if row.get("type") == type_)
