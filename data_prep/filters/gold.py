"""The filter `gold`: an RL row whose gold answer fails the verifier that training will use.

In: RL rows; others pass. Out: a finding when the gold answer, given as a response, is not right.
Such a row can only ever punish. Each row is judged by the reward that its own source names, unless
one is named for all. Where no answer follows from the gold (tests, instructions, a schema), the
verifier has to be able to read it, and no more is asked. A verifier that breaks is no fault of the
row: it stops the preparation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from conf.errors import RewardError
from data_prep.filters.base import Finding, Row, RowFilter, gold_of, id_of, kind_of, split_of
from rewards.code.suite import read_suite
from rewards.countdown import read_task, solve
from rewards.registry import Reward, load_correctness

FORMS: Final = ("#### {gold}", r"\boxed{{gold}}")  # a gold answer is right in one of them
# Rewards whose gold says what is asked; no answer follows from it.
TASKS: Final = frozenset({"code", "ifeval", "json_schema"})
# Rewards that ask a model, at a model's price, or need no gold: nothing is tried.
UNTRIED: Final = frozenset(
    {"judge", "rubric", "reward_model", "constant", "random", "shuffled_gold"}
)
MOST_NUMBERS: Final = 5  # of a countdown that is solved; more take seconds each
Tried = Literal["answers", "solutions", "references", "read", "nothing"]


class Verifier(BaseModel):
    """What judges a source's rows.

    Attributes:
        reward: name, `path.py:function` or `module:function`.
        options: its options.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reward: str
    options: dict[str, Any] = Field(default_factory=dict)

    def load(self) -> Reward:
        """The part of the reward that says what is right.

        Raises:
            RewardError: it does not load.
        """
        return load_correctness(self.reward, self.options)


class Fault(NamedTuple):
    """What is wrong with a gold answer: a reason of the filter, and a word more."""

    reason: Literal["gold_fails", "gold_unusable"]
    detail: str


def how_tried(reward: str, run: bool = False) -> Tried:
    """What is done with a gold answer under a reward.

    Args:
        reward: name of its part that says what is right.
        run: reference programs are run.

    Returns:
        `answers`: given as a response, and has to be right. `solutions`: a solution is searched,
        and has to be right. `references`: so has the reference program within the gold, where there
        is one. `read`: the verifier has to be able to read the gold. `nothing`.
    """
    if reward in UNTRIED:
        return "nothing"
    if reward == "countdown":
        return "solutions"
    if reward in TASKS:
        return "references" if run and reward == "code" else "read"
    return "answers"


def responses(
    reward: str, gold: str, row: Mapping[str, Any], run: bool = False
) -> Iterator[str | None]:
    """Responses of which one has to be right; None: there is none, the gold is only read.

    Raises:
        ValueError: a countdown has no solution.
    """
    tried = how_tried(reward, run)
    if tried == "answers":
        yield from (form.replace("{gold}", gold) for form in FORMS)
    elif tried == "solutions":
        yield _solution(gold, row)
    else:
        yield _reference(gold) if tried == "references" else None


def _solution(gold: str, row: Mapping[str, Any]) -> str | None:
    try:
        task = read_task(gold, row.get("nums"), row.get("numbers"))
    except ValueError:
        return None  # the verifier says so itself
    if len(task.numbers) > MOST_NUMBERS:
        return None
    found = solve(task)
    if found is None:
        raise ValueError(f"no expression over these numbers makes {task.target}")
    return f"<answer>{found}</answer>"


def _reference(gold: str) -> str | None:
    try:
        reference = read_suite(gold).reference
    except ValueError:
        return None
    return f"```python\n{reference}\n```" if reference else None


def fault_of(
    reward: Reward,
    gold: str,
    row: Mapping[str, Any],
    given: str | None = None,
    *,
    run: bool = False,
    where: str = "",
) -> Fault | None:
    """What is wrong with a gold answer under a reward; None: nothing that could be seen.

    Args:
        reward: of `load_correctness`.
        gold: the ground truth.
        row: the row's other fields, `id` among them.
        given: a response that is right, where the source has one.
        run: see `how_tried`.
        where: the row's file and line, for messages.

    Raises:
        RewardError: the verifier broke.
    """
    if how_tried(reward.spec, run) == "nothing":
        return None
    detail = ""
    try:
        said = [given] if given is not None else responses(reward.spec, gold, row, run)
        for response in said:
            verdict = reward.judge(response or "", gold, row)
            if verdict.status == "verifier_error":
                raise RewardError(
                    f"row {row.get('id')}{f' ({where})' if where else ''}: {verdict.detail}",
                    fix="mend the reward, or name another: filters.gold.reward=… (of a source in "
                    "code: data_prep.reward=…)",
                )
            if verdict.status == "gold_error":
                return Fault("gold_unusable", verdict.detail)
            if response is None or verdict.acc == 1.0:
                return None
            detail = detail or f"{verdict.status}: {verdict.detail or gold[:60]}"
    except ValueError as error:
        detail = str(error)
    return Fault("gold_fails", detail)


class Gold(RowFilter):
    r"""The filter `gold`.

    Attributes:
        reward: for all rows: name, `path.py:function` or `module:function`; None: each row's own.
        reward_options: its options.
        response: how the gold answer is said; `{gold}` stands for it, `\boxed{{gold}}` boxes it.
            None: after `####`, or in a box.
        run: run the reference programs that golds of the reward `code` hold, in the sandbox.
        sources: the verifier of each source, by the rows' `source`; a preparation fills it in.
            Rows of other sources pass.
    """

    name: ClassVar[str] = "gold"
    reasons: ClassVar[Mapping[str, str]] = {
        "gold_fails": "the gold answer, given as a response, is judged wrong",
        "gold_unusable": "the verifier cannot use the gold answer",
    }

    reward: str | None = None
    reward_options: dict[str, Any] = Field(default_factory=dict)
    response: str | None = None
    run: bool = False
    sources: dict[str, Verifier] = Field(default_factory=dict)

    @field_validator("response")
    @classmethod
    def _says_gold(cls, value: str | None) -> str | None:
        if value is not None and "{gold}" not in value:
            raise ValueError("needs {gold} in it")
        return value

    @cached_property
    def _rewards(self) -> dict[str | None, Reward]:
        """By source; under None the one for all rows."""
        if self.reward is not None:
            return {None: load_correctness(self.reward, self.reward_options)}
        return {name: one.load() for name, one in self.sources.items()}

    def judge_row(self, row: Row) -> Finding | None:
        """What the verifier says of the gold answer.

        Raises:
            RewardError: the verifier broke.
        """
        if kind_of(row) != "rl":
            return None
        reward = self._rewards.get(None) or self._rewards.get(source_of(row))
        if reward is None:
            return None
        gold = gold_of(row)
        if gold is None:
            return self.found("gold_unusable", "no ground truth")
        extra = row.get("extra_info")
        known = {
            **(dict(extra) if isinstance(extra, Mapping) else {}),
            "data_source": row.get("data_source"),
            "id": id_of(row),
            "split": split_of(row),
        }
        given = None if self.response is None else self.response.replace("{gold}", gold)
        fault = fault_of(reward, gold, known, given, run=self.run)
        return None if fault is None else self.found(*fault)


def source_of(row: Mapping[str, Any]) -> str:
    """The name of the source that made an RL row: `extra_info.source`, else `data_source`."""
    extra = row.get("extra_info")
    named = extra.get("source") if isinstance(extra, Mapping) else None
    return str(named or row.get("data_source"))
