"""How many rows of each source a mix takes, against counts worked out by hand.

1. Ratios, presets, temperature, caps, epochs and replay give exact whole numbers that add up.
2. Without a total the mix is as large as the scarcest source allows; more is refused.
3. What a mix names and does not exist, or is not finite, is refused with its key.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.errors import ConfigError, DataError, TemperError
from data_prep.mix import MixSpec, Supply, apportion, group_of, plan_mix
from data_prep.mix_order import choose, graded, hash_text, salt, shuffled
from data_prep.request import parse

ABC = [
    Supply("a", "general", 100),
    Supply("b", "math_code", 1000),
    Supply("c", "domain", 10_000),
    Supply("d", "safety", 50),
]


def taken(supplies: list[Supply], most: int | None = None, **spec: object) -> dict[str, int]:
    return {t.source: t.taken for t in plan_mix(supplies, MixSpec.model_validate(spec), most)}


def test_all_rows_once_when_nothing_is_asked() -> None:
    assert taken(ABC) == {"a": 100, "b": 1000, "c": 10_000, "d": 50}


def test_preset_is_limited_by_its_scarcest_group() -> None:
    # 100 rows are a fifth: 500 in all, and 50 of safety are a tenth.
    assert taken(ABC, preset="post_training") == {"a": 100, "b": 150, "c": 200, "d": 50}
    assert sum(taken(ABC, preset="post_training", total=30).values()) == 30


def test_largest_remainder_by_hand() -> None:
    # 10 seats at 1/3, 1/3, 1/3: 3 each, the seat left over goes to the first by name.
    thirds = {name: Fraction(1, 3) for name in "cab"}
    assert apportion(thirds, 10) == {"a": 4, "b": 3, "c": 3}
    # 7 at 0.5, 0.3, 0.2 are 3.5, 2.1, 1.4: the half is the largest remainder.
    assert apportion({"a": Fraction(1, 2), "b": Fraction(3, 10), "c": Fraction(1, 5)}, 7) == {
        "a": 4,
        "b": 2,
        "c": 1,
    }


def test_a_tenth_is_a_tenth() -> None:
    # In floating point 0.1 + 0.2 of 10 rows would leave one over.
    two = [Supply("a", "x", 3), Supply("b", "x", 7)]
    assert taken(two, ratio={"a": 0.3, "b": 0.7}) == {"a": 3, "b": 7}


def test_caps_and_epochs() -> None:
    two = [Supply("a", "x", 10), Supply("b", "x", 100)]
    assert taken(two, caps={"b": 20}) == {"a": 10, "b": 20}
    assert taken(two, epochs=1.5) == {"a": 15, "b": 150}
    assert taken(two, epochs={"a": 3}) == {"a": 30, "b": 100}
    assert taken(two, ratio={"a": 1, "b": 1}, epochs={"a": 3}) == {"a": 30, "b": 30}


def test_temperature_two_weighs_by_square_roots() -> None:
    two = [Supply("a", "x", 100), Supply("b", "x", 10_000)]  # roots 10 and 100
    assert taken(two, temperature=2, total=110) == {"a": 10, "b": 100}
    assert taken(two, temperature=2) == {"a": 100, "b": 1000}


def test_a_group_shares_its_ratio_by_size() -> None:
    three = [Supply("a", "x", 30), Supply("b", "x", 10), Supply("c", "y", 40)]
    assert taken(three, ratio={"x": 0.5, "c": 0.5}, total=40) == {"a": 15, "b": 5, "c": 20}


def test_replay_is_its_share_of_the_whole() -> None:
    two = [Supply("new", "x", 970), Supply("old", "x", 5000)]
    replay = {"share": 0.03, "sources": ["old"]}
    assert taken(two, replay=replay) == {"new": 970, "old": 30}
    assert taken(two, replay=replay, ratio={"new": 1}, total=200) == {"new": 194, "old": 6}


def test_a_dry_run_keeps_the_ratios() -> None:
    assert taken(ABC, most=10, preset="post_training") == {"a": 2, "b": 3, "c": 4, "d": 1}
    assert sum(taken(ABC, most=10**9).values()) == 11_150


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"ratio": {"a": 1}}, "source b .* has no share"),
        ({"ratio": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}}, "asks for e"),
        ({"preset": "best"}, "no mix.preset 'best'"),
        ({"preset": "post_training", "ratio": {"a": 1}}, "leave one"),
        ({"preset": "post_training", "total": 501}, r"20.0% of them from a, .* → mix.total=500"),
        ({"total": 99_999}, "mix.total=11150"),
        ({"caps": {"z": 3}}, "mix.caps names 'z'"),
        ({"epochs": {"z": 3}}, "mix.epochs names 'z'"),
        ({"groups": {"z": "x"}}, "mix.groups names 'z'"),
        ({"replay": {"share": 0.05, "sources": ["a", "b", "c", "d"]}}, "every source"),
        ({"replay": {"share": 0.05, "sources": ["z"]}}, "mix.replay.sources names 'z'"),
    ],
)
def test_what_cannot_be_mixed_is_refused(spec: dict, says: str) -> None:
    with pytest.raises(TemperError, match=says):
        taken(ABC, **spec)


def test_a_ratio_for_rows_that_were_all_dropped_is_refused() -> None:
    with pytest.raises(DataError, match="rows of b, which has none left"):
        taken([Supply("a", "x", 5), Supply("b", "x", 0)], ratio={"a": 1, "b": 1})
    assert taken([Supply("a", "x", 5), Supply("b", "x", 0)]) == {"a": 5, "b": 0}


def test_groups_by_ability() -> None:
    spec = MixSpec(groups={"mine": "safety"})
    found = [group_of(*pair, spec) for pair in (("s", "code"), ("s", "law"), ("mine", "code"))]
    assert found == ["math_code", "domain", "safety"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=6),
    st.lists(st.floats(0.01, 10), min_size=6, max_size=6),
    st.floats(0.3, 3),
)
def test_any_mix_is_exact_within_its_bounds_and_as_large_as_it_can_be(
    sizes: list[int], weights: list[float], epochs: float
) -> None:
    supplies = [Supply(f"s{n}", "x", size) for n, size in enumerate(sizes)]
    ratio = {one.source: weight for one, weight in zip(supplies, weights, strict=False)}
    limits = {one.source: int(one.rows * Fraction(str(epochs))) for one in supplies}
    if not all(limits.values()):
        with pytest.raises(DataError, match="none left"):
            taken(supplies, ratio=ratio, epochs=epochs)
        return
    found = taken(supplies, ratio=ratio, epochs=epochs)
    total = sum(found.values())
    whole = sum(ratio.values())
    for name, count in found.items():
        assert count <= limits[name]
        assert abs(count - total * ratio[name] / whole) < 1
    with pytest.raises(DataError, match=f"mix.total={total},"):
        taken(supplies, ratio=ratio, epochs=epochs, total=total + 1)


def hashes(n: int, prefix: str = "r") -> np.ndarray:
    return np.array([hash_text(f"{prefix}{i}") for i in range(n)], dtype=np.uint64)


def test_choice_is_whole_rounds_and_a_sample_without_repeats() -> None:
    index, copies = choose(hashes(10), 23, salt(1, "x"))
    counts = np.bincount(index, minlength=10)
    assert sorted(counts) == [2] * 7 + [3] * 3
    assert all(np.bincount(index[copies == c], minlength=10).max() == 1 for c in range(3))
    other, _ = choose(hashes(10), 3, salt(2, "x"))
    assert set(index[copies == 2]) != set(other)


def test_the_sample_of_fewer_rows_is_part_of_the_sample_of_more() -> None:
    few, many = (set(choose(hashes(1000), n, salt(1, "x"))[0]) for n in (100, 101))
    assert few < many


def test_shuffle_is_a_permutation_that_spreads_and_the_seed_moves_it() -> None:
    rows = hashes(4000)
    copies = np.zeros(4000, np.int64)
    order = shuffled(rows, copies, salt(1, "x"))
    assert sorted(order) == list(range(4000))
    assert abs(np.corrcoef(order, np.arange(4000))[0, 1]) < 0.06  # about 1/sqrt(4000), times 4
    assert (shuffled(rows, copies, salt(2, "x")) != order).mean() > 0.99


def test_two_copies_of_a_row_stand_apart() -> None:
    rows = np.repeat(hashes(500), 2)
    order = shuffled(rows, np.tile([0, 1], 500), salt(1, "x"))
    place = np.argsort(order)
    assert np.median(np.abs(place[::2] - place[1::2])) > 100


def test_hash_is_what_blake2b_says() -> None:
    # printf a | b2sum -l 64
    assert hash_text("a").to_bytes(8, "little").hex() == "40f89e395b66422f"


def test_curriculum_sorts_and_puts_the_unmeasured_last() -> None:
    values = np.array([3.0, np.nan, 1.0, 2.0, 1.0])
    order = np.array([4, 3, 2, 1, 0])
    assert graded(values, order, descending=False).tolist() == [4, 2, 3, 0, 1]
    assert graded(values, order, descending=True).tolist() == [0, 3, 4, 2, 1]


@pytest.mark.parametrize(
    ("mix", "says"),
    [
        ({"epochs": {"a": "inf"}}, "data_prep.mix.epochs.a: got 'inf'"),
        ({"epochs": {"a": "1e400"}}, "data_prep.mix.epochs.a: got '1e400'"),
        ({"epochs": math.nan}, "data_prep.mix.epochs: got nan"),
        ({"epochs": "-inf"}, "data_prep.mix.epochs: got '-inf'"),
        ({"ratio": {"a": math.inf}}, "data_prep.mix.ratio.a: got inf"),
        ({"temperature": "inf"}, "data_prep.mix.temperature: got 'inf'"),
    ],
)
def test_what_is_not_finite_is_refused_by_its_key(mix: dict, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse({"source": "a,b", "out": "o", "mix": mix}, frozenset())
    assert str(error.value).startswith(says)


def test_bad_specifications_are_refused_by_type() -> None:
    for bad in ({"temperature": 0.5}, {"replay": {"share": 0.2, "sources": ["a"]}}, {"rato": {}}):
        with pytest.raises(ValueError):
            MixSpec.model_validate(bad)
    assert issubclass(ConfigError, TemperError)
