"""The served firewall: rules by position, names, digests, and the files that it is kept in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.pve_datacenter import firewall_file
from simulator.pve_datacenter.firewall_file import FirewallFile, Group
from tests.simulator.pve_cluster import Cluster, cluster

RULES = "/cluster/firewall/rules"


def _positions(here: Cluster, base: str = RULES) -> list[tuple[int, str]]:
    return [(rule["pos"], rule.get("comment", "")) for rule in here.ok(f"GET {base}")]


def _three_rules() -> Cluster:
    here = cluster()
    for comment in ("c", "b", "a"):
        here.ok(f"POST {RULES}", type="in", action="ACCEPT", comment=comment)
    return here


def test_a_new_rule_stands_first_and_is_off() -> None:
    here = _three_rules()
    here.ok(f"POST {RULES}", type="out", action="DROP", pos=2)
    first = here.ok(f"GET {RULES}/0")
    assert (first["type"], first["enable"], first["pos"]) == ("out", 0, "0")
    assert _positions(here)[1:] == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize(
    ("pos", "moveto", "after"), [(0, 3, "bca"), (0, 2, "bac"), (2, 0, "cab"), (1, 1, "abc")]
)
def test_a_moved_rule_stands_before_the_one_that_was_there(
    pos: int, moveto: int, after: str
) -> None:
    here = _three_rules()
    here.ok(f"PUT {RULES}/{pos}", moveto=moveto)
    assert "".join(comment for _, comment in _positions(here)) == after


def test_a_digest_seen_before_a_change_is_refused_after_it() -> None:
    here = _three_rules()
    seen = here.ok(f"GET {RULES}")[0]["digest"]
    here.ok(f"PUT {RULES}/0", comment="other", digest=seen)
    changed = "detected modified configuration - file changed by other user? Try again."
    assert here.refusal(f"DELETE {RULES}/0", digest=seen) == (500, changed)
    here.ok("POST /cluster/firewall/groups", group="web")
    now = here.ok(f"GET {RULES}")[0]["digest"]
    here.ok(f"DELETE {RULES}/0", digest=now)


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ({"action": "BOGUS"}, {"action": "unknown action 'BOGUS'"}),
        ({"dport": "80"}, {"proto": "missing property - 'dport' requires this property"}),
        ({"proto": "tcp", "dport": "90:80"}, {"dport": "backwards range"}),
        ({"proto": "tcp", "dport": "70000"}, {"dport": "invalid port '70000'"}),
        ({"proto": "gre", "dport": "80"}, {"dport": "protocol 'gre' does not support ports"}),
        ({"source": "+nosuch"}, {"source": "no such ipset 'nosuch'"}),
        ({"source": "nosuch"}, {"source": "no such alias 'nosuch'"}),
        ({"source": "10.0.0.1-10.0.0.9,10.1.0.1"}, {"source": "you can't use a range in a list"}),
        ({"source": "10.0.0.1,fd00::1"}, {"source": "detected mixed ipv4/ipv6 address list"}),
        ({"source": "10.0.0.1", "dest": "fd00::1"}, {"dest": "detected mixed ipv4/ipv6"}),
        ({"source": "10.0.0.1", "proto": "ipv6-icmp"}, {"source": "detected mixed ipv4/ipv6"}),
        ({"macro": "nosuch"}, {"macro": "unknown macro 'nosuch'"}),
        ({"macro": "SSH", "dport": "23", "proto": "tcp"}, {"dport": "already define in macro"}),
        ({"proto": "icmp", "icmp-type": "packet-too-big"}, {"icmp-type": "invalid icmp-type"}),
    ],
)
def test_a_rule_that_can_not_be_is_refused_with_its_reason(
    rule: dict[str, str], wrong: dict[str, str]
) -> None:
    here = cluster()
    sent = {key.replace("-", "__"): value for key, value in rule.items()}
    errors = here.errors(f"POST {RULES}", **{"type": "in", "action": "ACCEPT", **sent})
    assert errors.keys() == wrong.keys()
    assert all(text in errors[key] for key, text in wrong.items())
    assert here.ok(f"GET {RULES}") == []


def test_a_macro_is_taken_in_any_case_and_kept_in_its_own() -> None:
    here = cluster()
    here.ok(f"POST {RULES}", type="in", action="ACCEPT", macro="https")
    assert here.ok(f"GET {RULES}/0")["macro"] == "HTTPS"
    assert {"macro": "HTTPS", "descr": "HTTPS traffic"} in here.ok("GET /cluster/firewall/macros")


def test_a_rule_whose_alias_went_away_keeps_its_place_and_says_so() -> None:
    here = cluster()
    here.ok("POST /cluster/firewall/aliases", name="office", cidr="10.0.0.0/24")
    here.ok(f"POST {RULES}", type="in", action="ACCEPT", source="Office")
    assert here.ok(f"GET {RULES}/0")["ipversion"] == 4
    here.ok("DELETE /cluster/firewall/aliases/office")
    assert here.ok(f"GET {RULES}/0")["errors"] == {"source": "no such alias 'Office'"}


def test_guests_see_the_names_of_their_own_and_of_the_datacenter() -> None:
    here = cluster()
    here.guest(100)
    base = "/nodes/pve1/qemu/100/firewall"
    here.ok("POST /cluster/firewall/aliases", name="office", cidr="10.0.0.0/24")
    here.ok(f"POST {base}/aliases", name="me", cidr="10.0.0.7/32")
    here.ok(f"POST {base}/ipset", name="Peers", comment="of mine")
    here.ok(f"POST {base}/ipset/peers", cidr="guest/me")
    here.ok(f"POST {base}/rules", type="in", action="DROP", source="office", dest="+peers")
    references = {(row["scope"], row["ref"]) for row in here.ok(f"GET {base}/refs")}
    assert references == {("dc", "office"), ("guest", "me"), ("guest", "+peers")}
    assert here.ok(f"GET {base}/aliases/me") == {"name": "me", "cidr": "10.0.0.7", "ipversion": 4}
    assert here.errors(f"POST {base}/rules", type="in", action="DROP", source="guest/office")
    here.done("DELETE /nodes/pve1/qemu/100")
    assert "firewall/100.fw" not in here.api.documents.files


def test_members_of_a_set_lose_their_host_bits_and_stand_in_order() -> None:
    here = cluster()
    base = "/cluster/firewall/ipset/web"
    here.ok("POST /cluster/firewall/ipset", name="web")
    for cidr in ("10.9.9.9/8", "10.0.0.1/32"):
        here.ok(f"POST {base}", cidr=cidr)
    assert [row["cidr"] for row in here.ok(f"GET {base}")] == ["10.0.0.0/8", "10.0.0.1"]
    assert here.errors(f"POST {base}", cidr="0.0.0.0/0")
    assert here.refusal("DELETE /cluster/firewall/ipset/web") == (500, "IPSet 'web' is not empty")
    here.ok(f"PUT {base}/10.0.0.1", nomatch=1, comment="not me")
    assert here.ok(f"GET {base}/10.0.0.0%2F8")["cidr"] == "10.0.0.0/8"
    here.ok("DELETE /cluster/firewall/ipset/web", force=1)


def test_rules_follow_a_security_group_to_its_new_name() -> None:
    here = cluster()
    here.ok("POST /cluster/firewall/groups", group="web", comment="shops")
    here.ok("POST /nodes/pve1/firewall/rules", type="group", action="web", enable=1)
    here.ok("POST /cluster/firewall/groups", group="shop", rename="web")
    assert here.ok("GET /nodes/pve1/firewall/rules/0")["action"] == "shop"
    assert here.ok("GET /cluster/firewall/groups")[0]["comment"] == "shops"


def test_options_are_numbers_and_words_and_go_by_delete() -> None:
    here = cluster()
    base = "/nodes/pve1/firewall/options"
    empty = here.ok(f"GET {base}")
    here.ok(f"PUT {base}", enable=1, log_level_in="info", nf_conntrack_max=65536)
    kept = here.ok(f"GET {base}")
    assert (kept["enable"], kept["log_level_in"], kept["nf_conntrack_max"]) == (1, "info", 65536)
    here.ok(f"PUT {base}", delete="enable,log_level_in,nf_conntrack_max")
    assert here.ok(f"GET {base}") == empty
    assert here.errors(f"PUT {base}", delete="nosuch") == {"delete": "no such option 'nosuch'"}


def test_who_may_only_look_may_not_write() -> None:
    here = cluster()
    auditor = here.user("ana@pve", "PVEAuditor")
    assert here.ok(f"GET {RULES}", user=auditor) == []
    refused = here.refusal(f"POST {RULES}", user=auditor, type="in", action="DROP")
    assert refused == (403, "Permission check failed (/, Sys.Modify)")


def test_without_quorum_nothing_is_written() -> None:
    here = cluster()
    before = dict(here.api.documents.files)
    here.fail("fail-node pve2 fail-node pve3")
    status, reason = here.refusal(f"POST {RULES}", type="in", action="DROP")
    assert (status, reason) == (500, "cfs-lock 'firewall-cluster' error: no quorum!")
    assert here.api.documents.files == before


_NAME = st.from_regex(r"[a-z][a-z0-9_\-]{1,8}", fullmatch=True)
_COMMENT = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ]{0,8}[A-Za-z0-9]", fullmatch=True)
_RULE = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["in", "out", "forward"]),
        "enable": st.integers(0, 1),
        "action": st.sampled_from(["ACCEPT", "DROP"]),
    },
    optional={
        "macro": st.sampled_from(["SSH", "HTTP/3"]),
        "source": st.sampled_from(["10.0.0.0/24", "+web", "dc/office"]),
        "dport": st.sampled_from(["80", "80:90,443"]),
        "log": st.just("info"),
        "comment": _COMMENT,
    },
)
_FILE = st.builds(
    FirewallFile,
    options=st.fixed_dictionaries({}, optional={"enable": st.integers(0, 1), "dhcp": st.just(1)}),
    rules=st.lists(_RULE, max_size=4).map(tuple),
    groups=st.dictionaries(
        _NAME, st.builds(Group, st.lists(_RULE, max_size=2).map(tuple)), max_size=2
    ),
)


@given(file=_FILE)
def test_every_file_that_is_written_is_read_back_equal(file: FirewallFile) -> None:
    assert firewall_file.read(file.text) == file


@given(text=st.text(alphabet="[]|#!:-() \nINOUTRULESabc.09", max_size=80))
def test_any_text_is_read_and_what_it_gives_is_stable(text: str) -> None:
    once = firewall_file.read(text)
    assert firewall_file.read(replace(once).text).text == once.text


def test_a_comment_of_several_lines_can_not_become_a_rule() -> None:
    here = cluster()
    evil: dict[str, Any] = {"comment": "x\nOUT DROP", "type": "in", "action": "ACCEPT"}
    here.ok(f"POST {RULES}", **evil)
    assert [rule["type"] for rule in here.ok(f"GET {RULES}")] == ["in"]
