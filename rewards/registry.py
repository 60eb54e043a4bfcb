"""Find a reward by name, file, import path or composition, and call it safely.

In: a spec and its options. A spec is `math` (built in, or an entry point of group
`temper.rewards`), `path/to/file.py:function`, `package.module:function`, or a composition such as
`0.9*math + 0.1*format if format` (see `rewards.compose`). Out: a `Reward` whose `judge` always
returns a `Verdict`: whatever the function raises or returns that is no score becomes
`verifier_error`, never a 0. A plain function `(response, gold)`, with as many of the row's fields
by name as it likes (or `**row`), that returns a float or a `Verdict` is enough. Loading fails with
a `RewardError` that names file and line.
"""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import json
import math
import numbers
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conf.errors import RewardError
from rewards import compose
from rewards.loading import FORMS, defined, load_function, nearest, place
from rewards.verdict import Verdict, verifier_error

BUILT_IN: Final[Mapping[str, str]] = {
    "math": "rewards.math.grade:grade_math",
    "exact": "rewards.exact:grade_exact",
    "choice": "rewards.choice:grade_choice",
    "regex": "rewards.pattern:grade_regex",
    "json_schema": "rewards.json_schema:grade_json_schema",
    "countdown": "rewards.countdown:grade_countdown",
    "arithmetic": "rewards.arithmetic:grade_arithmetic",
    "ifeval": "rewards.ifeval.grade:grade_ifeval",
    "format": "rewards.format:grade_format",
    "tags": "rewards.format:grade_tags",
    "soft_overlong": "rewards.lengths:grade_soft_overlong",
    "cosine": "rewards.lengths:grade_cosine",
    "repetition": "rewards.repetition:grade_repetition",
    "language": "rewards.language:grade_language",
    "judge": "rewards.judge.grade:grade_judge",
    "rubric": "rewards.judge.grade:grade_rubric",
    "reward_model": "rewards.reward_model:grade_reward_model",
    "code": "rewards.code.grade:grade_code",
    "constant": "rewards.control:grade_constant",
    "random": "rewards.control:grade_random",
    "shuffled_gold": "rewards.control:grade_shuffled_gold",
}
ENTRY_POINTS: Final = "temper.rewards"
USE: Final = "use"  # in a composition: the option of a part that says which reward its name means


@dataclass(frozen=True, slots=True)
class Reward:
    """A loaded reward with its options bound.

    Attributes:
        spec: what it was loaded by.
        function: the grader.
        options: keyword arguments of each call, from the configuration.
        row_names: fields of the row that the function names; None when it takes `**row`.
        where: `file:line` of its definition.
    """

    spec: str
    function: Callable[..., Any]
    options: Mapping[str, Any]
    row_names: frozenset[str] | None
    where: str

    def judge(self, response: str, gold: Any, row: Mapping[str, Any] | None = None) -> Verdict:
        """Judge one response; what goes wrong inside is a `verifier_error`, with the place.

        Args:
            response: the model's text.
            gold: the row's ground truth.
            row: the row's other fields by name (`data_source`, and those of `extra_info`).
        """
        fields = {
            name: value
            for name, value in (row or {}).items()
            if name not in self.options
            and name not in {"response", "gold"}
            and (self.row_names is None or name in self.row_names)
        }
        try:
            result = self.function(response, gold, **fields, **self.options)
            return _verdict(result)
        except (Exception, SystemExit) as error:  # whatever it raises, it is no score
            return verifier_error(
                f"{self.spec} raised {type(error).__name__}: {error} ({place(error, self.where)})"
            )


def _verdict(result: object) -> Verdict:
    """A `Verdict` as it is; a finite number as score, right from 1 upwards."""
    if isinstance(result, Verdict):
        return result
    if isinstance(result, numbers.Real):  # bool and numpy's scalars too
        score = float(result)
        if math.isfinite(score):
            right = score >= 1.0
            return Verdict(score, float(right), "correct" if right else "wrong")
    raise TypeError(f"a reward returns a finite number or a Verdict, got {result!r}")


def row_fields(extra_info: Mapping[str, Any] | None) -> dict[str, Any]:
    """A row's `extra_info` as a reward sees it: without nulls, what `more` holds as JSON laid open.

    Our Parquet keeps there what has no column of its own, so that files of any source fit together.
    """
    known = {name: value for name, value in (extra_info or {}).items() if value is not None}
    more = known.pop("more", None)
    return known | (json.loads(more) if isinstance(more, str) else {})


def row_name(row: Mapping[str, Any]) -> Any:
    """What a row is called in messages and dumps: its `id`, else its `index`, else None."""
    return row.get("index") if row.get("id") is None else row["id"]


