"""Parts that several tests of the controller share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from controller.database import transaction
from controller.history import open_history
from tests.controller.postgres import postgres

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of our own."""
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def history_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'history.db'}"
    server = str(request.getfixturevalue("postgres_url"))
    name = f"test_{next(_NUMBERS)}"
    with_tables = open_history(server)
    engine = with_tables.engine.execution_options(isolation_level="AUTOCOMMIT")
    with transaction(engine) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    with_tables.close()
    return make_url(server).set(database=name).render_as_string(hide_password=False)
