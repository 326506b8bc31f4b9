"""A folder of files to their contents: the only place of the language that touches a disk.

Takes `*.yaml` and `*.yml` below the root, except hidden files and folders and the top-level folder
`scenarios/`, whose stories are labs of their own. Links are followed to files inside the tree only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lab.compose import MAX_FILE_BYTES
from lab.errors import Invalid, LabInvalid, Place, Problem

MAX_FILES = 10_000
ENDINGS = (".yaml", ".yml")
SCENARIOS = "scenarios"


def read_tree(root: Path) -> dict[str, bytes]:
    """Contents of the YAML files under `root` by their name below it, `/` between folders.

    Raises LabInvalid for a root that is no folder, links out of the tree, special files, files that
    are too large or not readable, and too many files.
    """
    if not root.is_dir():
        raise LabInvalid((Problem(None, f"{root} is no folder", fix="name the tree with --tree"),))
    inside = root.resolve()
    contents: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path in _yaml_files(root):
        name = path.relative_to(root).as_posix()
        if len(contents) >= MAX_FILES:
            problems.append(Problem(None, f"the tree has more than {MAX_FILES} files"))
            break
        if (problem := _unfit(path, inside, Place(name, 1, 1))) is not None:
            problems.append(problem)
            continue
        try:
            contents[name] = path.read_bytes()
        except OSError as error:
            problems.append(Problem(Place(name, 1, 1), f"can't be read: {error.strerror}"))
    if problems:
        raise LabInvalid(tuple(problems))
    return contents


def read_file(path: Path, fix: str = "name a file that can be read") -> bytes:
    """The content of a file that a person named. Raises Invalid for what is no plain file, not
    readable or too large; never waits for a pipe.
    """
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE_BYTES:
            return path.read_bytes()
        large = f"{path} has {status.st_size} bytes, more than {MAX_FILE_BYTES}"
        what = large if stat.S_ISREG(status.st_mode) else f"{path} is no regular file"
    except (OSError, ValueError) as error:  # the latter for a name with a NUL byte
        what = f"{path} can't be read: {getattr(error, 'strerror', None) or error}"
    raise Invalid((Problem(None, what, fix=fix),))


def _yaml_files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        skip = {SCENARIOS} if here == root else set()
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in skip)
        for name in sorted({*files, *(set(linked) & set(folders))}):
            if name in linked or (name.endswith(ENDINGS) and not name.startswith(".")):
                yield here / name


def _unfit(path: Path, inside: Path, place: Place) -> Problem | None:
    """Why this file is not read, or None."""
    try:
        target = path.resolve(strict=True)
        status = target.stat()
    except (OSError, RuntimeError):  # a loop of links is the latter before Python 3.13
        return Problem(place, "is a link to nothing", fix="remove the link or mend it")
    if not target.is_relative_to(inside):
        why = "the tree is what was committed; what it links to is not"
        return Problem(place, "is a link out of the tree", why, "put the file itself here")
    if stat.S_ISDIR(status.st_mode):
        return Problem(
            place, "is a link to a folder", fix="move the folder here, or remove the link"
        )
    if not stat.S_ISREG(status.st_mode):
        return Problem(place, "is no regular file", fix="remove it from the tree")
    if status.st_size > MAX_FILE_BYTES:
        what = f"the file has {status.st_size} bytes, more than {MAX_FILE_BYTES}"
        return Problem(place, what, fix="split it: files of the tree are merged")
    return None
