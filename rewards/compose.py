"""Compositions of rewards: `0.9*math + 0.1*format`, `math if format`, read by hand, never `eval`.

In: the text of a formula, and one judge for each name in it. Out: a grader like any other. The
verdict's score is the formula's value over the parts' scores; `acc`, `pred` and status are those of
the first part named, so that curves of accuracy stay unshaped; each part's score is a component. A
part whose verdict is broken breaks the whole: half a reward would be a silent wrong number.

    formula   := sum ["if" gate {"and" gate} ["else" sum]]     without else: 0
    gate      := ["not"] part [(">=" | ">" | "<=" | "<" | "==") number]
    sum       := product {("+" | "-") product}
    product   := factor {"*" factor}
    factor    := number | part | "-" factor | "(" formula ")"

A gate that is a bare name holds when that part is fully right (`acc` 1); with a comparison it reads
the part's score. A part is a reward's name, `file.py:function` or `module:function`; in quotes it
may hold spaces. A minus stands between spaces, since names may hold one.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from conf.errors import RewardError
from rewards.verdict import Verdict

Judge = Callable[[str, Any, Mapping[str, Any]], Verdict]
Values = Mapping[str, Verdict]
Term = Callable[[Values], float]
Gate = Callable[[Values], bool]

MAX_CHARS: Final = 1000
MAX_DEPTH: Final = 50
KEYWORDS: Final = frozenset({"if", "else", "and", "not"})
COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
_NAME = r"[A-Za-z_~./][\w./:~]*(?:-[\w./:~]+)*"
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w./]))"
    rf"|(?P<name>{_NAME})"
    r"|(?P<quoted>'[^']+'|\"[^\"]+\")"
    r"|(?P<sign>>=|<=|==|[-+*()<>])"
)
_ONE_NAME = re.compile(_NAME)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Formula:
    """A formula that was read.

    Attributes:
        text: as written.
        names: its parts in order of appearance, those of gates too.
        value: the score for the parts' verdicts.
    """

    text: str
    names: tuple[str, ...]
    value: Term


def is_name(spec: str) -> bool:
    """Whether a spec is one plain name, with nothing to compose."""
    return _ONE_NAME.fullmatch(spec) is not None and spec not in KEYWORDS


def component(name: str) -> str:
    """A part's name as a component: of a file or module, its function's name."""
    return re.sub(r"\W+", "_", name.rpartition(":")[2]).strip("_")


def parse(text: str) -> Formula:
    """Read a formula.

    Raises:
        RewardError: it is none, with the place, or two parts would have one component name.
    """
    reader = _Reader(text)
    value = reader.formula(0)
    reader.end()
    names = tuple(reader.names)
    if not names:
        raise RewardError(f"{text!r} names no reward", fix="0.9*math + 0.1*format")
    taken: dict[str, str] = {}
    for name in names:
        other = taken.setdefault(component(name), name)
        if other != name:
            raise RewardError(
                f"in {text!r}, {other!r} and {name!r} would both be component {component(name)!r}",
                fix=f"write another name, and options: {{that_name: {{use: '{name}'}}}}",
            )
    return Formula(text, names, value)


class _Reader:
    """Recursive descent over the tokens; collects names as they come."""

    def __init__(self, text: str) -> None:
        """Split the text into tokens."""
        self.text = text
        self.names: dict[str, None] = {}
        self.tokens: list[_Token] = []
        self.next = 0
        if len(text) > MAX_CHARS:
            raise RewardError(f"a composition of {len(text)} characters, at most {MAX_CHARS}")
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise self._error(at, f"{text[at]!r} has no meaning here")
            kind, word = match.lastgroup, match[0]
            if kind == "name" and word in KEYWORDS:
                kind = "sign"
            if kind == "quoted":
                kind, word = "name", word[1:-1]
            if kind != "space":
                self.tokens.append(_Token(kind, word, at))
            at = match.end()
        self.tokens.append(_Token("end", "", len(text)))

    def _error(self, at: int, why: str) -> RewardError:
        return RewardError(
            f"reward {self.text!r}, column {at + 1}: {why}", fix="such as 0.9*math + 0.1*format"
        )

    def _take(self, *signs: str) -> str | None:
        token = self.tokens[self.next]
        if token.kind == "sign" and token.text in signs:
            self.next += 1
            return token.text
        return None

    def _expected(self, what: str) -> RewardError:
        token = self.tokens[self.next]
        return self._error(token.at, f"got {token.text or 'the end'!r}, need {what}")

    def end(self) -> None:
        """Nothing may be left."""
        if self.tokens[self.next].kind != "end":
            raise self._expected("+, -, * or if")

    def formula(self, depth: int) -> Term:
        """A sum, with its gates."""
        if depth > MAX_DEPTH:
            raise self._error(self.tokens[self.next].at, f"more than {MAX_DEPTH} levels deep")
        value = self.sum(depth)
        if not self._take("if"):
            return value
        gates = [self.gate()]
        while self._take("and"):
            gates.append(self.gate())
        other = self.sum(depth) if self._take("else") else _constant(0.0)
        return lambda values: value(values) if all(g(values) for g in gates) else other(values)

    def gate(self) -> Gate:
        """A condition on one part."""
        negated = self._take("not") is not None
        name = self._name("the name of a reward")
        sign = self._take(*COMPARE)
        if sign is None:
            return lambda values: (values[name].acc >= 1.0) != negated
        compare, bound = COMPARE[sign], self._number()
        return lambda values: compare(values[name].score, bound) != negated

    def sum(self, depth: int) -> Term:
        """Products, added and subtracted from left to right."""
        total = self.product(depth)
        while sign := self._take("+", "-"):
            operation = operator.add if sign == "+" else operator.sub
            total = _apply(operation, total, self.product(depth))
        return total

    def product(self, depth: int) -> Term:
        """Factors, multiplied."""
        value = self.factor(depth)
        while self._take("*"):
            value = _apply(operator.mul, value, self.factor(depth))
        return value

    def factor(self, depth: int) -> Term:
        """One number, one part, or what stands in parentheses."""
        if depth > MAX_DEPTH:
            raise self._error(self.tokens[self.next].at, f"more than {MAX_DEPTH} levels deep")
        if self._take("-"):
            inner = self.factor(depth + 1)
            return lambda values: -inner(values)
        if self._take("("):
            inside = self.formula(depth + 1)
            if not self._take(")"):
                raise self._expected("a closing parenthesis")
            return inside
        if self.tokens[self.next].kind == "number":
            return _constant(self._number())
        name = self._name("a number or the name of a reward")
        return lambda values: values[name].score

    def _name(self, what: str) -> str:
        token = self.tokens[self.next]
        if token.kind != "name":
            raise self._expected(what)
        self.next += 1
        self.names[token.text] = None
        return token.text

    def _number(self) -> float:
        sign = -1.0 if self._take("-") else 1.0
        token = self.tokens[self.next]
        if token.kind != "number" or not math.isfinite(float(token.text)):
            raise self._expected("a number")
        self.next += 1
        return sign * float(token.text)


def _constant(number: float) -> Term:
    return lambda _values: number


def _apply(operation: Callable[[float, float], float], left: Term, right: Term) -> Term:
    return lambda values: operation(left(values), right(values))


@dataclass(frozen=True)
class Composition:
    """A grader made of others; called like any reward function.

    Attributes:
        formula: how their scores combine.
        judges: part → its judge.
    """

    formula: Formula
    judges: Mapping[str, Judge] = field(repr=False)

    def __call__(self, response: str, gold: Any, **row: Any) -> Verdict:
        """Judge by each part, then combine."""
        values: dict[str, Verdict] = {}
        for name in self.formula.names:
            verdict = values[name] = self.judges[name](response, gold, row)
            if verdict.broken:
                return Verdict(
                    math.nan, math.nan, verdict.status, detail=f"{name}: {verdict.detail}"
                )
        first = values[self.formula.names[0]]
        components: dict[str, float] = {}
        details = []
        for name, verdict in values.items():
            own = component(name)
            components[own] = verdict.score
            components |= {f"{own}_{sub}": value for sub, value in verdict.components.items()}
            if verdict.detail:
                details.append(f"{own}: {verdict.detail}")
        score = float(self.formula.value(values))
        return Verdict(score, first.acc, first.status, first.pred, components, "; ".join(details))
