"""The controller's own settings, from `vlab.toml`: where git and the devices are and how to log in.

None of this is desired state: it differs per installation, and it names secrets.
"""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from controller.secrets import HOW, REFERENCE
from lab.errors import VlabError
from lab.faults import FaultKind

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class SettingsInvalid(VlabError):
    """The settings file can't be used; says every reason."""


def _reference(text: str) -> str:
    if not re.match(REFERENCE, text):
        raise ValueError(HOW)
    return text


def _no_password(url: str) -> str:
    if "@" in url and urlsplit(url).password is not None:
        raise ValueError(
            "a password does not belong here; leave it to git's credential helper,"
            " ~/.netrc or ~/.pgpass"
        )
    return url


def _over_tls(address: str) -> str:
    scheme, parted, rest = address.partition("://")
    if not parted:
        return address
    if scheme not in ("https", "wss"):
        raise ValueError(f"write the host alone; an API key sent over {scheme} would be revoked")
    return rest.rstrip("/")


Secret = Annotated[str, AfterValidator(_reference)]
Url = Annotated[str, AfterValidator(_no_password)]
Branch = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+/-]*$")]


class Table(BaseModel):
    """A table of the file: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Apply(StrEnum):
    """`report`: only say what would be done. `auto`: do what the gate lets through."""

    REPORT = "report"
    AUTO = "auto"


class SourceSettings(Table):
    """The git remote (file, http, https or ssh), the branch, and the tree's folder in it."""

    remote: Url = Field(min_length=1)
    branch: Branch = "main"
    path: str = "desired-state"
    poll_s: Seconds = 30.0
    watch: Path | None = None  # a local work tree whose changes say "look now"


class PveSettings(Table):
    """One Proxmox VE cluster: `token` refers to the secret of the API token `user!token_name`."""

    addresses: Annotated[tuple[str, ...], Field(min_length=1)]
    user: str
    token_name: str
    token: Secret
    ca: Path | None = None
    timeout_s: Seconds = 30.0


class CephSettings(Table):
    """One Ceph cluster, as `ceph.conf` leads to it. `client`: whose key is used; `keyring`: where.

    `command`: a program to be used for `ceph`, in the place of librados.
    """

    conf: Path = Path("/etc/ceph/ceph.conf")
    keyring: Path | None = None
    client: str = Field(default="client.admin", pattern=r"^client\.\S+$")
    command: tuple[str, ...] = ()


class LinuxSettings(Table):
    """One Linux host over SSH. `key`: the private key's file, or a reference to the secret.

    `known_hosts`: the host's key must be in it. A user who is not root needs `sudo` without a
    password. What is not written is taken from the table `"*"`.
    """

    address: str = ""
    port: Annotated[int, Field(ge=1, le=65_535)] = 22
    user: str = "root"
    key: str = ""
    known_hosts: Path = Path("known_hosts")
    timeout_s: Seconds = 60.0


class NasSettings(Table):
    """One array, by its address (`192.168.99.21`, `nas1.lab:8443`), always over verified TLS.

    `api_key` (12.0 and later) or `password` of `user` refers to a secret.
    """

    address: Annotated[str, AfterValidator(_over_tls)] = Field(min_length=1)
    user: str = ""
    api_key: Secret | None = None
    password: Secret | None = None
    ca: Path | None = None
    timeout_s: Seconds = 30.0

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if (self.api_key is None) == (self.password is None):
            raise ValueError("write api_key or password, one of the two")
        return self


class ApiSettings(Table):
    """Our own HTTP service; `token` refers to the secret that changes of state need."""

    listen: str = "127.0.0.1:8420"
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
    history: Url = ""  # an SQLAlchemy URL; SQLite in `state` if empty
    drift_s: Seconds = 15.0
    rehearse: tuple[FaultKind, ...] = (FaultKind.NODE,)
    api: ApiSettings = ApiSettings()
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name, host in self.linux_hosts.items():
            for field in ("address", "key"):
                if not getattr(host, field):
                    raise ValueError(f'linux.{name}: {field} is missing; write it here or in "*"')
        return self

    @property
    def linux_hosts(self) -> dict[str, LinuxSettings]:
        """Linux hosts, each with what the table for all of them says besides."""
        common = self.linux.get("*", LinuxSettings())
        return {
            name: common.model_copy(update=host.model_dump(exclude_unset=True))
            for name, host in self.linux.items()
            if name != "*"
        }

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

    @property
    def history_url(self) -> str:
        """The database of the history."""
        return self.history or f"sqlite:///{self.state_folder / 'history.db'}"


def read_settings(path: Path) -> Settings:
    """Settings from a TOML file. Raises SettingsInvalid with every problem."""
    try:
        data = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsInvalid(f"{path}: {error.strerror}; `vlab demo` shows one") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path}: not TOML: {error}") from error
    try:
        return Settings.model_validate({**data, "folder": path.resolve().parent})
    except ValidationError as error:
        raise SettingsInvalid("\n".join(f"{path}: {_said(e)}" for e in error.errors())) from error


def _said(error: ErrorDetails) -> str:
    """One problem, in our words where they are ours."""
    where = ".".join(map(str, error["loc"]))
    return f"{where}: {error['msg'].removeprefix('Value error, ')}".removeprefix(": ")
