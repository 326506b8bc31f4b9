"""A served exhibit for the tests of the HTTP face, and a client to ask it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.http import Server, create_app
from tests.api.exhibit import START_S, Exhibit, exhibit, fill


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history to be copied; making one takes a while."""
    file = tmp_path_factory.mktemp("history") / "history.db"
    fill(file, START_S)
    return file


@pytest.fixture
def shown(tmp_path: Path, filled: Path) -> Iterator[Exhibit]:
    """The lab of `desired-state/` in sync, with a history of its own."""
    shutil.copy(filled, tmp_path)
    made = exhibit(tmp_path)
    yield made
    made.history.close()


@pytest.fixture
def client(shown: Exhibit) -> Iterator[httpx.Client]:
    """A client of the exhibit, served over loopback."""
    with (
        Server(create_app(shown.view()), "127.0.0.1", 0) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as made,
    ):
        yield made
