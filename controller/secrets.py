"""Secrets by reference: `secret://env/NAME` or `secret://file/PATH`. A value prints as `***`.

Files are relative to the settings' folder; `secret://file//run/token` is an absolute path. Other
stores (SOPS, age) are not built yet.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr

from lab.errors import VlabError

REFERENCE = r"^secret://(env|file)/.+$"
HOW = "a secret is written secret://env/NAME or secret://file/PATH"


class SecretMissing(VlabError):
    """A reference leads nowhere; says which, never what."""


def resolve(reference: str, folder: Path) -> SecretStr:
    """The value behind a reference: one line. Raises SecretMissing."""
    scheme, _, rest = reference.partition("://")
    store, _, name = rest.partition("/")
    if scheme != "secret" or store not in ("env", "file") or not name:
        raise SecretMissing(HOW)
    value = (_from_environment if store == "env" else _from_file)(reference, name, folder).strip()
    if not value or not value.isprintable():
        raise SecretMissing(f"{reference}: is not one line of text")
    return SecretStr(value)


def _from_environment(reference: str, name: str, _folder: Path) -> str:
    if name not in os.environ:
        raise SecretMissing(f"{reference}: the environment has no {name}")
    return os.environ[name]


def _from_file(reference: str, name: str, folder: Path) -> str:
    try:
        return (folder / name).read_text()
    except OSError as error:
        raise SecretMissing(f"{reference}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecretMissing(f"{reference}: is not one line of text") from error
