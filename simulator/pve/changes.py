"""How an older release differs from the one after it, as data: calls, their parameters, who may.

    Change(calls, absent | lacks, takes, differs, may)  ->  the same table of parameters, changed

The tables are written as everywhere (`parameters`). Used by `releases` on routes and on property
strings. Leaves out: what a handler does differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from simulator.pve.parameters import Table, table


@dataclass(frozen=True, eq=False)
class Change:
    """A difference of some calls. `calls`: a regular expression for `GET /pools`, or for the name
    of a property string.

    `absent`: they are not there. `lacks`: parameters that are not known, `dev[n]` for all that are
    numbered. `takes`: parameters known besides, or written anew. `differs`: parameters that take
    other values, where a call knows them; they stay as optional as they are. `may`: who may.
    """

    calls: str
    absent: bool = False
    lacks: str = ""
    takes: str = ""
    differs: str = ""
    may: str = ""

    @cached_property
    def _calls(self) -> re.Pattern[str]:
        return re.compile(self.calls)

    def concerns(self, call: str) -> bool:
        """Whether a call, or a property string, is meant."""
        return self._calls.fullmatch(call) is not None

    def applied(self, known: Table) -> Table:
        """What the older release takes, from what the newer one takes."""
        gone = _names(self.lacks, known.params)
        params = {name: param for name, param in known.params.items() if name not in gone}
        aliases = {old: new for old, new in known.aliases.items() if not {old, new} & gone}
        for name, param in table(self.differs).params.items():
            if (before := params.get(name)) is not None:
                optional, default_key = before.optional, before.default_key
                params[name] = replace(param, optional=optional, default_key=default_key)
        return replace(known, params=params, aliases=aliases) | table(self.takes)


def _names(text: str, known: Iterable[str] | Mapping[str, object]) -> frozenset[str]:
    """The names in a text, and those that `dev[n]` stands for."""
    names = frozenset(text.split())
    patterns = [name.removesuffix("[n]") for name in names if name.endswith("[n]")]
    numbered = {name for name in known if name.rstrip("0123456789") in patterns}
    return names | numbered
