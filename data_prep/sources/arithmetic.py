"""Generated sums, differences and products, bare or in a few words, for a tiny byte-level model.

In: sizes, operators, the largest operand. Out: examples such as `17+25=` or `Ann has 17 figs, gets
25. Total?` with the answer `#### 42`; a prompt has at most 48 bytes while operands have at most
three digits. The whole operand space is permuted by the seed and cut: test problems first, then
SFT's validation, then what trains. A problem is its operands and operator, whatever the order of
commuting operands and whatever the wording, so no test problem is trained on in any form.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field

from conf.errors import DataError
from data_prep.sources.base import Drop, Example, Source, Spec, Split, Use

Operator = Literal["+", "-", "*"]
COMMUTES: Final = frozenset({"+", "*"})
NAMES: Final = ("Ann", "Ben", "Eva", "Sam")
THINGS: Final = ("figs", "pens", "eggs", "cups")
TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "+": (
        "{name} has {a} {things}, gets {b}. Total?",
        "{a} {things} and {b} more. Total?",
        "{name} reads {a} pages, then {b}. Total?",
    ),
    "-": (
        "{name} has {a} {things}, loses {b}. Left?",
        "{a} {things}, {b} are sold. Left?",
        "{name} had {a} coins, paid {b}. Left?",
    ),
    "*": (
        "{name} has {a} bags of {b} {things}. Total?",
        "{a} boxes of {b} {things}. Total?",
        "{a} rows, {b} {things} each. Total?",
    ),
}
TEMPLATES_EACH: Final = 3  # as many for each operator


class ArithmeticSpec(Spec):
    """Specification of the generated problems.

    Attributes:
        min_operand: operands lie in min_operand…max_operand.
        max_operand: see there.
        ops: operators, of `+`, `-`, `*`; differences are never negative.
        word_share: share of problems in words, in each file.
        train_size: prompts for RL.
        test_size: held-out problems; 500 is the least that gives a useful interval.
        sft_size: conversations for SFT, drawn from the same problems as RL's prompts; past the
            number of distinct ones, each comes once a round, in a new order.
        sft_test_size: conversations for SFT's validation loss, apart from train and test.
        working: SFT's answers work the units out first, `7+5=12 #### 42`: a step that a small
            model learns at once, where the bare answer takes it several times the updates.
    """

    min_operand: int = Field(default=0, ge=0, le=998)
    max_operand: int = Field(default=50, ge=1, le=999)
    ops: tuple[Operator, ...] = ("+", "-")
    word_share: float = Field(default=0.3, ge=0.0, le=1.0)
    train_size: int = Field(default=2000, ge=1)
    test_size: int = Field(default=600, ge=1)
    sft_size: int = Field(default=3000, ge=1)
    sft_test_size: int = Field(default=200, ge=1)
    working: bool = False


class Problem(NamedTuple):
    """What is asked, however it is worded; commuting operands stand in ascending order."""

    op: str
    a: int
    b: int


@dataclass(frozen=True, slots=True)
class _Form:
    """A problem with its operands in one order and a template's number, None for a bare one."""

    problem: Problem
    swapped: bool
    template: int | None


def value(problem: Problem) -> int:
    """The answer."""
    if problem.op == "+":
        return problem.a + problem.b
    return problem.a - problem.b if problem.op == "-" else problem.a * problem.b


def operand_space(spec: ArithmeticSpec) -> list[Problem]:
    """All distinct problems, in a fixed order."""
    span = range(spec.min_operand, spec.max_operand + 1)
    return [
        Problem(op, a, b)
        for op in sorted(set(spec.ops))
        for a in span
        for b in span
        if (a <= b if op in COMMUTES else a >= b)
    ]


class _Forms(Sequence[_Form]):
    """All ways to put the problems: each order of the operands, each template. Made on demand."""

    def __init__(self, problems: Sequence[Problem], *, words: bool) -> None:
        self._problems = problems
        self._templates = TEMPLATES_EACH if words else 0
        # Twice a problem's position, plus one where the operands are swapped.
        self._orders = [
            2 * position + swapped
            for position, (op, a, b) in enumerate(problems)
            for swapped in range(2 if op in COMMUTES and a != b else 1)
        ]

    def __len__(self) -> int:
        return len(self._orders) * (self._templates or 1)

    def __getitem__(self, index: Any) -> Any:
        order, template = divmod(index, self._templates or 1)
        position, swapped = divmod(self._orders[order], 2)
        return _Form(self._problems[position], bool(swapped), template if self._templates else None)


