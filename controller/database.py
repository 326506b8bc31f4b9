"""The tables of history and lease, and the way to them: SQLite in a file, or PostgreSQL by URL.

Made when first opened, by whoever comes first. Leaves out what rows mean: see `history`, `lease`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.schema import CreateIndex, CreateTable

from lab.errors import VlabError

VERSION = "1"  # of the tables; a newer one is not touched
BUSY_S = 10.0  # how long SQLite waits for another process of ours
_READS = "vlab_reads"  # the execution option of a connection that writes nothing
_PATIENCE = {"connect_timeout": 10, "client_encoding": "utf8"}
_SCHEMA_LOCK = 0x766C6162  # "vlab": PostgreSQL's advisory lock around making the tables

TABLES = MetaData()
_thing = ("device", "kind", "thing")

meta = Table(
    "meta", TABLES, Column("name", Text, primary_key=True), Column("value", Text, nullable=False)
)
revisions = Table(
    "revisions",
    TABLES,
    Column("number", Integer, primary_key=True),  # in the order in which they were seen
    Column("commit", Text, nullable=False, index=True),
    Column("author", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("committed_s", Double, nullable=False),
    Column("seen_s", Double, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("told", Text, nullable=False),
)
runs = Table(
    "runs",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("commit", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("started_s", Double, nullable=False),
    Column("ended_s", Double),
    Column("result", Text, nullable=False),
    Column("told", Text, nullable=False),
)
operations = Table(
    "operations",
    TABLES,
    Column("run", ForeignKey("runs.number", ondelete="CASCADE"), primary_key=True),
    *(Column(name, Text, primary_key=True) for name in _thing),
    Column("wave", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("cost", Text, nullable=False),
    Column("told", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at_s", Double),
)
owned = Table(
    "owned",
    TABLES,
    *(Column(name, Text, primary_key=True) for name in _thing),
    Column("proved", Boolean, nullable=False),
    Column("record", Text, nullable=False),
)
conditions = Table(
    "conditions",
    TABLES,
    Column("subject", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("since_s", Double, nullable=False),
)
lease = Table(
    "lease",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("until_s", Double, nullable=False),
    Column("token", Integer, nullable=False),
)
events = Table(
    "events",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("at_s", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("told", Text, nullable=False),
)


class HistoryAway(VlabError):
    """The database does not answer or can't be used; nothing is done that it could not remember."""


def connect(url: str) -> Engine:
    """The database at an SQLAlchemy URL, with its tables. Raises HistoryAway."""
    try:
        parsed = url_of(url)
        if parsed.get_backend_name() == "sqlite":
            engine = _sqlite(parsed)
        else:
            engine = create_engine(parsed, pool_pre_ping=True, connect_args=_PATIENCE)
    except OSError as error:
        raise HistoryAway(f"history: {error.filename}: {error.strerror}") from error
    except (ValueError, NoSuchModuleError, ImportError) as error:
        raise HistoryAway(f"history: {error}") from error
    try:
        with transaction(engine) as connection:
            _make_tables(connection, parsed)
    except HistoryAway:
        engine.dispose()
        raise
    return engine


def url_of(url: str) -> URL:
    """An SQLAlchemy URL in parts. Raises ValueError for what leads to no database of ours."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ValueError("this is no URL of a database") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ValueError(f"{parsed.drivername} is neither sqlite nor postgresql")
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """All or nothing. Raises HistoryAway if the database does not take it."""
    with _answered(engine), engine.begin() as connection:
        yield connection


@contextmanager
def reading(where: Engine | Connection) -> Iterator[Connection]:
    """Writes nothing, so it waits for no writer; from a connection, what that one sees already.

    All that is read by one connection was true at one instant. Raises HistoryAway.
    """
    if isinstance(where, Connection):
        with _answered(where.engine):
            yield where
        return
    options: dict[str, Any] = {_READS: True}
    if where.dialect.name == "postgresql":  # a transaction of SQLite sees one instant anyway
        options["isolation_level"] = "REPEATABLE READ"
    with _answered(where), where.execution_options(**options).begin() as connection:
        yield connection


@contextmanager
def _answered(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, NoConnectionFree) as error:
        where = engine.url.render_as_string(hide_password=True)
        why = error.orig if isinstance(error, DBAPIError) else error
        raise HistoryAway(f"{where}: {str(why).strip().splitlines()[0]}") from error


def _sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _begin)
    return engine


def _durable(connection: sqlite3.Connection, _record: object) -> None:
    """Readers do not wait for the writer, and what was committed survives a loss of power."""
    connection.isolation_level = None  # `_begin` begins, not Python's module, which knows no reader
    _keep_log_ahead(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _keep_log_ahead(connection: sqlite3.Connection) -> None:
    """WAL. SQLite refuses it at once while somebody writes, where it would wait for a lock."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _begin(connection: Connection) -> None:
    """Who may write takes the lock first: one who read before would be refused instead of wait."""
    reads = connection.get_execution_options().get(_READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _make_tables(connection: Connection, url: URL) -> None:
    if url.get_backend_name() == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))
    for table in TABLES.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    first = "INSERT INTO meta (name, value) VALUES ('version', :version) ON CONFLICT DO NOTHING"
    connection.execute(text(first), {"version": VERSION})
    found = connection.execute(select(meta.c.value).where(meta.c.name == "version")).scalar_one()
    if found != VERSION:
        what = f"was made by another version of vlab (tables {found}, this one knows {VERSION})"
        raise HistoryAway(f"{url.render_as_string(hide_password=True)} {what}")
