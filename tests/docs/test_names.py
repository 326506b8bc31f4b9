"""What documents name is there: pages, commands, words of the language, settings, reasons."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel
from typer.main import get_command

from api.main import app
from controller import desired, standing
from controller.settings import Settings, read_settings
from lab.lab import WORDS
from lab.load import load
from tests.docs.stages import HERE
from tests.docs.transcript import fenced, typed

DOCUMENTS = sorted(
    {*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md"), *(HERE / "desired-state").rglob("*.md")}
)
NAMES = [str(path.relative_to(HERE)) for path in DOCUMENTS]
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    text = _without_blocks((HERE / name).read_text())
    broken = [link for link in LINK.findall(text) if not _leads(HERE / name, link)]
    assert not broken


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one_of_the_command_line(name: str) -> None:
    wrong = [text for text in _commands((HERE / name).read_text()) if not _known(text)]
    assert not wrong


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_the_language_load(name: str) -> None:
    for _, lines in fenced((HERE / name).read_text(), "yaml"):
        if any(line.partition(":")[0] in WORDS for line in lines):
            load({"example.yaml": "\n".join(lines).encode()}, rules=False)


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_settings_are_settings(name: str, tmp_path: Path) -> None:
    for _, lines in fenced((HERE / name).read_text(), "toml"):
        file = tmp_path / "vlab.toml"
        file.write_text("\n".join(lines))
        read_settings(file)


def test_every_key_of_the_settings_is_explained() -> None:
    text = (HERE / "docs/how-to/install.md").read_text()
    missing = [key for key in _keys(Settings) if f"| `{key}` |" not in text]
    assert not missing


def test_every_reason_of_a_condition_is_explained() -> None:
    text = (HERE / "docs/how-to/operate.md").read_text()
    reasons = {
        *standing._ENDINGS.values(),
        *standing._NOT_AS_DECLARED.values(),
        *(reason for _, reason in standing._FATES.values()),
        *desired._REASONS.values(),
    }
    assert not [reason for reason in sorted(reasons) if f"`{reason}`" not in text]


def test_every_dependency_has_its_sentence() -> None:
    project = tomllib.loads((HERE / "pyproject.toml").read_text())
    groups = [each for group in project["dependency-groups"].values() for each in group]
    asked = [*project["project"]["dependencies"], *(e for e in groups if isinstance(e, str))]
    names = {re.split(r"[\[<>=~!]", each)[0] for each in asked}
    text = (HERE / "docs/explanation/dependencies.md").read_text()
    assert set(re.findall(r"^\| ([\w.-]+) \| \S", text, flags=re.MULTILINE)) - {"package"} == names


def _without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def _leads(document: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    path, _, heading = link.partition("#")
    target = (document.parent / path) if path else document
    return target.exists() and (not heading or heading in _headings(target.read_text()))


def _headings(text: str) -> set[str]:
    """As forges make anchors of them."""
    titles = re.findall(r"^#+ (.*)$", _without_blocks(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _commands(text: str) -> Iterator[str]:
    """Calls of vlab, in the text and in blocks."""
    for said in INLINE.findall(_without_blocks(text)):
        yield from re.findall(r"^(?:\S*/)?vlab (.*)", said)
    shell = [line for _, lines in fenced(text, "sh") for line in lines]
    for line in [*shell, *(each.command for each in typed(text))]:
        yield from re.findall(r"(?:^|bin/|until )vlab ([a-z-]+[^|;>&]*)", line)


def _known(text: str) -> bool:
    """Whether verb and options are there; what an option is told is not looked at."""
    command = get_command(app)
    words = text.split()
    while (below := getattr(command, "commands", None)) is not None:
        if words == ["--help"]:
            return True
        if not words or words[0] not in below:
            return False
        command = below[words.pop(0)]
    options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    asked = {word.partition("=")[0] for word in words if word.startswith("-")}
    return asked <= options | {"--help"}


# What stands for the names of a table's tables.
NAMED = {"pve": "CLUSTER", "nas": "ARRAY", "ceph": "CLUSTER", "linux": "HOST"}


def _keys(table: type[BaseModel], above: str = "") -> Iterator[str]:
    """`source.remote`, `pve.CLUSTER.token`: every key that can be written."""
    for name, field in table.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _keys(inner, f"{above}{name}.")
        elif get_origin(inner) is dict:
            yield from _keys(get_args(inner)[1], f"{above}{name}.{NAMED[name]}.")
        elif not field.exclude:
            yield f"{above}{name}"
