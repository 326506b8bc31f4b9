"""Secrets by reference: `secret://env/NAME` or `secret://file/PATH`. A value prints as `***`.

Files are relative to the settings' folder; `secret://file//run/token` is an absolute path. Other
stores (SOPS, age) are not built yet. What is wanted, planned, journalled and printed holds
references; only a port, as it sends, puts the values in, and takes them out of what it reads.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import SecretStr

from controller.managed import Managed
from controller.owned import OwnedRecord
from controller.step import SECRET, Json, changed
from lab.errors import DeviceError, Invalid, VlabError
from lab.tree import read_file

REFERENCE = r"^secret://(env|file)/.+$"
HOW = "a secret is written secret://env/NAME or secret://file/PATH"


class SecretMissing(VlabError):
    """A reference leads nowhere; says which, never what."""


def resolve(reference: str, folder: Path, *, several_lines: bool = False) -> SecretStr:
    """The value behind a reference: one line, or several, as of a key. Raises SecretMissing."""
    scheme, _, rest = reference.partition("://")
    store, _, name = rest.partition("/")
    if scheme != "secret" or store not in ("env", "file") or not name:
        raise SecretMissing(HOW)
    value = (_from_environment if store == "env" else _from_file)(reference, name, folder).strip()
    lines = value.splitlines()
    if not lines or not all(map(str.isprintable, lines)) or len(lines) > 1 and not several_lines:
        raise SecretMissing(f"{reference}: is not {'' if several_lines else 'one line of '}text")
    return SecretStr(f"{value}\n" if several_lines else value)


def _from_environment(reference: str, name: str, _folder: Path) -> str:
    if name not in os.environ:
        raise SecretMissing(f"{reference}: the environment has no {name}")
    return os.environ[name]


def _from_file(reference: str, name: str, folder: Path) -> str:
    try:
        return read_file(folder / name).decode()
    except Invalid as unread:
        raise SecretMissing(f"{reference}: {unread.problems[0].what}") from unread
    except UnicodeDecodeError as error:
        raise SecretMissing(f"{reference}: is not one line of text") from error


Resolve = Callable[[str], SecretStr]
_NAMED = re.compile(r"^secret://.+$|(?<=\{)secret://[^{}\s]+(?=\})")
_INSIDE = re.compile(r"\{(secret://[^{}\s]+)\}")
SHORTEST = 8  # characters of a secret that is looked for inside of longer texts


class Vault:
    """The secrets that the desired state names: put in on the way out, taken out on the way in.

    So what was read compares with what is wanted by reference, and no answer that is kept or shown
    holds a secret that we know. What the device has besides comes back as it is.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._known: set[str] = set()
        self._offers: dict[str, Callable[[str], SecretStr]] = {}

    def offer(self, device: str, ask: Callable[[str], SecretStr]) -> None:
        """Let a device tell secrets that it made itself: `secret://ceph/a/client.pve` asks for
        `client.pve`, as it is sent. `ask` raises DeviceError.
        """
        self._offers[device] = ask

    def learn(self, things: Iterable[Managed | OwnedRecord]) -> None:
        """Take note of the references in these things, or in what was applied of them."""
        for thing in things:
            for value in thing.values.values():
                if isinstance(value, str):
                    self._known.update(_NAMED.findall(value))

    def reveal(self, value: Json) -> Json:
        """For sending: references become what they stand for. Raises SecretMissing."""
        return changed(value, self._revealed)

    def hide(self, value: Json) -> Json:
        """For keeping: what a known reference stands for becomes the reference."""
        found = ((self._found(name), name) for name in sorted(self._known))
        secrets = {secret: name for secret, name in found if secret}

        def hidden(text: str) -> str:
            if text in secrets:
                return secrets[text]
            for secret, name in secrets.items():
                if len(secret) >= SHORTEST:
                    text = text.replace(secret, f"{{{name}}}")
            return text

        return changed(value, hidden) if secrets else value

    def clean(self, error: DeviceError) -> DeviceError:
        """The same error without secrets that we know: a device may repeat what it was told."""
        what = str(self.hide(error.what))
        return DeviceError(error.device, what, retryable=error.retryable, status=error.status)

    def _revealed(self, text: str) -> str:
        if text.startswith(SECRET):
            return self._value(text)
        return _INSIDE.sub(lambda found: self._value(found[1]), text)

    def _value(self, reference: str) -> str:
        return self._offered(reference) or self._resolve(reference).get_secret_value()

    def _offered(self, reference: str) -> str:
        device, _, name = reference.removeprefix(SECRET).rpartition("/")
        ask = self._offers.get(device)
        return ask(name).get_secret_value() if ask is not None else ""

    def _found(self, reference: str) -> str:
        """The value behind a reference; empty if it leads nowhere now."""
        try:
            value = self._resolve(reference).get_secret_value()
        except SecretMissing:
            return ""  # whoever wants to send it is told
        return self._offered(reference) or value


def rehearsed(reference: str) -> SecretStr:
    """What stands for a secret in a rehearsal: 16 characters, always the same for a reference."""
    return SecretStr(hashlib.sha256(reference.encode()).hexdigest()[:16])
