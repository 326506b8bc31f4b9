"""The way to a Ceph cluster: asks and sends commands of its monitors.

What they say of keys is left out of every answer. A key leaves only towards a device that is to use
it, in the step that tells it.
An answer that was lost leaves nothing running: a command is done, or it is not. Cannot tell real
from simulated.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from controller.ceph.transport import Answer, NoAnswer, Transport
from controller.secrets import Vault
from controller.step import SECRET, Json, MonCommand, Query, Step
from lab.errors import DeviceError, Refused

ASK_S = 30.0
LATER = frozenset((errno.EAGAIN, errno.EBUSY))
HIDDEN = "***"
DELETING = "pool deletion is disabled"
ALLOW = "ceph config set mon mon_allow_pool_delete"


class CephPort:
    """One cluster, `ceph/a`."""

    def __init__(self, device: str, transport: Transport, vault: Vault) -> None:
        self.device = device
        self._transport = transport
        self._vault = vault
        vault.offer(device, self.key)

    def ask(self, query: Query) -> object:
        """The answer to a query: its path is a prefix. Raises DeviceError."""
        told = self._sent(query.path, dict(query.params), ASK_S)
        try:
            answer = json.loads(told.output)
        except ValueError as error:
            text = f"{query.text} answered no JSON: {told.output[:80]!r}"
            raise DeviceError(self.device, text) from error
        return self._vault.hide(without_keys(answer))

    def send(self, step: Step) -> object:
        """Do one step. Raises DeviceError, and Refused for what a person has to allow first."""
        assert isinstance(step, MonCommand), "monitors take commands"
        args = self._vault.reveal(step.args)
        assert isinstance(args, dict), "arguments have names"
        if self._transport.overheard and SECRET in json.dumps(step.args):
            fix = "install librados for this Python (Debian: python3-rados), or set it by hand"
            raise Refused("a list of processes would show the secret in this command", fix)
        self._sent(step.prefix, args, step.timeout_s)
        return None  # nothing of an answer is needed, and it may hold a key

    def key(self, entity: str) -> SecretStr:
        """The key of an entity, for another device that is told to use it. Raises DeviceError."""
        told = self._sent("auth get-key", {"entity": entity}, ASK_S)
        try:
            return SecretStr(str(json.loads(told.output)["key"]))
        except (ValueError, TypeError, KeyError) as error:
            raise DeviceError(self.device, f"auth get-key of {entity} answered no key") from error

    def settle(self, step: Step, since_s: float) -> None:
        """Monitors begin nothing that goes on by itself; moving data is no part of a step."""

    def _sent(self, prefix: str, args: Mapping[str, Json], timeout_s: float) -> Answer:
        try:
            told = self._transport.command(prefix, args, timeout_s)
        except NoAnswer as error:
            raise DeviceError(self.device, f"{prefix}: {error}", retryable=True) from error
        if told.code == 0:
            return told
        if told.code == errno.EPERM and DELETING in told.text:
            fix = f"`{ALLOW} true` by hand, and `false` when the pool is gone"
            raise Refused(f"{self.device}: the monitors do not allow pools to be deleted", fix)
        name = errno.errorcode.get(told.code, str(told.code))
        said = str(self._vault.hide(told.text or os.strerror(told.code)))
        retryable = told.code in LATER
        text = f"{prefix}: {name} {said}"
        raise DeviceError(self.device, text, retryable=retryable, status=told.code)


def without_keys(answer: Any) -> Any:
    """The same without the secret of any entity."""
    match answer:
        case {"entity": str()}:
            return {name: HIDDEN if name == "key" else each for name, each in answer.items()}
        case dict():
            return {name: without_keys(each) for name, each in answer.items()}
        case list():
            return [without_keys(each) for each in answer]
        case _:
            return answer
