"""Reference data that is not part of the repository: recordings and schemas of real devices.

Found by the environment variable VLAB_REFERENCE, else beside the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def present(name: str) -> Path | None:
    """The file or folder of this name; None if there is none."""
    folder = Path(os.environ.get("VLAB_REFERENCE", ROOT.parent / "shared" / "reference"))
    path = folder / name
    return path if path.exists() else None


def reference(name: str) -> Path:
    """The file or folder of this name; skips the test, with the reason, where there is none."""
    if (path := present(name)) is None:
        pytest.skip(f"no reference data {name}: VLAB_REFERENCE names no folder that has it")
    return path
