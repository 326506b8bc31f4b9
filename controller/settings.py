"""The controller's own settings, from `vlab.toml`: where git and the devices are and how to log in.

None of this is desired state: it differs per installation, and it names secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from controller import toml
from controller.secrets import HOW, SecretMissing, resolve
from controller.setting_types import (
    FILLED,
    Array,
    Branch,
    Client,
    Database,
    Listen,
    Port,
    Seconds,
    Secret,
    Text,
    Url,
    User,
)
from controller.step import SECRET
from lab.compose import Document
from lab.errors import Invalid, Problem
from lab.faults import FaultKind
from lab.item import Flaw, Flawed
from lab.item import Path as KeyPath
from lab.messages import problems_of
from lab.tree import read_file

FIX = "name it with --settings; `vlab demo` shows one"


class SettingsInvalid(Invalid):
    """The settings can't be used; carries every reason."""


class Table(BaseModel):
    """A table of the file: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Apply(StrEnum):
    """`report`: only say what would be done. `auto`: do what the gate lets through."""

    REPORT = "report"
    AUTO = "auto"


class SourceSettings(Table):
    """The git remote (file, http, https or ssh), the branch, and the tree's folder in it."""

    remote: Annotated[Url, FILLED]
    branch: Branch = "main"
    path: str = "desired-state"
    poll_s: Seconds = 30.0
    watch: Path | None = None  # a local work tree whose changes say "look now"


class PveSettings(Table):
    """One Proxmox VE cluster: `token` refers to the secret of the API token `user!token_name`."""

    addresses: Annotated[tuple[Text, ...], Field(min_length=1)]
    user: User
    token_name: Text
    token: Secret
    ca: Path | None = None
    timeout_s: Seconds = 30.0


class CephSettings(Table):
    """One Ceph cluster, as `ceph.conf` leads to it. `client`: whose key is used; `keyring`: where.

    `command`: a program to be used for `ceph`, in the place of librados.
    """

    conf: Path = Path("/etc/ceph/ceph.conf")
    keyring: Path | None = None
    client: Client = "client.admin"
    command: tuple[str, ...] = ()


class LinuxSettings(Table):
    """One Linux host over SSH. `key`: the private key's file, or a reference to the secret.

    `known_hosts`: the host's key must be in it. A user who is not root needs `sudo` without a
    password. What is not written is taken from the table `"*"`.
    """

    address: str = ""
    port: Port = 22
    user: str = "root"
    key: str = ""
    known_hosts: Path = Path("known_hosts")
    timeout_s: Seconds = 60.0

    @property
    def reference(self) -> str:
        """Where the private key is, as a reference."""
        return self.key if self.key.startswith(SECRET) else f"{SECRET}file/{self.key}"


class NasSettings(Table):
    """One array, by its address (`192.168.99.21`, `nas1.lab:8443`), always over verified TLS.

    `api_key` (12.0 and later) or `password` of `user` refers to a secret.
    """

    address: Array
    user: str = ""
    api_key: Secret | None = None
    password: Secret | None = None
    ca: Path | None = None
    timeout_s: Seconds = 30.0

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if self.api_key is not None and self.password is not None:
            fix = "take one of the two out: arrays from 12.0 on have keys"
            raise Flawed(Flaw(("password",), "there is an api_key as well", fix=fix))
        if self.api_key is None and self.password is None:
            raise Flawed(Flaw((), "it has no login", fix=f"add api_key or password: {HOW}"))
        return self


class ApiSettings(Table):
    """Our own HTTP service; `token` refers to the secret that changes of state need."""

    listen: Listen = "127.0.0.1:8420"
    token: Secret | None = None


