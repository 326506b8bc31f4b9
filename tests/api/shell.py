"""`vlab` as a process in a folder, and a git repository around what is there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Runs `vlab WORDS` in a folder."""

    folder: Path

    def __call__(self, *words: str) -> Said:
        command = [sys.executable, "-c", "from api.main import main; main()", *words]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)


def repository(folder: Path) -> None:
    """All files of the folder as the first commit of main."""
    person = ["-c", "user.name=Nami", "-c", "user.email=nami@lab.example"]
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        [*person, "commit", "--quiet", "--message=the lab"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
