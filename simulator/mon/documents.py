"""What the monitors of one cluster keep, as plain data: the rows of their own answers."""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass, field, replace
from typing import Any

Row = dict[str, Any]
KEY_TYPE, KEY_BYTES = 1, 16  # CEPH_CRYPTO_AES


@dataclass
class Documents:
    """`pools` and `rules` by name, `classes` by OSD, `config` by (section, mask, option), `auth` by
    entity: (key, caps). `flags` are those of the OSD map that people set.
    """

    epoch: int = 1
    pools: dict[str, Row] = field(default_factory=dict)
    rules: dict[str, Row] = field(default_factory=dict)
    classes: dict[int, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    config: dict[tuple[str, str, str], str] = field(default_factory=dict)
    auth: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    pool_ids: int = 0  # given out so far; an id is never used again
    keys_made: int = 0

    def copy(self) -> Documents:
        """One of its own. Rows are replaced and never changed, so both may have the same ones."""
        return replace(
            self,
            pools=dict(self.pools),
            rules=dict(self.rules),
            classes=dict(self.classes),
            flags=set(self.flags),
            config=dict(self.config),
            auth=dict(self.auth),
        )

    def new_pool_id(self) -> int:
        """The next."""
        self.pool_ids += 1
        return self.pool_ids

    def new_rule_id(self) -> int:
        """The lowest that is free."""
        used = {rule["rule_id"] for rule in self.rules.values()}
        return next(number for number in range(len(used) + 1) if number not in used)

    def new_key(self, entity: str, name: str) -> str:
        """A cephx key: type, time, length and 16 bytes. Made from names: it opens nothing."""
        self.keys_made += 1
        secret = hashlib.sha256(f"{name} {entity} {self.keys_made}".encode()).digest()[:KEY_BYTES]
        head = struct.pack("<HIIH", KEY_TYPE, self.keys_made, 0, KEY_BYTES)
        return base64.b64encode(head + secret).decode()

    def option(self, name: str, *sections: str) -> str | None:
        """What is set for an option; the last of the sections that has it counts."""
        found = [self.config[section, "", name] for section in ("global", *sections)
                 if (section, "", name) in self.config]  # fmt: skip
        return found[-1] if found else None
