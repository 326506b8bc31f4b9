"""Reading a folder: which files belong to the tree, and which can't."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import tree
from lab.compose import MAX_FILE_BYTES
from lab.errors import LabInvalid
from lab.load import load_tree
from lab.tree import read_tree


def refused(root: Path) -> list[str]:
    with pytest.raises(LabInvalid) as caught:
        read_tree(root)
    return [str(problem).splitlines()[0] for problem in caught.value.problems]


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"feeds: {}\n")


def test_yaml_files_at_any_depth_belong_to_the_tree(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "network/b.yml", "x/y/z/c.yaml", "README.md", "x/notes.txt")
    assert list(read_tree(tmp_path)) == ["a.yaml", "network/b.yml", "x/y/z/c.yaml"]


def test_scenarios_and_hidden_things_do_not(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "scenarios/s.yaml", ".git/x.yaml", ".hidden.yaml", "n/.v/x.yaml")
    write(tmp_path, "n/scenarios/b.yaml")
    assert list(read_tree(tmp_path)) == ["a.yaml", "n/scenarios/b.yaml"]


def test_a_link_to_a_file_of_the_tree_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, "..data/a.yaml")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert read_tree(tmp_path) == {"a.yaml": b"feeds: {}\n"}


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, "real/a.yaml")
    (tmp_path / "current").symlink_to("real")
    assert list(read_tree(tmp_path / "current")) == ["a.yaml"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside.yaml", "../outside"])
def test_links_out_of_the_tree_are_refused(tmp_path: Path, target: str) -> None:
    write(tmp_path, "outside.yaml", "outside/b.yaml", "tree/a.yaml")
    (tmp_path / "tree/link.yaml").symlink_to(target)
    assert refused(tmp_path / "tree") == ["link.yaml:1:1: is a link out of the tree"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "a/a.yaml")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "a/loop").symlink_to("..")
    assert refused(tmp_path) == [
        "b:1:1: is a link to a folder",
        "a/loop:1:1: is a link to a folder",
    ]


def test_broken_and_circular_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert refused(tmp_path) == [
        "gone.yaml:1:1: is a link to nothing",
        "loop.yaml:1:1: is a link to nothing",
    ]


def test_a_pipe_does_not_hold_the_reader_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert refused(tmp_path) == ["pipe.yaml:1:1: is no regular file"]


def test_a_large_file_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "large.yaml").open("wb") as large:
        large.truncate(MAX_FILE_BYTES + 1)
    assert refused(tmp_path) == [
        f"large.yaml:1:1: the file has {MAX_FILE_BYTES + 1} bytes, more than {MAX_FILE_BYTES}"
    ]


def test_the_number_of_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_FILES", 2)
    write(tmp_path, "a.yaml", "b.yaml")
    assert len(read_tree(tmp_path)) == 2
    write(tmp_path, "c.yaml")
    assert refused(tmp_path) == ["the tree has more than 2 files"]


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere") == [f"{tmp_path / 'nowhere'} is no folder"]


def test_a_tree_is_loaded_with_names_below_its_root(tmp_path: Path) -> None:
    write(tmp_path, "power/feeds.yaml")
    (tmp_path / "power/feeds.yaml").write_text("feeds: {feed1: {}}\n")
    lab = load_tree(tmp_path)
    assert str(lab.place("feeds", "feed1")) == "power/feeds.yaml:1:9"
