"""Laying out files: one look, the same meaning, every comment where it was."""

from __future__ import annotations

import random
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.compose import compose
from lab.errors import LabInvalid
from lab.format import format_text
from lab.lab import WORDS
from lab.shape import keys_of, model_at
from lab.source import Source

SOUND = (Path(__file__).parent / "sound.yaml").read_text()
TREE = Path(__file__).parents[2] / "desired-state"


def formatted(text: str) -> str:
    once = format_text(dedent(text))
    assert format_text(once) == once
    return once


def test_keys_stand_in_the_order_of_the_language_and_names_in_that_of_the_author() -> None:
    text = """\
        guests:
          zoro: {cluster: a, memory: 8GiB, vmid: 102}
          luffy:
            memory: 8GiB
            disks: {scsi1: {size: 1GiB, storage: x}, scsi0: {size: 2GiB, storage: x}}
            cluster: a
            vmid: 101
            protect: true
        feeds: {}
    """
    assert formatted(text) == dedent("""\
        feeds: {}
        guests:
          zoro: {vmid: 102, cluster: a, memory: 8GiB}
          luffy:
            vmid: 101
            cluster: a
            memory: 8GiB
            disks: {scsi1: {storage: x, size: 1GiB}, scsi0: {storage: x, size: 2GiB}}
            protect: true
    """)


def test_a_field_of_a_subclass_can_stand_beside_one_of_its_base() -> None:
    keys = keys_of(WORDS["nodes"])
    assert keys[0] == "cluster"
    assert keys.index("reserved") == keys.index("memory") + 1


def test_comments_move_with_what_they_are_about() -> None:
    text = """\
        # The company.

        guests:  # all of them
          # the file server
          zoro:
            # as the others

            memory: 8GiB   #much
            # last words on zoro
          # the controller
          luffy:
              # how much
              memory: 8GiB
              # who
              vmid: 101 # a number
        # power
        feeds: {}
        # the end
    """
    assert formatted(text) == dedent("""\
        # The company.

        # power
        feeds: {}
        # the end
        guests:  # all of them
          # the file server
          zoro:
            # as the others

            memory: 8GiB  #much
            # last words on zoro
          # the controller
          luffy:
            # who
            vmid: 101  # a number
            # how much
            memory: 8GiB
    """)


def test_indent_spacing_and_blank_lines_are_one() -> None:
    text = """\
        vlans:


            production:   {id:   10,role: guests}

            management:
                id: 99


                role:    management
        acls:
            all:
                path: /
                roles:
                - PVEAuditor
                -   PVEAdmin
                users: [ a@pve,b@pve , ]


    """
    assert formatted(text) == dedent("""\
        vlans:
          production: {id: 10, role: guests}

          management:
            id: 99

            role: management
        acls:
          all:
            path: /
            users: [a@pve, b@pve]
            roles:
              - PVEAuditor
              - PVEAdmin
    """)


def test_lists_of_maps_keep_their_comments() -> None:
    text = """\
        routers:
          r:
            forwards:
            # the way in
            -   to: management  # of ours
                source: vpn
            # the way out
            - source: production
              # far away
              to: internet
    """
    assert formatted(text) == dedent("""\
        routers:
          r:
            forwards:
              # the way in
              - source: vpn
                to: management  # of ours
              # the way out
              - source: production
                # far away
                to: internet
    """)


def test_long_texts_and_quotes_are_kept() -> None:
    text = """\
        expect:
            one:
                reason: >-
                    Long text
                    in two lines.

                      And # no comment.

                accept: "fail-nas # nas1"
                services: ['a',
                    b]  # two
        guests:
            luffy:
                description: first line
                    second line

                    third
                # about tags
                tags:
                    [one,  # 1
                      two]
                os: |+
                    kept

    """
    once = formatted(text)
    assert once.count("# ") == 5
    assert '    accept: "fail-nas # nas1"\n    reason: >-\n      Long text\n' in once
    assert "    services: ['a', b]  # two\n" in once
    assert compose("x", once.encode()).data == compose("x", dedent(text).encode()).data


def test_a_scenario_keeps_the_order_of_its_keys() -> None:
    text = "title: x\nguests: {}\nfeeds: {}\nexpect: {verdict: safe}\n"
    assert formatted(text) == text


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "{}\n", "{guests: {}}\n"])
def test_nearly_nothing_stays_so(text: str) -> None:
    assert formatted(text) == text.strip("\n") + ("\n" if text.strip() else "")


def test_what_cannot_be_read_is_not_touched() -> None:
    with pytest.raises(LabInvalid) as caught:
        format_text("guests: &a {}\n", "x.yaml")
    assert str(caught.value).startswith("x.yaml:1:9: &a")


def test_the_first_desired_state_can_be_laid_out() -> None:
    for path in sorted(TREE.rglob("*.yaml")):
        formatted(path.read_text())


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_layout_keeps_data_and_comments_wherever_they_stand(seed: int) -> None:
    text = disturbed(SOUND, random.Random(seed))
    once = format_text(text)
    assert format_text(once) == once
    before, after = compose("x", text.encode()), compose("x", once.encode())
    assert (before.data, before.resets) == (after.data, after.resets)
    assert sorted(Source(text).comments) == sorted(Source(once).comments)


def disturbed(text: str, chance: random.Random) -> str:
    """The same lab, looking worse: other margins, blank lines, and comments anywhere."""
    width = chance.choice([1, 2, 3, 5])
    lines = []
    for number, line in enumerate(text.splitlines()):
        bare = line.lstrip(" ")
        margin = (len(line) - len(bare)) // 2 * width
        if chance.random() < 0.2:
            lines += [" " * chance.randrange(12) + f"# note {number}"] * chance.randrange(1, 3)
        if chance.random() < 0.1:
            lines += [" " * chance.randrange(3)] * chance.randrange(1, 3)
        if bare and "#" not in bare and chance.random() < 0.1:
            bare += "   # beside " + str(number)
        lines.append(" " * margin + bare)
    return "\n".join(lines)


def test_every_mapping_of_a_word_has_an_order() -> None:
    for word, hint in WORDS.items():
        model = model_at(hint, {"type": "rbd"}, ())
        assert model is not None, word
        assert sorted(keys_of(model)) == sorted(
            name.replace("_", "-") for name in model.model_fields
        )