class Settings(Table):
    """All of the file. Paths are relative to its folder: see `path`."""

    source: SourceSettings
    pve: dict[str, PveSettings] = Field(default_factory=dict)  # by cluster
    ceph: dict[str, CephSettings] = Field(default_factory=dict)  # by name in the tree
    linux: dict[str, LinuxSettings] = Field(default_factory=dict)  # by host
    nas: dict[str, NasSettings] = Field(default_factory=dict)  # by array
    apply: Apply = Apply.REPORT
    state: Path = Path(".vlab")
    history: Database = ""  # an SQLAlchemy URL; SQLite in `state` if empty
    drift_s: Seconds = 15.0
    rehearse: tuple[FaultKind, ...] = (FaultKind.NODE,)
    api: ApiSettings = ApiSettings()
    _folder: Path = PrivateAttr(Path())
    _document: Document | None = PrivateAttr(None)

    @field_validator("pve", "ceph", "linux", "nas", mode="before")
    @classmethod
    def _by_name(cls, tables: Any, info: ValidationInfo) -> Any:
        """Tell apart a device that lacks its name from one that is called as a key."""
        word = str(info.field_name)
        model = get_args(cls.model_fields[word].annotation)[1]
        nameless = [
            Flaw((key,), "this is in no table with a name", fix=f"write [{word}.NAME] above it")
            for key, value in (tables.items() if isinstance(tables, dict) else ())
            if key in model.model_fields and not isinstance(value, dict)
        ]
        if nameless:
            raise Flawed(*nameless)
        return tables

    @field_validator("linux")
    @classmethod
    def _complete(cls, linux: dict[str, LinuxSettings]) -> dict[str, LinuxSettings]:
        missing = [
            Flaw((name,), f"{key} is missing", fix=f'add {key} = ... here or in [linux."*"]')
            for name, host in _each_linux(linux).items()
            for key in ("address", "key")
            if not getattr(host, key)
        ]
        if missing:
            raise Flawed(*missing)
        return linux

    @property
    def linux_hosts(self) -> dict[str, LinuxSettings]:
        """Linux hosts, each with what the table for all of them says besides."""
        return _each_linux(self.linux)

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self._folder

    def path(self, written: Path | str) -> Path:
        """A path of the file, from wherever the controller was started."""
        return self.folder / written

    @property
    def remote(self) -> str:
        """The git remote; a path without a scheme is relative to the file too."""
        written = self.source.remote
        host = "://" in written or re.match(r"[^/]+:", written)  # git's own rule: user@host:path
        return written if host else str(self.path(written))

    @property
    def state_folder(self) -> Path:
        """Where journal, lease, history and the mirror of the remote are kept."""
        return self.path(self.state)

    def check_secrets(self, *words: str) -> None:
        """Raises SettingsInvalid with every reference below these words that leads nowhere."""
        problems = []
        for path, reference in self._references():
            try:
                if path[0] in words:
                    resolve(reference, self.folder, several_lines=path[0] == "linux")
            except SecretMissing as missing:
                place = self._document.nearest(path) if self._document else None
                what = f"{toml.dotted(path)}: {missing}"
                fix = "put the secret there, or write where it is"
                problems.append(Problem(place, what, fix=fix))
        if problems:
            raise SettingsInvalid(tuple(problems))

    def _references(self) -> Iterator[tuple[KeyPath, str]]:
        """Each reference to a secret once, and where it stands."""
        for name, cluster in self.pve.items():
            yield ("pve", name, "token"), cluster.token
        for name, array in self.nas.items():
            for key in ("api_key", "password"):
                if (reference := getattr(array, key)) is not None:
                    yield ("nas", name, key), reference
        for name, host in self.linux.items():
            if host.key:
                yield ("linux", name, "key"), host.reference
        if self.api.token is not None:
            yield ("api", "token"), self.api.token

    @property
    def history_url(self) -> str:
        """The database of the history."""
        return self.history or f"sqlite:///{self.state_folder / 'history.db'}"


def _each_linux(linux: dict[str, LinuxSettings]) -> dict[str, LinuxSettings]:
    common = linux.get("*", LinuxSettings())
    return {
        name: common.model_copy(update=host.model_dump(exclude_unset=True))
        for name, host in linux.items()
        if name != "*"
    }


def settings_in(folder: Path, written: object) -> Settings:
    """Settings as a file in this folder would give them. Raises pydantic's ValidationError."""
    settings = Settings.model_validate(written)
    settings._folder = folder
    return settings


def read_settings(path: Path) -> Settings:
    """Settings from a TOML file. Raises SettingsInvalid with every problem."""
    try:
        document = toml.compose(str(path), read_file(path, FIX))
    except Invalid as unread:
        raise SettingsInvalid(unread.problems) from unread
    if not document.whole:
        raise SettingsInvalid(tuple(document.problems))
    settings, found = None, document.problems
    try:
        settings = settings_in(path.resolve().parent, document.data)
    except ValidationError as error:
        place, data = document.nearest, document.data
        found += problems_of(error, "", Settings, (), data, place, toml.NOTATION)
    if found or settings is None:
        raise SettingsInvalid(tuple(sorted(found, key=lambda each: (each.place, each.what))))
    settings._document = document
    return settings
