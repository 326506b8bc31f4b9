"""The served array: from a method and its parameters to a result, over the documents and the twin.

`TrueNasApi` is a device of the twin. `call` is the plain function that every transport shares
(`jsonrpc`, `ddp`, `rest2`, `rest1`, in process); `settle` and `due` keep documents in step with
the physics. Leaves out: how messages travel, failover pairs, privileges below those of an
administrator. Source: reference of the TrueNAS API; middlewared.main.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.network.reach import Broken
from simulator.served.face import Reachable, reachable
from simulator.state import HostPower, Timer
from simulator.storage.iscsi import set_array
from simulator.truenas import (
    alerts,
    associations,
    auth,
    chap,
    core,
    datasets,
    extents,
    filesystem,
    initiators,
    interfaces,
    jobs,
    nfs,
    pools,
    portals,
    services,
    sessions,
    snapshot_tasks,
    snapshots,
    system,
    targets,
    unused,
)
from simulator.truenas.call import HANDLERS, Call, Session
from simulator.truenas.catalogue import METHODS, Method, checker
from simulator.truenas.documents import Documents
from simulator.truenas.errors import ENOMETHOD, ENOTAUTHENTICATED, CallError
from simulator.truenas.served import array_spec
from simulator.truenas.version import Version
from simulator.twin import Twin

AREAS = (
    alerts, associations, auth, chap, core, datasets, extents, filesystem, initiators, interfaces,
    jobs, nfs, pools, portals, services, sessions, snapshot_tasks, snapshots, system, targets,
    unused,
)  # fmt: skip
"""Whatever registers handlers when it is imported."""

EPOCH_S = 1_767_225_600  # 2026-01-01T00:00:00Z: when simulated time begins, unless told otherwise


class TrueNasApi:
    """The API of one array. `nas` is its name in the lab.

    `revokes`: an API key that came without TLS is revoked, as since 25.04.
    """

    def __init__(
        self,
        nas: str,
        documents: Documents,
        version: Version,
        *,
        epoch_s: float = EPOCH_S,
        seed: int = 0,
        revokes: bool = True,
    ) -> None:
        self.name = f"nas/{nas}"
        self.nas = nas
        self.documents = documents
        self.version = version
        self.epoch_s = epoch_s
        self.seed = seed
        self.revokes = revokes
        self.booted_s = -86_400.0  # assumed: up for a day when simulated time begins
        self._on = True
        self._told = -1  # revision of the documents that the physics knows
        self._seen: tuple[Broken, int] | None = None  # what alerts were last made of

    def fork(self) -> TrueNasApi:
        """The same array over copied documents."""
        copy = TrueNasApi(
            self.nas,
            self.documents.copy(),
            self.version,
            epoch_s=self.epoch_s,
            seed=self.seed,
            revokes=self.revokes,
        )
        copy.booted_s, copy._on, copy._told = self.booted_s, self._on, self._told
        copy._seen = self._seen
        return copy

    def set_password(self, user: str, password: str) -> None:
        """Let a user log in with a password."""
        self.documents.passwords[user] = auth.fingerprint(password)

    def add_key(self, secret: str, name: str = "vlab") -> str:
        """Let somebody log in with an API key of 64 characters known beforehand; the whole key."""
        return auth.add_key(self.documents, self.version, name, secret, self.epoch_s)

    def reachable(self, twin: Twin) -> Reachable:
        """Whether a client gets through."""
        return reachable(twin, self.nas)

    def sync(self, twin: Twin) -> None:
        """Tell the physics what the array serves now, if that may have changed."""
        if self._told == self.documents.revision:
            return
        self._told = self.documents.revision
        now = array_spec(self.documents)
        if now != twin.state.arrays[self.nas]:
            set_array(twin, self.nas, now)

    def method(self, name: str) -> Method:
        """A method of this release. Raises CallError ENOMETHOD."""
        method = METHODS.get(name)
        if method is None or not self.version.has(method.span):
            namespace, _, verb = name.rpartition(".")
            raise CallError(f"Method {verb!r} not found in {namespace!r}", ENOMETHOD)
        return method

    def call(
        self,
        twin: Twin,
        session: Session,
        name: str,
        params: Sequence[object] = (),
        message_id: object = None,
    ) -> object:
        """A method's result; of one that takes time, its `Job`.

        Raises CallError and Invalid. Nothing but this and the passing of time changes the
        documents.
        """
        method = self.method(name)
        if not method.open and not session.user:
            raise CallError("Not authenticated", ENOTAUTHENTICATED)
        args = checker(self.version).arguments(method.params, params)
        call = Call(self, twin, session, method, args)
        try:
            if method.job:
                return jobs.start(call, params, message_id)
            return HANDLERS[name](call)
        finally:
            self._follow(twin)
            twin.settle()

    def settle(self, twin: Twin) -> bool:
        """Follow the physics: the array went down or came up, disks failed; tell it of changes."""
        on = twin.state.hosts[self.nas] is HostPower.ON
        if on != self._on:
            self._on = on
            (self._come_up if on else self._go_down)(twin)
        before = twin.state.arrays.get(self.nas)
        self._follow(twin)
        return twin.state.arrays.get(self.nas) is not before

    def due(self, twin: Twin, timer: Timer) -> None:
        """A job has come to its end."""
        jobs.end(self, twin, int(timer[2]))
        self._follow(twin)

    def _follow(self, twin: Twin) -> None:
        """Let the physics and the alerts have what changed."""
        self.sync(twin)
        seen = (twin.facts.broken, self.documents.revision)
        if self._on and seen != self._seen:
            self._seen = seen
            alerts.follow(self, twin)

    def _go_down(self, twin: Twin) -> None:
        """Jobs and tokens live in memory: after a restart they are unknown, ids begin anew."""
        for identity in self.documents.jobs:
            twin.cancel((self.name, "job", str(identity)))
        self.documents.jobs.clear()
        self.documents.last_ids.pop("job", None)
        self.documents.events.clear()
        self.documents.rows(auth.TOKENS).clear()

    def _come_up(self, twin: Twin) -> None:
        """Services start that are enabled; others do not."""
        self.booted_s = twin.now_s
        services.boot(self.documents)
