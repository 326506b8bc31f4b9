"""Parts that come into a declared entry: what is one, and a file that keeps all that it had."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.adopt import adopt
from controller.growth import grown, parts_of, problem, written
from controller.observed import Observed
from controller.truenas.kinds import KINDS, context
from lab.compose import compose
from lab.kinds.nas import Nas
from lab.load import load
from tests.controller.truenas.worlds import ARRAY, DEVICE, GROUP, HARDWARE, POOLS, answers, array

TEXT = """\
# ours
nas:
  nas1:  # the array
    version: "25.10"
    zvols: {a: {pool: tank, size: 1GiB}}  # flow
    # the last words
"""


def test_parts_are_told_from_what_is_the_entrys_own() -> None:
    zvols = {"zvols": {"a": {"pool": "tank"}, "b/c": {"pool": "tank"}}}
    assert parts_of("nas", zvols) == {
        ("zvols", "a"): {"pool": "tank"},
        ("zvols", "b/c"): {"pool": "tank"},
    }
    assert parts_of("nas", {**zvols, "iqn": "iqn.2005-10.org"}) is None
    assert parts_of("guests", {"ha": {"restart": 1}}) is None


def test_a_part_that_can_not_be_read_says_why() -> None:
    assert problem("nas", ("zvols", "a"), {"pool": "tank", "size": "1GiB"}) == ""
    assert problem("nas", ("zvols", "a"), {"pool": "tank"}) == "size is missing"


def test_an_entry_grows_and_keeps_what_its_author_wrote_and_did_not_write() -> None:
    before = array("zvols: {a: {pool: tank, size: 1GiB}}").nas["nas1"]
    after = grown(before, {("zvols", "b"): {"pool": "tank", "size": "2GiB"}})
    assert isinstance(after, Nas)
    assert {name: zvol.size for name, zvol in after.zvols.items()} == {"a": 2**30, "b": 2**31}
    assert after.written == before.written
    assert after.zvols["a"].written == {"pool", "size"}


def test_a_file_gets_the_part_and_keeps_its_comments() -> None:
    path = ("nas", "nas1", "zvols", "b")
    text = written("nas1.yaml", TEXT, {path: {"pool": "tank", "size": "2GiB"}})
    assert text is not None
    assert [line for line in ("# ours", "# the array", "# flow") if line not in text] == []
    assert "b: {pool: tank, size: 2GiB}" in text
    assert text.index("a:") < text.index("b:")


def test_a_part_of_a_new_section_comes_below_the_entry() -> None:
    path = ("nas", "nas1", "targets", "t")
    text = written("nas1.yaml", TEXT, {path: {"portals": [], "luns": {}}})
    assert text is not None
    assert "    targets:\n      t:\n" in text


NAMES = st.from_regex(r"[a-z][a-z0-9 :#'\"-]{0,12}", fullmatch=True)


@given(name=NAMES.filter(lambda name: name != "a"))
def test_whatever_a_part_is_called_nothing_else_of_the_file_changes(name: str) -> None:
    text = written("nas1.yaml", TEXT, {("nas", "nas1", "zvols", name): {"pool": "tank"}})
    assert text is not None
    before, after = (compose("nas1.yaml", each.encode()).data for each in (TEXT, text))
    assert after["nas"]["nas1"]["zvols"].pop(name) == {"pool": "tank"}
    assert after == before


def test_a_part_that_would_take_the_place_of_another_is_not_written() -> None:
    assert written("nas1.yaml", TEXT, {("nas", "nas1", "zvols", "a"): {"pool": "x"}}) is None


def adopted(declared: str, **changed: object) -> tuple[dict[str, str], dict[str, str]]:
    """Files and notes of an adoption into the small array, with more declared at it."""
    below = "".join(f"    {line}\n" for line in f"{POOLS}\n{declared}".strip().splitlines())
    tree = {"hardware.yaml": HARDWARE.encode(), "nas1.yaml": f"{ARRAY}{below}".encode()}
    said = answers({f"iscsi.{name}.query": rows for name, rows in changed.items()})
    things = {thing.key: thing for kind in KINDS for thing in kind.read(DEVICE, said)}
    seen = Observed({DEVICE: KINDS}, things, {DEVICE: context(DEVICE, said)})
    found = adopt(load(tree, rules=False), seen, tree)
    return dict(found.files), {note.subject: note.text for note in found.notes}


def test_parts_come_into_the_file_of_their_entry_as_observed() -> None:
    files, notes = adopted("")
    assert list(files) == ["nas1.yaml"]
    assert files["nas1.yaml"].count("manage: [observe]") == 7
    assert notes == {}


def test_names_of_initiators_are_quoted_as_they_hold_colons() -> None:
    rows = [GROUP | {"initiators": ["iqn.2005-10.org.other:x"], "comment": ""}]
    files, notes = adopted("", initiator=rows)
    assert 'names: ["iqn.2005-10.org.other:x"]' in files["nas1.yaml"]
    assert notes == {}


def test_a_part_that_is_declared_already_is_not_written_to_but_told() -> None:
    declared = """
zvols: {group1: {pool: tank, size: 100GiB}}
portals:
  path1: {vlan: iscsi-1, address: 192.168.101.21}
  path2: {vlan: iscsi-2, address: 192.168.102.21}
targets: {vms: {portals: [path1, path2], initiators: [pve1, pve2], luns: {}}}
"""
    files, notes = adopted(declared)
    assert "group1" not in files["nas1.yaml"].partition("targets:")[2]
    assert notes["nas/nas1 lun vms/0"].startswith("nas nas1 targets vms is declared at nas1.yaml:")
    assert '"luns": {"0": "group1"}' in notes["nas/nas1 lun vms/0"]