@functools.cache
def plug_ins() -> Mapping[str, str]:
    """Rewards that installed packages offer: name → `module:function`.

    Raises:
        RewardError: two packages offer one name, or a package offers a built-in one's.
    """
    found: dict[str, str] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        value = re.sub(r"\s*\[.*", "", point.value).strip()
        if point.name in BUILT_IN or found.get(point.name, value) != value:
            raise RewardError(
                f"entry point {ENTRY_POINTS}:{point.name} = {value} takes the name of "
                f"{BUILT_IN.get(point.name) or found[point.name]}",
                fix="rename it in that package, or name the function as module:function",
            )
        found[point.name] = value
    return found


def names() -> list[str]:
    """All names that a spec may be."""
    return sorted({*BUILT_IN, *plug_ins()})


def _target(spec: str) -> str:
    """`file.py:function` or `module:function` that a spec stands for."""
    if spec in BUILT_IN:
        return BUILT_IN[spec]
    where, _, name = spec.rpartition(":")
    if where and name:
        return spec
    if spec in plug_ins():
        return plug_ins()[spec]
    hint = " (write a minus with spaces around it)" if "-" in spec else ""
    raise RewardError(f"no reward named {spec!r}", fix=f"{nearest(spec, names())} ({FORMS}){hint}")


def load_reward(spec: str, options: Mapping[str, Any] | None = None) -> Reward:
    """Load a reward and check that it can be called.

    Args:
        spec: a name, `path/to/file.py:function`, `package.module:function`, or a composition.
        options: keyword arguments for each call; of a composition, one mapping for each part.

    Raises:
        RewardError: the spec names nothing, its file does not import, the function does not take
            `(response, gold)`, or an option is not one of its parameters.
    """
    if not isinstance(spec, str) or not spec.strip():
        raise RewardError(f"a reward must be a string, got {spec!r}", fix=f"give {FORMS}")
    options = dict(options or {})
    if _is_composition(spec):
        return _composed(spec, options)
    function = load_function(_target(spec), spec)
    if inspect.iscoroutinefunction(function):
        raise RewardError(
            f"reward {spec!r} is async ({defined(function)})",
            fix="write it as a plain function: each call already has a thread of its own",
        )
    parameters = list(inspect.signature(function).parameters.values())
    kinds = inspect.Parameter
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind is kinds.VAR_KEYWORD for p in parameters)
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    named -= {p.name for p in positional[:2]}
    if len(positional) < 2 and not any(p.kind is kinds.VAR_POSITIONAL for p in parameters):
        raise RewardError(
            f"reward {spec!r} does not take (response, gold) ({defined(function)})",
            fix="define it as: def score(response, gold, **row) -> float",
        )
    for name in options:
        if name not in named and not takes_any:
            raise RewardError(
                f"reward {spec!r} has no option {name!r} ({defined(function)})",
                fix=nearest(name, named) if named else "it takes none",
            )
    row_names = None if takes_any else frozenset(named)
    return Reward(spec, function, options, row_names, defined(function))


def load_correctness(spec: str, options: Mapping[str, Any] | None = None) -> Reward:
    """The part of a reward that says what is right: of a composition its first, else all of it.

    For gold answers and evaluations, where nobody counts tokens and nothing is shaped.

    Raises:
        RewardError: as `load_reward`.
    """
    whole = load_reward(spec, options)
    if not isinstance(whole.function, compose.Composition):
        return whole
    return load_reward(*correctness(spec, options))


def correctness(spec: str, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    """Spec and options of what `load_correctness` loads; loads nothing.

    Raises:
        RewardError: the spec is no formula.
    """
    if not _is_composition(spec):
        return spec, dict(options or {})
    first = compose.parse(spec).names[0]
    own = dict((options or {}).get(first) or {})
    return str(own.pop(USE, first)), own


def _is_composition(spec: str) -> bool:
    """Whether a spec is more than one name: a file whose name holds a `+` is still a file."""
    if spec in BUILT_IN or compose.is_name(spec):
        return False
    return not Path(spec.rpartition(":")[0]).expanduser().is_file()


def _composed(spec: str, options: Mapping[str, Any]) -> Reward:
    """Load each part of a composition with its own options."""
    formula = compose.parse(spec)
    for name, value in options.items():
        if name not in formula.names:
            raise RewardError(
                f"reward_fn.options has {name!r}, which is no part of {spec!r}",
                fix=f"{nearest(name, formula.names)} (a composition's options are given by part)",
            )
        if not isinstance(value, Mapping):
            raise RewardError(
                f"options of the part {name!r} must be a mapping, got {value!r}",
                fix=f"options: {{{name}: {{option: value}}}}",
            )
    parts = {}
    for name in formula.names:
        own = dict(options.get(name) or {})
        try:
            parts[name] = load_reward(str(own.pop(USE, name)), own)
        except RewardError as error:
            raise RewardError(f"in {spec!r}: {error.message}", error.fix) from error
    where = ", ".join(f"{name} at {part.where}" for name, part in parts.items())
    judges = {name: part.judge for name, part in parts.items()}
    return Reward(spec, compose.Composition(formula, judges), {}, None, where)
