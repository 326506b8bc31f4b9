"""Parts that several tests of the controller share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateSchema

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
    server = make_url(str(request.getfixturevalue("postgres_url")))
    name = f"test_{next(_NUMBERS)}"
    engine = create_engine(
        server.set(drivername="postgresql+psycopg"), connect_args={"client_encoding": "utf8"}
    )
    with engine.begin() as connection:
        connection.execute(CreateSchema(name))
    engine.dispose()
    alone = server.update_query_dict({"options": f"-csearch_path={name}"})
    return alone.render_as_string(hide_password=False)
