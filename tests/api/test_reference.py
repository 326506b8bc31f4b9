"""The pages written from the code: that they say what the code does, and are the committed ones."""

from __future__ import annotations

import re

import pytest

from api.reference import pages
from api.reference.faces import cli_page, errors_page, http_page
from api.reference.kinds import kinds_page
from api.reference.words import managed_words, simulated_words, words_page
from controller.families import all_costs
from lab.lab import WORDS
from tests.reference import ROOT

DOCS = ROOT / "docs"


def row(page: str, *cells: str) -> bool:
    """Whether a table has a row with just these cells."""
    return f"| {' | '.join(cells)} |" in page


@pytest.mark.parametrize("name", pages.PAGES)
def test_the_committed_page_is_the_one_that_the_code_writes(name: str) -> None:
    assert (DOCS / name).read_text() == pages.PAGES[name](), "run `make docs`"


def test_the_committed_index_names_every_page_by_its_title() -> None:
    index = (DOCS / "README.md").read_text()

    assert index == pages.index(), "run `make docs`"
    linked = {DOCS / link for link in re.findall(r"\]\(([^)]+)\)", index)}
    assert linked == set(DOCS.glob("*/*.md"))


def test_links_between_pages_lead_somewhere() -> None:
    dead = [
        (file.name, link)
        for file in DOCS.rglob("*.md")
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text())
        if not (file.parent / link).exists()
    ]
    assert dead == []


def test_every_word_has_its_keys_with_unit_default_and_cost() -> None:
    page = kinds_page()

    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == list(WORDS)
    assert row(page, "`memory`", "size", "`512MiB`", "reboot")
    assert row(page, "`storage`", "name of `storages`", "**must**", "live")
    assert row(page, "`boot`", "duration", "`60s`", "")
    assert row(page, "`disks`", "map of entry, see below", "", "an entry: replace")
    assert "### guests.*.disks.*\n\nA volume of a guest." in page
    assert "### storages of type rbd" in page


def test_every_cost_stands_beside_its_key() -> None:
    page = kinds_page()

    for path, cost in all_costs().items():
        key = path.rpartition(".")[2]
        told = "an entry: " if key == "*" else f"`{key}` "
        assert re.search(rf"^\| .*{re.escape(told)}.*{cost} \|$", page, re.MULTILINE), path


def test_what_is_simulated_is_seen_and_not_told() -> None:
    seen = simulated_words(ROOT / "desired-state")

    assert {"cables", "guests", "ceph", "feeds", "ha-rules", "expect"} <= seen
    assert not {"users", "acls", "realms", "backup-jobs"} & seen
    assert managed_words() <= set(WORDS)
    page = words_page(ROOT / "desired-state")
    assert row(page, "`guests`", "yes", "yes", "")
    assert row(page, "`realms`", "", "", "declared, not managed yet")
    assert row(page, "`ceph`", "yes", "yes", "")


def test_every_verb_has_its_help() -> None:
    page = cli_page()

    assert "## vlab simulate\n" in page
    assert "## vlab lab up\n" in page
    assert "--restore-at" in page
    assert "Usage: vlab fidelity [OPTIONS] [row]" in page


def test_every_route_and_value_is_there() -> None:
    page = http_page()

    assert "| `POST /api/v1/simulations` |" in page
    assert "| `GET /metrics` |" in page
    assert row(page, "`faults`", "string", "")


def test_every_error_and_exit_code_is_there() -> None:
    page = errors_page()

    assert row(page, "3", "unsafe", "the verdict says unsafe")
    assert re.search(r"^\| `DeviceError` \| VlabError \| 1 \| ", page, re.MULTILINE)
    assert re.search(r"^\| `Refused` \| VlabError \| 4 \| ", page, re.MULTILINE)
