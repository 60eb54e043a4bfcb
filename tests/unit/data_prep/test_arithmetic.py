"""The generated problems.

1. Every answer is right: the prompt, read by another parser, gives the gold answer.
2. No problem of the test file, in words or bare, commuted or not, is in any other file.
3. Sizes, shares and prompt lengths are as asked; what cannot be is refused with the way out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.errors import DataError
from data_prep.sources.arithmetic import (
    NAMES,
    TEMPLATES,
    TEMPLATES_EACH,
    THINGS,
    ArithmeticSpec,
    Problem,
    generate,
    operand_space,
    units,
)
from data_prep.sources.base import Example

SIGNS = {"Total?": "+", "Left?": "-"}


def spec(**keys: object) -> ArithmeticSpec:
    return ArithmeticSpec(source="arithmetic", out=Path("unused"), **keys)


def files(one: ArithmeticSpec) -> dict[tuple[str, str], list[Example]]:
    made = defaultdict(list)
    for example in generate(one):
        assert isinstance(example, Example)
        made[example.split, example.uses[0]].append(example)
    return made


def read(prompt: str) -> tuple[str, int, int]:
    """Operator and operands as they stand in a prompt, read from the wording alone."""
    a, b = map(int, re.findall(r"\d+", prompt))
    bare = re.search(r"\d([+*-])\d", prompt)
    if bare:
        return bare[1], a, b
    if " bags of " in prompt or " boxes of " in prompt or " each." in prompt:
        return "*", a, b
    return SIGNS[prompt.split()[-1]], a, b


def problem(prompt: str) -> tuple[str, int, int]:
    op, a, b = read(prompt)
    return (op, a, b) if op == "-" else (op, *sorted((a, b)))  # type: ignore[return-value]


def test_default_sizes_and_shares() -> None:
    made = files(spec())
    assert {key: len(rows) for key, rows in made.items()} == {
        ("train", "rl"): 2000,
        ("train", "sft"): 3000,
        ("test", "rl"): 600,
        ("test", "sft"): 200,
    }
    for rows in made.values():
        assert sum(" " in row.prompt for row in rows) == round(0.3 * len(rows))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**9),
    st.integers(12, 60),
    st.sets(st.sampled_from("+-*"), min_size=1),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_answers_disjointness_and_length(
    seed: int, max_operand: int, ops: set[str], share: float
) -> None:
    one = spec(
        seed=seed,
        max_operand=max_operand,
        ops=tuple(sorted(ops)),
        word_share=share,
        train_size=30,
        test_size=40,
        sft_size=30,
        sft_test_size=10,
    )
    made = files(one)
    for rows in made.values():
        for row in rows:
            op, a, b = read(row.prompt)
            right = {"+": a + b, "-": a - b, "*": a * b}[op]
            assert row.gold == str(right) and row.answer == f"#### {right}"
            assert right >= 0 and max(a, b) <= max_operand
            assert len(row.prompt.encode()) <= 48
    test = {problem(row.prompt) for row in made["test", "rl"]}
    assert len(test) == 40
    for key, rows in made.items():
        if key != ("test", "rl"):
            assert test.isdisjoint(problem(row.prompt) for row in rows)
    validation = {problem(row.prompt) for row in made["test", "sft"]}
    assert validation.isdisjoint(problem(row.prompt) for row in made["train", "sft"])
    assert len({row.prompt for row in made["train", "rl"]} | {""}) == 31


def test_largest_operands_stay_short() -> None:
    assert {len(one) for one in TEMPLATES.values()} == {TEMPLATES_EACH}
    for template in (template for one in TEMPLATES.values() for template in one):
        for name, things in zip(NAMES, THINGS, strict=True):
            text = template.format(a=999, b=999, name=name, things=things)
            assert len(text.encode()) <= 48


def test_operand_space_counted_by_hand() -> None:
    # 0..2: sums and products 6 unordered pairs each, differences 6 with a >= b.
    assert len(operand_space(spec(max_operand=2, ops=("+",)))) == 6
    assert len(operand_space(spec(max_operand=2, ops=("+", "-", "*")))) == 18


def test_sft_repeats_in_whole_rounds_when_problems_run_out() -> None:
    one = spec(max_operand=9, ops=("-",), word_share=0.0, test_size=20, sft_test_size=5)
    one = one.model_copy(update={"train_size": 10, "sft_size": 75})
    rows = files(one)["train", "sft"]  # 55 differences, 30 left: two rounds and a half
    counts = defaultdict(int)
    for row in rows:
        counts[row.prompt] += 1
    assert sorted(counts.values()) == [2] * 15 + [3] * 15


def test_seed_changes_the_split() -> None:
    one, two = (
        {problem(row.prompt) for row in files(spec(seed=seed))["test", "rl"]} for seed in (1, 2)
    )
    assert one != two


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"train_size": 50_000}, "max_operand above 50"),
        ({"max_operand": 10}, "makes only 132 problems"),
        ({"local": Path("x")}, "data_prep.local=null"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        list(generate(spec(**keys)))


def test_working_puts_the_units_first_and_the_answer_last() -> None:
    """Carry and borrow by hand; the order is that of the prompt; a product has no such step."""
    assert units(Problem("+", 17, 25), False) == "7+5=12 "
    assert units(Problem("+", 17, 25), True) == "5+7=12 "
    assert units(Problem("-", 42, 17), False) == "12-7=5 "
    assert units(Problem("-", 48, 17), False) == "8-7=1 "
    assert units(Problem("*", 48, 17), False) == ""


def test_min_operand_bounds_the_space_from_below() -> None:
    """10…12 has six unordered pairs with repetition."""
    spec = ArithmeticSpec(
        source="arithmetic", out=Path("x"), min_operand=10, max_operand=12, ops=("+",)
    )
    assert len(operand_space(spec)) == 6
