"""Hostile and odd files: a plain refusal, or the same data as any other reader would give."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lab.compose import MAX_DEPTH, MAX_FILE_BYTES, compose
from lab.errors import Place


def refusal(content: bytes) -> str:
    document = compose("x.yaml", content)
    assert not document.whole
    (problem,) = document.problems
    assert problem.place is not None
    return problem.what


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return ("a: " + opening * depth + closing * depth).encode()


def test_nesting_is_bounded() -> None:
    assert compose("x.yaml", nested(MAX_DEPTH - 1)).problems == []
    assert refusal(nested(MAX_DEPTH)) == f"this is nested more than {MAX_DEPTH} deep"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_a_hundred_thousand_levels_are_refused_like_a_few(opening: str) -> None:
    assert refusal(("a: " + opening * 100_000).encode())
    assert refusal((opening * 100_000).encode())


def test_size_is_bounded() -> None:
    comment = b"#" * MAX_FILE_BYTES
    assert compose("x.yaml", comment).problems == []
    what = f"the file has {MAX_FILE_BYTES + 1} bytes, more than {MAX_FILE_BYTES}"
    assert refusal(comment + b"\n") == what


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"guests: \xff\xfe", "byte 9 is not UTF-8 text"),
        ("guests: {}".encode("utf-16"), "byte 1 is not UTF-8 text"),
        ("guests: {}".encode("utf-16-le"), "the file is binary, not text"),
        (b"\x7fELF\x02\x00\x00", "the file is binary, not text"),
        (b"\x89PNG\r\n\x1a\n", "byte 1 is not UTF-8 text"),
        (b"a: \x01", "this is not YAML: \\u0001 is a control character"),
        ("a: \x9b".encode(), "this is not YAML: \\u009b is a control character"),
        (b'"a\\e[31m": 1', "the name a\\u001b[31m holds control characters"),
        (b'"a\\nb": 1', "the name a\\u000ab holds control characters"),
        ("a: {x\u202ey: 1}".encode(), "the name x\\u202ey holds control characters"),
        (b'? "' + b"a" * 256 + b'"\n: 1', "a name of 256 characters, more than 255"),
        (b"&a [*a]: 1", "&a: anchors, aliases and merge keys are not allowed"),
        (b"a: &a [*a]", "&a: anchors, aliases and merge keys are not allowed"),
        (b"a: !!binary aGk=", "the tag !!binary is not allowed"),
        (b"a: ! b", "the tag ! is not allowed"),
        (b"{a: 1}\n--- {b: 1}", "the file holds several documents"),
        (b"[]", "the file is a list, not a mapping"),
        (b"''", "the file is a single value, not a mapping"),
    ],
)
def test_what_is_not_plain_text_of_the_language_is_refused(content: bytes, what: str) -> None:
    assert refusal(content).startswith(what)


def test_a_control_character_has_its_place() -> None:
    (problem,) = compose("x.yaml", b"a:\r\n  b: \x7f").problems
    assert problem.place == Place("x.yaml", 2, 6)


def test_a_byte_order_mark_and_windows_lines_are_fine() -> None:
    document = compose("x.yaml", b"\xef\xbb\xbfguests:\r\n  luffy:\r\n    vmid: 101\r\n")
    assert document.data == {"guests": {"luffy": {"vmid": "101"}}}
    assert document.find(("guests", "luffy", "vmid")) == Place("x.yaml", 3, 5)


def test_scalars_stay_the_text_that_was_written() -> None:
    text = "a: {b: [9.10, 007, yes, 1e3, 0x1F, '12', \"null\", 2018-01-01, .inf]}"
    written = ["9.10", "007", "yes", "1e3", "0x1F", "12", "null", "2018-01-01", ".inf"]
    assert compose("x.yaml", text.encode()).data == {"a": {"b": written}}


@pytest.mark.parametrize("null", ["null", "~", "Null", "NULL"])
def test_every_null_of_the_core_schema_resets(null: str) -> None:
    document = compose("x.yaml", f"a: {{b: {{c: {null}, d: 1}}}}".encode())
    assert document.data == {"a": {"b": {"d": "1"}}}
    assert document.resets == {("a", "b", "c")}


def test_the_first_of_two_equal_keys_holds_and_both_are_named() -> None:
    document = compose("x.yaml", b"a:\n  b: {c: 1}\n  b: {d: 1}\n")
    assert document.data == {"a": {"b": {"c": "1"}}}
    (problem,) = document.problems
    assert problem.what == "b is written twice; the first is at x.yaml:2:3"
    assert problem.place == Place("x.yaml", 3, 3)


@given(st.text() | st.text(alphabet="abc:-{}[],&*!|>'\"#%@ \n\t"))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    document = compose("x.yaml", text.encode("utf-8", "replace"))
    assert document.whole or document.problems


def trees(alphabet: str) -> st.SearchStrategy[dict[str, Any]]:
    """Maps of maps, lists and texts."""
    names = st.text(alphabet, min_size=1, max_size=12)
    values = st.recursive(
        names,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(names, inner, min_size=1, max_size=4)
        ),
        max_leaves=20,
    )
    return st.dictionaries(names, values, max_size=4)


def written(tree: dict[str, Any], *, flow: bool) -> bytes:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = flow
    text = io.StringIO()
    writer.dump(tree, text)
    return text.getvalue().encode()


@settings(max_examples=60)
@given(trees("abcxyz0189-_ äß:#'\"{}"))
def test_blocks_that_a_writer_of_yaml_wrote_are_read_back(tree: dict[str, Any]) -> None:
    document = compose("x.yaml", written(tree, flow=False))
    assert document.problems == []
    assert document.data == tree


@settings(max_examples=60)
@given(trees("abcxyz0189-_ äß#'\"{}"))
def test_braces_that_a_writer_of_yaml_wrote_are_read_back(tree: dict[str, Any]) -> None:
    """Without colons: those need quotes between braces here, and that writer sets none."""
    document = compose("x.yaml", written(tree, flow=True))
    assert document.problems == []
    assert document.data == tree
