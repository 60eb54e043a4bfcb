"""Decontamination of a plain conversion: on, unless the source is generated or it is turned off.

In: a source and its specification. Out: a `Screen`, which knows the evaluation sets on this machine
and the source's own test questions, and judges training rows; what it finds is kept as lines of
`findings.jsonl`. Preparations in stages have the filter `decontamination` among their steps.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from data_prep.decontaminate.judge import Decontamination
from data_prep.decontaminate.sets import Item
from data_prep.filters.base import Finding, Row
from data_prep.judge import finding_line
from data_prep.progress import Progress, estimated_rows
from data_prep.rows import Message
from data_prep.sources.base import Drop, Example, Source, Spec


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


def load_screen(
    source: Source, spec: Spec, folder: Path | None, spool: IO[bytes]
) -> tuple[Source, Screen | None]:
    """What training rows are compared with, and the source as it is to be read from here on.

    The test examples that training rows are compared with may come last. A source may be slow, or
    give other examples when it is asked again, so it is read once and kept on disk.

    Args:
        source: of the rows.
        spec: its specification.
        folder: of evaluation sets; None: those of the model hub's cache alone.
        spool: empty file for the examples; open as long as the source given back is read.

    Returns:
        The source, and None for a generated one, unless a folder is given.
    """
    if source.generated and folder is None:
        return source, None
    own: tuple[Item, ...] = ()
    if not source.generated:
        own = tuple(_test_questions(source, spec, spool))
        source = replace(source, examples=lambda _: _kept(spool))
    folders = () if folder is None else (folder,)
    return source, Screen(Decontamination(folders=folders, questions=own))


def _test_questions(source: Source, spec: Spec, spool: IO[bytes]) -> Iterator[Item]:
    """The questions of the test examples; all examples go into the file."""
    expected = estimated_rows(source.inputs(spec))
    progress = Progress(f"reading {source.name}", expected, unit="examples", estimate=True)
    tests = 0
    for number, one in enumerate(source.examples(spec), 1):
        pickle.dump(one, spool, pickle.HIGHEST_PROTOCOL)
        progress.show(number)
        if isinstance(one, Example) and one.split == "test":
            text = _asked(one.prompt) if one.asks is None else one.asks
            yield Item(source.name, str(tests), text)
            tests += 1
    progress.end()


def _kept(spool: IO[bytes]) -> Iterator[Example | Drop]:
    """The examples in the file, one at a time."""
    end = spool.tell()
    spool.seek(0)
    while spool.tell() < end:
        yield pickle.load(spool)


def _asked(prompt: str | Sequence[Message]) -> str:
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(turn["content"] for turn in prompt if turn["role"] == "user")
