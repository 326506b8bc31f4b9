"""Which page is written from what, and the index that names every page of docs/."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from api import truth
from api.output import say
from api.reference.faces import cli_page, errors_page, http_page
from api.reference.kinds import kinds_page
from api.reference.markdown import table
from api.reference.words import words_page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FOLDERS = {
    "tutorial": "learning by doing",
    "how-to": "getting one thing done",
    "reference": "looking up",
    "explanation": "understanding",
    "decisions": "what was chosen, against what, and what would reverse it",
}

PAGES: Mapping[str, Callable[[], str]] = {
    "reference/kinds.md": kinds_page,
    "reference/words.md": lambda: words_page(ROOT / "desired-state"),
    "reference/cli.md": cli_page,
    "reference/api.md": http_page,
    "reference/errors.md": errors_page,
}


def write() -> None:
    """Write every page; that of fidelity only where all recordings are."""
    for name, made in PAGES.items():
        (DOCS / name).write_text(made())
    scores = truth.measured(truth.reference())
    if absent := [name for name, score in scores.items() if score is None]:
        say(f"reference/fidelity.md stays as it is: {truth.ABSENT} of {', '.join(absent)}")
    else:
        (DOCS / "reference" / "fidelity.md").write_text(f"{truth.page(scores)}\n")
    (DOCS / "README.md").write_text(index())


def index() -> str:
    """docs/README.md: every page by its title."""
    rows = [
        [f"`{folder}/`", purpose, ", ".join(map(_link, sorted((DOCS / folder).glob("*.md"))))]
        for folder, purpose in FOLDERS.items()
    ]
    lines = ["# Documentation", "", "Start with `make demo`; then the tutorial."]
    return "\n".join([*lines, *table(["folder", "for", "pages"], rows)]) + "\n"


def _link(file: Path) -> str:
    title = file.read_text().partition("\n")[0].removeprefix("# ")
    return f"[{title}]({file.relative_to(DOCS)})"
