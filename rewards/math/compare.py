r"""Decide whether two answers are the same, without symbolic algebra.

In: two `Answer`s, the response's and the gold one. Out: True, False, or None for "not decided
here". True and False are proofs up to the fingerprint's 2^-120 (see `rewards.math.values`), with no
tolerance: 0.333 is not 1/3. The shape counts: a set is no tuple, an interval has its brackets, a
numeral its base, a list of several answers is not one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rewards.math import units
from rewards.math.answers import Answer
from rewards.math.terms import Term
from rewards.math.tokens import Unreadable
from rewards.math.values import PRIME, TooBig, Value, approximate, fingerprint

_FAR = 1e-6  # floats that differ by more, relatively, are of different terms
_SEEDS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Rules:
    """How answers are compared.

    Attributes:
        lenient: a percentage equals its figure as well as its value.
        near: decides on two terms that no proof here tells apart; None leaves them undecided.
    """

    lenient: bool = True
    near: Callable[[Term, Term], bool | None] | None = None


def _all(parts: Sequence[bool | None]) -> bool | None:
    if any(part is False for part in parts):
        return False
    return None if any(part is None for part in parts) else True


def same_value(pred: Term, gold: Term, factor: Fraction, rules: Rules) -> bool | None:
    """Whether `pred · factor` is `gold`.

    Raises:
        TooBig: one of them is not computed for its size.
    """
    if factor != 1:
        pred = ("mul", pred, ("num", factor))
    if pred == gold:
        return True
    left, right = fingerprint(pred), fingerprint(gold)
    if left.residue == right.residue:
        return True
    if left.exact and right.exact:
        return False
    for seed in _SEEDS[:2]:
        near, far = approximate(pred, seed), approximate(gold, seed)
        if near is None or far is None:
            break
        if abs(near - far) > _FAR * max(abs(near), abs(far), _FAR):
            return False
    return None if rules.near is None else rules.near(pred, gold)


def _terms(pred: Answer, gold: Answer, rules: Rules) -> bool | None:
    factor = units.ratio(pred.unit, gold.unit)
    if factor is None:
        return False
    if pred.percent == gold.percent:
        return same_value(pred.term, gold.term, factor, rules)
    share = Fraction(1, 100) if pred.percent else Fraction(100)
    same = same_value(pred.term, gold.term, factor * share, rules)
    return same_value(pred.term, gold.term, factor, rules) if rules.lenient and not same else same


def _unordered(pred: Sequence[Answer], gold: Sequence[Answer], rules: Rules) -> bool | None:
    """Whether the items are the same in some order; each one counts once."""
    if len(pred) != len(gold):
        return False
    left = list(pred)
    open_ = False
    for item in gold:
        said = [compare(other, item, rules) for other in left]
        if True in said:
            del left[said.index(True)]
        elif None in said:
            open_ = True
        else:
            return False
    return None if open_ else True


def _ordered(pred: Sequence[Answer], gold: Sequence[Answer], rules: Rules) -> bool | None:
    if len(pred) != len(gold):
        return False
    return _all([compare(a, b, rules) for a, b in zip(pred, gold, strict=True)])


def _letters(term: Term) -> bool:
    """Letters alone, in sums and products: `m+n`, `AB`, and `f(2)`."""
    if term[0] == "sym":
        return True
    if term[0] == "call":
        return True
    return term[0] in ("add", "mul", "div", "neg") and all(_letters(part) for part in term[1:])


def _has_letter(term: Term) -> bool:
    if term[0] in ("sym", "call"):
        return True
    return any(isinstance(part, tuple) and _has_letter(part) for part in term[1:])


def _named(answer: Answer) -> bool:
    """A left side that only names what the right side says."""
    if answer.kind == "text":
        return True
    return answer.kind == "term" and not answer.unit and answer.term[0] in ("sym", "call")


def _equation(relation: Answer) -> bool:
    return all(sign in ("=", "equiv", "approx") for sign in relation.mark.split())


def _said(relation: Answer) -> Answer | None:
    r"""What `x = …` or `6 \cdot 7 = 42` says in the end; None for an equation proper."""
    first, last = relation.items[0], relation.items[-1]
    if not _equation(relation):
        return None
    figures = [
        side for side in relation.items if side.kind == "term" and not _has_letter(side.term)
    ]
    if any(compare(side, last, Rules()) is False for side in figures if last.kind == "term"):
        return None  # 5 = 6 says nothing
    if _named(first) or len(relation.items) > 2:
        return last
    if first.kind == "term" and (_letters(first.term) or fingerprint(first.term).rational):
        return last
    return last if first.kind == "tuple" else None


def _difference(relation: Answer, seed: int) -> Value | None:
    left, right = relation.items[0], relation.items[-1]
    if left.kind != "term" or right.kind != "term":
        return None
    return fingerprint(("add", left.term, ("neg", right.term)), seed)


def _relations(pred: Answer, gold: Answer, rules: Rules) -> bool | None:
    """Assignments to one name by their values, equations up to a constant factor."""
    if not (_equation(pred) and _equation(gold)):
        if pred.mark != gold.mark:
            return None
        same = _ordered(pred.items, gold.items, rules)
        return True if same else None
    if _named(pred.items[0]) and _named(gold.items[0]):
        names = {side.items[0].term for side in (pred, gold) if side.items[0].kind == "term"}
        if {name[0] for name in names} == {"sym", "call"}:
            names.clear()  # y = … for f(x) = …
        same = compare(pred.items[-1], gold.items[-1], rules)
        if same is not False:
            return same if len(names) < 2 else False
    ratios = set()
    exact = True
    for seed in _SEEDS:
        left, right = _difference(pred, seed), _difference(gold, seed)
        if left is None or right is None:
            return False if _named(pred.items[0]) and _named(gold.items[0]) else None
        if left.residue == 0 or right.residue == 0:
            return left.residue == right.residue
        exact = exact and left.exact and right.exact
        ratios.add(left.residue * pow(right.residue, -1, PRIME) % PRIME)
    if len(ratios) == 1:
        return True
    return False if exact and _linear(pred) and _linear(gold) else None


def _linear(relation: Answer) -> bool:
    """No letter below a fraction line or under a root: solutions can then not be lost by it."""

    def plain(term: Term) -> bool:
        if term[0] in ("num", "sym"):
            return True
        if term[0] == "div":
            return plain(term[1]) and term[2][0] == "num"
        if term[0] == "fn":
            return False
        return all(plain(part) for part in term[1:])

    return all(plain(side.term) for side in relation.items)


def _by_name(answer: Answer) -> list[Answer] | None:
    """The values of `x = 5, y = 3` in the order of their names; None for another list."""
    if any(
        i.kind != "relation" or not _named(i.items[0]) or not _equation(i) for i in answer.items
    ):
        return None
    pairs = {i.items[0].term[1:] or (i.items[0].mark,): i.items[-1] for i in answer.items}
    if len(pairs) != len(answer.items):
        return None
    return [pairs[name] for name in sorted(pairs)]


def _vector(answer: Answer) -> tuple[Answer, ...] | None:
    """The entries of a column or row matrix."""
    if answer.kind != "matrix":
        return answer.items if answer.kind == "tuple" and answer.mark == "<>" else None
    if all(len(row.items) == 1 for row in answer.items):
        return tuple(row.items[0] for row in answer.items)
    return answer.items[0].items if len(answer.items) == 1 else None


def _mixed(pred: Answer, gold: Answer, rules: Rules) -> bool | None:
    """Answers of different kinds: the few that may be the same."""
    if "relation" in (pred.kind, gold.kind):
        relation = pred if pred.kind == "relation" else gold
        said = _said(relation)
        if said is None:
            return False
        return compare(said, gold, rules) if relation is pred else compare(pred, said, rules)
    if {pred.kind, gold.kind} == {"list", "union"}:  # x<2 or x>2
        return _unordered(pred.items, gold.items, rules)
    if gold.kind == "tuple" and pred.kind == "list" and gold.mark in ("()", "<>"):
        values = _by_name(pred)
        return _ordered(pred.items if values is None else values, gold.items, rules)
    if {pred.kind, gold.kind} == {"matrix", "tuple"}:
        left, right = _vector(pred), _vector(gold)
        return False if left is None or right is None else _ordered(left, right, rules)
    if pred.kind == "list":  # one value in several forms
        return _all([compare(item, gold, rules) for item in pred.items])
    for one, other in ((pred, gold), (gold, pred)):
        if one.kind in ("set", "list") and len(one.items) == 1 and other.kind != "text":
            return compare(one.items[0], other, rules)
        if one.kind == "text" and other.kind == "term" and other.term[0] == "sym":
            return one.mark == str(other.term[1]).lower()
    return False


def weigh(answer: Answer) -> None:
    """Nothing, for an answer whose terms can be computed.

    Raises:
        TooBig: one of them is not computed for its size.
    """
    try:
        if answer.kind == "term":
            fingerprint(answer.term)
    except TooBig:
        raise
    except Unreadable:
        return  # a division by zero weighs nothing
    for item in answer.items:
        weigh(item)


def _brackets(answer: Answer) -> str:
    """Which brackets count: those of two entries, which may be an interval."""
    points = answer.mark == "<>" or (answer.mark == "[]" and len(answer.items) > 2)
    return "()" if points else answer.mark


def compare(pred: Answer, gold: Answer, rules: Rules = Rules()) -> bool | None:
    """Whether the response's answer is the gold one.

    Args:
        pred: the response's.
        gold: the row's.
        rules: how.

    Raises:
        TooBig: a part is not computed for its size.
    """
    kind = gold.kind
    if {pred.kind, kind} <= {"list", "set"}:
        return _unordered(pred.items, gold.items, rules)
    if pred.kind != kind:
        return _mixed(pred, gold, rules)
    if kind == "term":
        try:
            return _terms(pred, gold, rules)
        except TooBig:
            raise
        except Unreadable:  # a division by zero: no number is that
            return pred.term == gold.term
    if kind in ("text", "numeral", "empty"):
        return pred.mark == gold.mark
    if kind == "relation":
        return _relations(pred, gold, rules)
    if kind == "union":
        return _unordered(pred.items, gold.items, rules)
    if _brackets(pred) != _brackets(gold):
        return False
    return _ordered(pred.items, gold.items, rules)
