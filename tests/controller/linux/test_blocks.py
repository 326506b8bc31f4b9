"""Our part of files that others write too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.linux.blocks import block_in, with_block, with_settings
from lab.errors import Refused

LINES = st.text(st.characters(codec="utf-8", exclude_characters="#\r")).map(
    lambda text: text if text.endswith("\n") or not text else f"{text}\n"
)
NAMES = st.sampled_from(["vlab", "vlab mount /backup", "vlab export /a+b"])


@given(LINES, NAMES, LINES, LINES)
def test_a_block_is_read_back_and_the_rest_stays(
    text: str, name: str, first: str, second: str
) -> None:
    once = with_block(text, name, first)
    twice = with_block(once, name, second)

    assert block_in(once, name) == (first or None)
    assert block_in(twice, name) == (second or None)
    assert with_block(twice, name, "") == text
    assert with_block(once, "another", "x\n").startswith(once)


@pytest.mark.parametrize(
    "text",
    ["# BEGIN vlab\nx\n", "x\n# END vlab\n", "# BEGIN vlab\n# BEGIN vlab\nx\n# END vlab\n"],
)
def test_half_a_block_is_for_a_person_to_mend(text: str) -> None:
    with pytest.raises(Refused, match="block vlab is not between its two marks, once"):
        with_block(text, "vlab", "y\n")


def test_settings_replace_what_a_file_says_of_them() -> None:
    record = "# BEGIN RECORD\nnode.name = iqn\nnode.startup = manual\n# END RECORD\n"

    text = with_settings(record, "node.startup = automatic\nnode.x = 1\n")

    assert text == (
        "# BEGIN RECORD\nnode.name = iqn\nnode.startup = automatic\nnode.x = 1\n# END RECORD\n"
    )
