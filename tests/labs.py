"""Labs for tests, made from the language itself."""

from __future__ import annotations

from textwrap import dedent

from lab.lab import Lab
from lab.load import load


def lab_of(*texts: str, rules: bool = True) -> Lab:
    """The lab that these YAML texts declare, each a file of its own. Raises LabInvalid."""
    files = {f"{number}.yaml": dedent(text).encode() for number, text in enumerate(texts, 1)}
    return load(files, rules=rules)
