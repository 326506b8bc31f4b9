"""The five methods that every kind of object has: query, get_instance, create, update, delete.

An area says what is special about its objects as a `Resource`; the rest is the same for all, as in
the vendor's middleware (CRUDService).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.truenas.call import Call, Entry, serves
from simulator.truenas.documents import Row
from simulator.truenas.errors import Problems, no_such


@dataclass
class Draft:
    """A row that is about to be kept. `old`: as it was, None for a new one."""

    id: int
    new: Entry
    old: Row | None
    problems: Problems

    def others(self, call: Call, table: str) -> dict[int, Row]:
        """All rows but this."""
        return {key: row for key, row in call.documents.rows(table).items() if key != self.id}


def _no_check(call: Call, draft: Draft) -> None:
    del call, draft


def _as_kept(call: Call, row: Row) -> Entry:
    del call
    return dict(row)


@dataclass(frozen=True)
class Resource:
    """Objects of one namespace. `schema` begins the attributes of refusals: iscsi_target.

    `check` refuses or completes a draft, `entry` makes the answer from a row, `delete` replaces
    plain removal.
    """

    namespace: str
    schema: str
    title: str
    check: Callable[[Call, Draft], None] = field(default=_no_check)
    entry: Callable[[Call, Row], Entry] = field(default=_as_kept)
    delete: Callable[[Call, int], None] | None = None

    def __post_init__(self) -> None:
        serves(f"{self.namespace}.query")(self._query)
        serves(f"{self.namespace}.get_instance")(self._get_instance)
        serves(f"{self.namespace}.create")(self._create)
        serves(f"{self.namespace}.update")(self._update)
        serves(f"{self.namespace}.delete")(self._delete)

    def find(self, call: Call, identity: int) -> Row:
        """A row. Raises ENOENT."""
        row = call.documents.rows(self.namespace).get(identity)
        if row is None:
            raise no_such(self.title, identity)
        return row

    def put(self, call: Call, identity: int, new: Row) -> None:
        """Keep a row, and tell."""
        rows = call.documents.rows(self.namespace)
        message = "changed" if identity in rows else "added"
        rows[identity] = {**new, "id": identity}
        call.documents.changed()
        fields = self.entry(call, rows[identity])
        call.emit(f"{self.namespace}.query", message, identity, fields)

    def drop(self, call: Call, identity: int) -> None:
        """Forget a row, and tell."""
        del call.documents.rows(self.namespace)[identity]
        call.documents.changed()
        call.emit(f"{self.namespace}.query", "removed", identity, {})

    def _query(self, call: Call) -> object:
        rows = call.documents.rows(self.namespace).values()
        return call.selected([self.entry(call, row) for row in rows])

    def _get_instance(self, call: Call) -> object:
        return self.entry(call, self.find(call, call.args["id"]))

    def _create(self, call: Call) -> object:
        identity = call.documents.next_id(self.namespace)
        return self._keep(call, identity, {**call.data, "id": identity}, None)

    def _update(self, call: Call) -> object:
        identity = call.args["id"]
        old = self.find(call, identity)
        return self._keep(call, identity, {**old, **call.data, "id": identity}, old)

    def _keep(self, call: Call, identity: int, new: Entry, old: Row | None) -> Entry:
        verb = "create" if old is None else "update"
        draft = Draft(identity, new, old, Problems(f"{self.schema}_{verb}"))
        self.check(call, draft)
        draft.problems.check()
        self.put(call, identity, draft.new)
        return self.entry(call, call.documents.rows(self.namespace)[identity])

    def _delete(self, call: Call) -> object:
        identity = call.args["id"]
        self.find(call, identity)
        if self.delete is None:
            self.drop(call, identity)
        else:
            self.delete(call, identity)
        return True