def _prompt(form: _Form, draw: random.Random) -> str:
    op, a, b = form.problem
    if form.swapped:
        a, b = b, a
    if form.template is None:
        return f"{a}{op}{b}="
    return TEMPLATES[op][form.template].format(
        a=a, b=b, name=draw.choice(NAMES), things=draw.choice(THINGS)
    )


def units(problem: Problem, swapped: bool) -> str:
    """The units of a sum or difference worked out, with carry or borrow: `7+5=12 `, `12-5=7 `.

    A product has no such single step; it gives "".
    """
    op, a, b = problem
    if swapped:
        a, b = b, a
    a, b = a % 10, b % 10
    if op == "+":
        return f"{a}+{b}={a + b} "
    if op == "-":
        a += 10 if a < b else 0
        return f"{a}-{b}={a - b} "
    return ""


def _sample(
    problems: Sequence[Problem], size: int, key: str, spec: ArithmeticSpec, draw: random.Random
) -> list[_Form]:
    """`size` forms of the problems, `word_share` of them in words, shuffled.

    RL's prompts are distinct; SFT's repeat, in whole rounds, once there are no new ones.
    """
    n_words = round(size * spec.word_share)
    chosen: list[_Form] = []
    for words, wanted in ((True, n_words), (False, size - n_words)):
        forms = _Forms(problems, words=words)
        if key == "sft_size":
            rounds, wanted = divmod(wanted, len(forms))
            chosen += list(forms) * rounds
        if len(forms) < wanted:
            kind = "word" if words else "bare"
            raise DataError(
                f"{key}={size} asks for {wanted} distinct {kind} problems, of which "
                f"max_operand={spec.max_operand} leaves {len(forms)} outside the test sets",
                fix=f"a smaller data_prep.{key}, or data_prep.max_operand above {spec.max_operand}",
            )
        chosen += draw.sample(forms, wanted)
    draw.shuffle(chosen)
    return chosen


def _held_out(
    problems: Sequence[Problem], spec: ArithmeticSpec, draw: random.Random
) -> list[_Form]:
    """One form of each problem: words for the first `word_share`, then shuffled."""
    n_words = round(len(problems) * spec.word_share)
    chosen = [
        draw.choice(_Forms([problem], words=position < n_words))
        for position, problem in enumerate(problems)
    ]
    draw.shuffle(chosen)
    return chosen


def generate(spec: ArithmeticSpec) -> Iterator[Example | Drop]:
    """All examples of a specification, file by file.

    Raises:
        DataError: the operand space is too small for the sizes, or `local` was given.
    """
    if spec.local is not None:
        raise DataError("arithmetic is generated, it reads no file", fix="data_prep.local=null")
    draw = random.Random(spec.seed)
    space = operand_space(spec)
    draw.shuffle(space)
    held_out = spec.test_size + spec.sft_test_size
    if held_out >= len(space):
        raise DataError(
            f"test_size + sft_test_size = {held_out}, but max_operand={spec.max_operand} with "
            f"ops={''.join(spec.ops)} makes only {len(space)} problems",
            fix=f"data_prep.max_operand above {spec.max_operand}, or smaller test sizes",
        )
    test, validation = space[: spec.test_size], space[spec.test_size : held_out]
    pool = space[held_out:]
    parts: list[tuple[Split, Use, list[_Form]]] = [
        ("train", "rl", _sample(pool, spec.train_size, "train_size", spec, draw)),
        ("train", "sft", _sample(pool, spec.sft_size, "sft_size", spec, draw)),
        ("test", "rl", _held_out(test, spec, draw)),
        ("test", "sft", _held_out(validation, spec, draw)),
    ]
    for split, use, forms in parts:
        for form in forms:
            gold = str(value(form.problem))
            steps = units(form.problem, form.swapped) if spec.working else ""
            yield Example(split, _prompt(form, draw), gold, f"{steps}#### {gold}", (use,))


SOURCE: Final = Source(
    name="arithmetic",
    spec=ArithmeticSpec,
    examples=generate,
    licence="Apache-2.0",
    url="generated",
    ability="math",
    data_source="arithmetic",
    generated=True,
)
