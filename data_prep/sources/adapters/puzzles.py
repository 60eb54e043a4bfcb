"""Countdown and knights-and-knaves, in the shapes in which they are published.

In: a raw row. Out: `Fields` with a prompt of our template and the answer as JSON:
`{"numbers": […], "target": n}`, and `{"names": […], "solution": […]}` with a truth value a name.
Solves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from conf.errors import DataError
from data_prep.rows_schema import Kind, dumps
from data_prep.sources import columns, fields
from data_prep.sources.columns import Lack
from data_prep.sources.declare import Declaration
from data_prep.sources.fields import Fields

_INTEGER = re.compile(r"-?\d+")
_ASKED = re.compile(r"\nUser: (.*?)(?: Show your work in <think>.*)?\nAssistant:", re.DOTALL)
GAME_TARGET: Final = 24


def countdown(declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str) -> Fields:
    """Reach a target with given numbers, each used once at most.

    Understood are `nums` and `target` (TinyZero), `input` and `output` (d1), `Puzzles` (Game of 24,
    arXiv:2305.10601). The declaration's template may use {nums} and {target}.
    """
    if "Puzzles" in raw:
        numbers, target = _integers(raw["Puzzles"]), GAME_TARGET
    elif "nums" in raw:
        numbers, target = [int(n) for n in raw["nums"]], columns.value(raw, "target", where)
    else:
        numbers = _integers(columns.value(raw, "input", where))
        target = columns.value(raw, "output", where)
    if isinstance(target, str):
        found = _integers(target)
        target = found[0] if len(found) == 1 else None
    if target is None or not numbers:
        raise Lack("no_answer")
    made = fields.mapped(declared, {**raw, "nums": numbers, "target": int(target)}, where)
    made.answer = dumps({"numbers": numbers, "target": int(target)})
    return made


def _integers(text: str) -> list[int]:
    return [int(number) for number in _INTEGER.findall(text)]


def knights_and_knaves(
    declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str
) -> Fields:
    """Who tells the truth? (arXiv:2410.23123) From the published columns, or from verl's.

    The prompt of rows in verl's columns is written for base models, with both speakers in one text;
    what is asked is taken out of it.
    """
    if "quiz" in raw:
        asked, facts = raw["quiz"], raw
    else:
        facts = columns.value(raw, "reward_model.ground_truth", where)
        asked = columns.value(raw, "question", where)
        match = _ASKED.search(asked)
        if match is None:
            raise Lack("empty_prompt", "no `User: … Assistant:` in the question")
        asked = match[1]
    names, solution = (columns.value(facts, name, where) for name in ("names", "solution"))
    if not names or len(names) != len(solution):
        raise Lack("no_answer", f"{len(names or ())} names, {len(solution or ())} truth values")
    if not all(isinstance(one, bool) for one in solution):
        raise DataError(f"{where}, column solution: got {solution!r:.60}, need true or false each")
    made = fields.mapped(declared, {**raw, "quiz": asked}, where)
    made.answer = dumps({"names": list(names), "solution": list(solution)})
    made.category = f"{len(names)} people"
    return made
