"""The way to a Proxmox VE cluster: asks, sends and waits, through an unmodified proxmoxer.

Resolves what a step leaves open until it is sent:

    {node:101}        in a path: the node where guest 101 is now
    {now}             in a parameter: what the resource at this path holds under that name now
    {now},tag=20      the same property string with a key changed; an empty value drops the key

Cannot tell real from simulated. Leaves out tickets: an API token needs no renewal.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

from proxmoxer import ProxmoxAPI

from controller.clock import Clock
from controller.pve import propertystring, tasks
from controller.pve.errors import is_transient
from controller.pve.propertystring import NOW
from controller.pve.rights import Rights
from controller.pve.transport import Transport
from controller.step import Json, Query, Rest, Scalar, Step
from lab.errors import DeviceError

SILENT_S = 60.0  # the node of a task is given up when it is silent for so long
SETTLE_S = 2.0  # a task is listed so long after its call at most
POLL_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # between looks at a task; the last repeats
_NODE = re.compile(r"\{node:(\d+)\}")
_ALONE = frozenset({"digest", "force"})  # parameters that change nothing by themselves


class PvePort:
    """One cluster, `pve/a`, with a client for each address.

    `user`: whose the token's tasks are. `reveal` puts secrets in the place of references.
    """

    def __init__(
        self,
        device: str,
        addresses: Sequence[tuple[str, ProxmoxAPI]],
        clock: Clock,
        *,
        user: str = "",
        reveal: Callable[[Json], Json] = lambda value: value,
    ) -> None:
        self.device = device
        self._transport = Transport(device, addresses, clock)
        self._rights = Rights(device, self._transport, clock)
        self._clock = clock
        self._user = user
        self._reveal = reveal
        self._locks: dict[str, Lock] = defaultdict(Lock)
        self._opening = Lock()

    def ask(self, query: Query) -> object:
        """The answer to a query. Raises DeviceError, also for a list that would hide things."""
        self._rights.check(query.path)
        answer: object = self._transport.ask(query.path, query.params)
        return answer

    def send(self, step: Step) -> object:
        """Do one step and wait for its task. Raises DeviceError. One at a time for each guest."""
        assert isinstance(step, Rest), "a cluster is spoken to over REST"
        with self._opening:
            lock = self._locks[tasks.guest_of(step)]
        with lock:
            path = _NODE.sub(lambda guest: self._node(guest[1]), step.path)
            params = self._resolved(path, step.params)
            if not params.keys() - _ALONE and step.params:
                return None  # it is so already
            answer: object = self._transport.send(step.method, path, self._revealed(params))
            if tasks.is_task(answer):
                self._await(str(answer), step.timeout_s)
            return answer

    def settle(self, step: Step, since_s: float) -> None:
        """Wait until no task that `step` began since then still runs, however it ends."""
        assert isinstance(step, Rest), "a cluster is spoken to over REST"
        deadline_s = self._clock.now() + step.timeout_s
        quiet = 0
        while quiet < 2 and tasks.types_of(step):
            listed = self._transport.ask("/cluster/tasks")
            mine = [each for each in listed if tasks.runs_for(each, step, self._user, since_s)]
            if mine:
                self._ended(mine[0]["upid"], deadline_s)
            elif quiet == 0:
                self._clock.sleep(SETTLE_S)
            quiet = 0 if mine else quiet + 1

    def _revealed(self, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Parameters with secrets in the place of references."""
        return {
            name: str(self._reveal(text)) if isinstance(text, str) else text
            for name, text in params.items()
        }

    def _node(self, vmid: str) -> str:
        for row in self._transport.ask("/cluster/resources", {"type": "vm"}):
            if str(row.get("vmid")) == vmid:
                return str(row["node"])
        raise DeviceError(self.device, f"guest {vmid} is on no node")

    def _resolved(self, path: str, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Parameters with what is there now in the place of `{now}`."""
        sent = dict(params)
        changes = {name: text for name, text in params.items() if str(text).startswith(NOW)}
        if not changes:
            return sent
        there: Mapping[str, Any] = self._transport.ask(path)
        gone = [str(params["delete"])] if "delete" in params else []
        for name, text in changes.items():
            if text == NOW:
                sent[name] = there.get(name)
                continue
            sent[name] = propertystring.apply(name, str(text), there.get(name))
            if not sent[name]:
                del sent[name]
                gone += [name] if name in there else []
        return sent | ({"delete": ",".join(gone)} if gone else {})

    def _await(self, upid: str, timeout_s: float) -> None:
        """Raises DeviceError unless the task does its work in time."""
        status = self._ended(upid, self._clock.now() + timeout_s)
        if not tasks.succeeded(status):
            said = str(status.get("exitstatus", "no exit status"))
            what = f"{tasks.title(upid)} failed: {said}"
            raise DeviceError(self.device, what, retryable=is_transient(said))

    def _ended(self, upid: str, deadline_s: float) -> Mapping[str, Any]:
        """The status of a task that has ended. Raises DeviceError, retryable, if it does not."""
        path = f"/nodes/{tasks.node_of(upid)}/tasks/{upid}/status"
        heard_s = self._clock.now()
        pauses = iter(POLL_S)
        while True:
            now_s = self._clock.now()
            try:
                status: Mapping[str, Any] = self._transport.ask(path)
            except DeviceError as error:
                if not error.retryable or now_s > heard_s + SILENT_S:
                    raise
            else:
                heard_s = now_s
                if status.get("status") == "stopped":
                    return status
            if now_s >= deadline_s:
                what = f"{tasks.title(upid)} still runs after the time it was given"
                raise DeviceError(self.device, what, retryable=True)
            self._clock.sleep(next(pauses, POLL_S[-1]))
