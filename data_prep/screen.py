"""Decontamination of a plain conversion: on, unless the source is generated or it is turned off.

In: a source and its specification. Out: a `Screen`, which knows the evaluation sets on this machine
and the source's own test questions, and judges training rows; what it finds is kept as lines of
`findings.jsonl`. Preparations in stages have the filter `decontamination` among their steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.decontaminate.judge import Decontamination
from data_prep.decontaminate.sets import Item
from data_prep.filters.base import Finding, Row
from data_prep.judge import finding_line
from data_prep.rows import Message
from data_prep.sources.base import Example, Source, Spec


@dataclass
class Screen:
    """The filter, and what it said.

    Attributes:
        filter: that judges.
        lines: of `findings.jsonl`.
    """

    filter: Decontamination
    lines: list[str] = field(default_factory=list)

    def __call__(self, rows: Sequence[Row]) -> list[Finding | None]:
        """One entry per row."""
        found = self.filter.judge(rows)
        name = self.filter.name
        self.lines += [finding_line(name, row, f) for row, f in zip(rows, found, strict=True) if f]
        return found


def load_screen(source: Source, spec: Spec, folder: Path | None) -> Screen | None:
    """What training rows are compared with.

    A source that gives its test examples is read once more, for them.

    Args:
        source: of the rows.
        spec: its specification.
        folder: of evaluation sets; None: those of the model hub's cache alone.

    Returns:
        None for a generated source, unless a folder is given.
    """
    if source.generated and folder is None:
        return None
    own = () if source.generated else tuple(_test_questions(source, spec))
    return Screen(Decontamination(folders=() if folder is None else (folder,), questions=own))


def _test_questions(source: Source, spec: Spec) -> Iterator[Item]:
    made = (one for one in source.examples(spec) if isinstance(one, Example))
    for number, example in enumerate(one for one in made if one.split == "test"):
        text = _asked(example.prompt) if example.asks is None else example.asks
        yield Item(source.name, str(number), text)


def _asked(prompt: str | Sequence[Message]) -> str:
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(turn["content"] for turn in prompt if turn["role"] == "user")
