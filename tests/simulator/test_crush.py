"""CRUSH equals Ceph's own: known values, properties, and the real tool where it is installed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.crush.crushmap import NONE, WEIGHT_ONE, CrushMap, NotBuilt, Step, bucket, from_dump
from simulator.crush.hashes import hash2, hash3, hash_name, lengths, log2
from simulator.crush.mapper import map_rule
from simulator.crush.osdmap import OsdMap, PlacedPool, placement_group, stable_mod
from simulator.fidelity.crush import cases
from tests.reference import reference

HOSTS = 4
ROOT, TYPES = -1, {"osd": 0, "host": 1, "root": 11}
FIRSTN, INDEP, BY_OSD = 0, 1, 2


def racked(hosts: int = HOSTS, osds: int = 2, alg: str = "straw2") -> CrushMap:
    """Hosts of equal OSDs below one root, with a rule of each kind."""
    made = {}
    for host in range(hosts):
        items = {host * osds + number: WEIGHT_ONE for number in range(osds)}
        made[-2 - host] = bucket(-2 - host, TYPES["host"], items, alg)
    top = {-2 - host: osds * WEIGHT_ONE for host in range(hosts)}
    made[ROOT] = bucket(ROOT, TYPES["root"], top, alg)
    take, emit = Step("take", item=ROOT), Step("emit")
    rules = {
        FIRSTN: (take, Step("chooseleaf_firstn", type=TYPES["host"]), emit),
        INDEP: (take, Step("chooseleaf_indep", type=TYPES["host"]), emit),
        BY_OSD: (take, Step("choose_firstn", type=TYPES["osd"]), emit),
    }
    return CrushMap(made, rules, max_devices=hosts * osds, types=TYPES)


def test_hashes_and_logarithms_are_those_of_ceph() -> None:
    assert hash2(12345, 678) == 1617585683
    assert hash3(12345, -5, 2) == 2190356699
    assert [log2(u) for u in (0, 1, 12345, 32767, 65535)] == [
        0, 17592186044416, 239108530962749, 263882790666240, 281474708275200,
    ]  # fmt: skip
    assert min(lengths()) >= 0


def test_an_object_is_in_the_placement_group_that_ceph_says() -> None:
    pool = PlacedPool(2, FIRSTN, 3, pg_num=16, pgp_num=16)
    assert hash_name(b"abc") == 0x251E4793  # of `ceph osd map t abc`, Ceph 16.2
    assert placement_group(pool, "abc") == 3


@given(st.integers(0, 2**31), st.integers(1, HOSTS))
def test_copies_are_on_different_hosts(x: int, size: int) -> None:
    found = map_rule(racked(), FIRSTN, x, size)
    assert len({osd // 2 for osd in found}) == size


@given(st.integers(0, 2**31), st.sampled_from((FIRSTN, INDEP, BY_OSD)))
def test_an_osd_that_goes_out_concerns_only_the_sets_that_had_it(x: int, rule: int) -> None:
    before, after = map_rule(racked(), rule, x, 3), map_rule(racked(), rule, x, 3, {0: 0})
    assert 0 not in after
    assert 0 in before or after == before


@given(st.integers(0, 2**31))
def test_shards_without_a_host_leave_a_hole_and_copies_a_shorter_list(x: int) -> None:
    assert map_rule(racked(2), INDEP, x, 3).count(NONE) == 1
    assert len(map_rule(racked(2), FIRSTN, x, 3)) == 2


def test_every_osd_holds_about_its_share() -> None:
    held = [osd for x in range(2000) for osd in map_rule(racked(), BY_OSD, x, 3)]
    assert all(600 < held.count(osd) < 900 for osd in range(8))


@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_a_growing_pool_splits_placement_groups_and_moves_nothing_else(ps: int, count: int) -> None:
    before, after = stable_mod(ps, count), stable_mod(ps, count + 1)
    assert after in (before, count)


def test_a_dead_osd_leaves_a_shorter_set_and_the_next_is_primary() -> None:
    pool = PlacedPool(1, FIRSTN, 3, pg_num=8, pgp_num=8)
    whole = OsdMap(racked(), frozenset(range(8)))
    osds, primary = whole.serving(pool, 5)
    assert primary == osds[0]
    left = OsdMap(racked(), frozenset(range(8)) - {primary})
    assert left.serving(pool, 5) == (osds[1:], osds[1])


def test_upmap_sends_a_placement_group_elsewhere_but_not_to_what_is_out() -> None:
    pool = PlacedPool(1, FIRSTN, 3, pg_num=8, pgp_num=8)
    plain = OsdMap(racked(), frozenset(range(8)))
    old = plain.serving(pool, 0)[0][1]
    new = next(osd for osd in range(8) if osd not in plain.serving(pool, 0)[0])
    moved = OsdMap(racked(), frozenset(range(8)), upmap_items={(1, 0): ((old, new),)})
    assert moved.serving(pool, 0)[0][1] == new
    out = OsdMap(
        racked(), frozenset(range(8)), weights={new: 0}, upmap_items={(1, 0): ((old, new),)}
    )
    assert new not in out.serving(pool, 0)[0]


def test_a_bucket_of_before_hammer_is_refused() -> None:
    with pytest.raises(NotBuilt, match="bucket algorithm straw$"):
        map_rule(racked(alg="straw"), FIRSTN, 0, 3)


@pytest.mark.parametrize(
    "name", ["01-flat-3x2", "06-reweight-out", "12-choose-args", "o4-osdmap-down-reweight"]
)
def test_recorded_mappings_are_equal(name: str) -> None:
    found = list(cases(reference(f"ceph-crush/{name}.json")))
    assert found
    assert [case for case in found if case.verdict != "equal"] == []


LEGACY = {
    "choose_local_tries": 2,
    "choose_local_fallback_tries": 5,
    "choose_total_tries": 19,
    "chooseleaf_descend_once": 0,
    "chooseleaf_vary_r": 0,
    "chooseleaf_stable": 0,
}
FIREFLY = {
    "choose_local_tries": 0,
    "choose_local_fallback_tries": 0,
    "choose_total_tries": 50,
    "chooseleaf_descend_once": 1,
    "chooseleaf_vary_r": 1,
    "chooseleaf_stable": 0,
}


@pytest.mark.parametrize("number", range(4))
def test_any_map_gives_what_crushtool_gives(number: int, tmp_path: Path) -> None:
    if shutil.which("crushtool") is None:
        pytest.skip("crushtool is not installed (Debian: ceph-base)")
    chance = random.Random(number)
    source, binary = tmp_path / "map.txt", tmp_path / "map"
    source.write_text(_written(chance))
    subprocess.run(["crushtool", "-c", source, "-o", binary], check=True)
    dump = subprocess.run(["crushtool", "-i", binary, "--dump"], check=True, capture_output=True)
    crush = from_dump(json.loads(dump.stdout))
    out = {osd: chance.choice([0.0, 0.3, 0.75]) for osd in chance.sample(range(8), 2)}
    reweights = {osd: int(weight * WEIGHT_ONE) for osd, weight in out.items()}
    for rule in crush.rules:
        for size in (3, 5):
            told = _mappings(binary, rule, size, out)
            ours = [map_rule(crush, rule, x, size, reweights) for x in range(len(told))]
            assert ours == told, (rule, size)


def _mappings(binary: Path, rule: int, size: int, out: dict[int, float]) -> list[list[int]]:
    argv = ["crushtool", "-i", str(binary), "--test", "--show-mappings", "--max-x", "15",
            "--rule", str(rule), "--num-rep", str(size)]  # fmt: skip
    for osd, weight in out.items():
        argv += ["--weight", str(osd), str(weight)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("CRUSH")]
    return [json.loads(line[line.rindex("[") :]) for line in lines]


def _written(chance: random.Random) -> str:
    """A map in crushtool's own language: racks of hosts, buckets of several kinds."""
    tunables = chance.choice([LEGACY, FIREFLY, FIREFLY | {"chooseleaf_stable": 1}])
    lines = [f"tunable {name} {value}" for name, value in tunables.items()]
    racks, hosts, osds = chance.randint(2, 3), chance.randint(1, 3), chance.randint(2, 15)
    total = racks * hosts * osds
    lines += [f"device {osd} osd.{osd}" for osd in range(total)]
    lines += ["type 0 osd", "type 1 host", "type 3 rack", "type 11 root"]
    alg = chance.choice(["straw2", "straw2", "uniform", "list"])
    for host in range(racks * hosts):
        weight = chance.randint(1, 4)
        lines += [f"host h{host} {{", f"  id -{100 + host}", f"  alg {alg}", "  hash 0"]
        for osd in range(host * osds, (host + 1) * osds):
            each = weight if alg == "uniform" else chance.choice([0, 1, 1, 2, 3.5])
            lines.append(f"  item osd.{osd} weight {each}")
        lines.append("}")
    for rack in range(racks):
        lines += [f"rack r{rack} {{", f"  id -{50 + rack}", "  alg straw2", "  hash 0"]
        lines += [f"  item h{host} weight {chance.randint(1, 9)}"
                  for host in range(rack * hosts, (rack + 1) * hosts)]  # fmt: skip
        lines.append("}")
    lines += ["root default {", "  id -1", "  alg straw2", "  hash 0"]
    lines += [*(f"  item r{rack} weight {chance.randint(1, 9)}" for rack in range(racks)), "}"]
    for number, steps in enumerate(_STEPS):
        lines += [f"rule r{number} {{", f"  id {number}", "  type replicated", "  min_size 1",
                  "  max_size 10"]  # fmt: skip
        lines += [*(f"  step {step}" for step in steps), "}"]
    return "\n".join(lines) + "\n"


_STEPS = (
    ("take default", "chooseleaf firstn 0 type host", "emit"),
    ("set_chooseleaf_tries 5", "take default", "chooseleaf indep 0 type rack", "emit"),
    ("take default", "choose firstn 0 type osd", "emit"),
    ("take default", "choose firstn 2 type rack", "chooseleaf firstn 2 type host", "emit"),
    ("take default", "choose indep 2 type rack", "choose indep 2 type osd", "emit"),
    ("take r0", "chooseleaf firstn 1 type host", "emit", "take r1",
     "chooseleaf firstn -1 type host", "emit"),
    ("set_choose_tries 7", "take default", "chooseleaf indep 0 type osd", "emit"),
)  # fmt: skip
