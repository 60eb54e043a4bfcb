"""Rows out of a source, counted: what came, what was kept, what was left out and why.

In: a source and its specification, or a declaration by name. Out: rows one by one, each with its
kind and split, in constant memory, and a `Tally`. Where a source gives questions with gold answers
(`Example`), each gold answer must be right under the specified reward, else its example is dropped
and counted, as is one that `judge` finds. Filters and mixing come after; nothing is written here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

from data_prep.filters.base import Finding, Row
from data_prep.filters.gold import fault_of
from data_prep.rows import Message, rl_row, sft_row
from data_prep.rows_schema import Kind
from data_prep.sources.base import Drop, Source, Spec, Use
from rewards.registry import load_correctness


class Intake(NamedTuple):
    """A row on its way.

    Attributes:
        kind: of the row.
        split: where it goes.
        row: as its builder made it.
        asks: the question without the words that a template puts around it; None: the prompt.
    """

    kind: Kind
    split: str
    row: Mapping[str, Any]
    asks: str | None = None


@dataclass
class Tally:
    """Counts of one source.

    Attributes:
        came: raw examples, per split.
        kept: those of which at least one row was made, per split.
        dropped: those left out, per reason code.
        lacking: of those kept, the ones that gave no row of one kind, per `kind: reason code`.
    """

    came: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)

    def reasons(self) -> str:
        """The drop reasons in words."""
        return ", ".join(f"{reason} {n}" for reason, n in sorted(self.dropped.items())) or "none"


def stem(kind: str, split: str) -> str:
    """The file of a kind and split, without its suffix: `train`, `sft_train`, `preference_test`."""
    return split if kind == "rl" else f"{kind}_{split}"


_USES: Final[tuple[Use, ...]] = ("rl", "sft")
BATCH: Final = 1024  # examples judged at a time

Judge = Callable[[Sequence[Row]], Sequence[Finding | None]]


def example_rows(
    source: Source, spec: Spec, tally: Tally, judge: Judge | None = None
) -> Iterator[Intake]:
    """The rows of a source of questions with gold answers.

    Args:
        source: of the rows.
        spec: its specification.
        tally: counts what comes.
        judge: is shown an example's fullest row; what it finds drops the example. None: none is.

    Raises:
        DataError: a file or a value cannot be used.
        RewardError: the reward does not load, or broke on a row.
    """
    made = _examples(source, spec, tally)
    while batch := list(islice(made, BATCH if judge else 1)):
        found = judge([dict(rows[-1].row) for rows in batch]) if judge else [None]
        for rows, finding in zip(batch, found, strict=True):
            if finding is not None:
                tally.dropped[finding.reason] += 1
                continue
            tally.kept[rows[0].split] += 1
            yield from rows


def _examples(source: Source, spec: Spec, tally: Tally) -> Iterator[list[Intake]]:
    """The rows of each example that has a sound gold answer: at least one."""
    reward = load_correctness(spec.reward, spec.reward_options) if spec.reward else None
    position: Counter[tuple[str, Use]] = Counter()  # counts drops too: an index names a raw row
    system: list[Message] = [{"role": "system", "content": spec.system}] if spec.system else []
    for example in source.examples(spec):
        split = example.split
        tally.came[split] += 1
        uses = _USES if isinstance(example, Drop) else tuple(example.uses)
        index = {use: position[split, use] for use in uses}
        for use in uses:
            position[split, use] += 1
        if isinstance(example, Drop):
            tally.dropped[example.reason] += 1
            continue
        ids = {use: f"{source.data_source}/{stem(use, split)}/{index[use]}" for use in uses}
        if reward is not None:
            row = {
                "data_source": source.data_source,
                "split": split,
                "index": str(index[uses[0]]),
                "id": ids[uses[0]],
            }
            fault = fault_of(reward, example.gold, row, example.answer, where=example.where)
            if fault is not None:
                tally.dropped[fault.reason] += 1
                continue
        prompt = list(system)
        if isinstance(example.prompt, str):
            prompt.append({"role": "user", "content": example.prompt})
        else:
            prompt += example.prompt
        rows = []
        for use in uses:
            common: dict[str, Any] = {
                "data_source": source.data_source,
                "id": ids[use],
                "split": split,
                "index": index[use],
                "licence": source.licence,
            }
            if use == "rl":
                ability, gold = source.ability, example.gold
                row_made = rl_row(prompt=prompt, ground_truth=gold, ability=ability, **common)
                rows.append(Intake("rl", split, row_made, example.asks))
            elif example.answer is not None:
                turn: Message = {"role": "assistant", "content": example.answer}
                made = sft_row(messages=[*prompt, turn], **common)
                rows.append(Intake("sft", split, made, example.asks))
        if rows:
            yield rows
        else:
            tally.dropped["no_answer"] += 1
