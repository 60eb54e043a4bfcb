"""GSM8K: 7,473 + 1,319 grade-school word problems with worked answers (arXiv:2110.14168).

In: `data_prep.local` (a folder with train and test files, or one file whose first rows are the
test set), else the hub's `openai/gsm8k`, config `main`. Out: examples with the prompt that verl's
published preprocessing makes; the gold answer is what follows `####`, thousands separators
removed; SFT's answer is the worked one, without the calculator marks `<<48/2=24>>`. The same rows
by declaration are in `gsm8k.yaml`; here are the sizes and choices that a recipe sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from conf.errors import DataError
from data_prep.readers import find_split, read_rows
from data_prep.sources.base import Drop, Example, Source, Spec, Split, Use
from data_prep.sources.columns import Lack, gold
from data_prep.sources.hub import hub_rows

HUB: Final = "openai/gsm8k"
INSTRUCTION: Final = 'Let\'s think step by step and output the final answer after "####".'
LOCAL_FIX: Final = "data_prep.local=FOLDER with train.jsonl and test.jsonl (or .jsonl.gz, .parquet)"
SPLITS: Final[tuple[Split, ...]] = ("train", "test")
_CALCULATOR = re.compile(r"<<[^<>]*>>")


class Gsm8kSpec(Spec):
    """Specification of GSM8K rows.

    Attributes:
        instruction: put after each question, with one space; None: nothing is.
        keep_calculator: keep the marks `<<48/2=24>>` in SFT's answers.
        train_size: the first rows of train that are used; None: all.
        test_size: the first rows of test that are used; None: all. With `local` a single file:
            how many of its first rows are the test set.
        sft_size: how many of those train rows SFT uses too; None: all.
    """

    instruction: str | None = INSTRUCTION
    keep_calculator: bool = False
    train_size: int | None = Field(default=None, ge=1)
    test_size: int | None = Field(default=None, ge=1)
    sft_size: int | None = Field(default=None, ge=1)


Rows = Iterator[tuple[str, dict[str, Any]]]


def inputs(spec: Gsm8kSpec) -> Sequence[Path]:
    """The local files that will be read; none from the hub."""
    if spec.local is None:
        return ()
    if spec.local.is_dir():
        return [path for split in SPLITS for path in find_split(spec.local, split)]
    if not spec.local.exists():
        raise DataError(f"data_prep.local={spec.local} does not exist", fix=LOCAL_FIX)
    return [spec.local]


def _rows(spec: Gsm8kSpec, split: Split) -> Rows:
    """The raw rows of a split, sizes applied."""
    size = spec.train_size if split == "train" else spec.test_size
    if spec.local is None:
        # Downloaded once and cached, not streamed: a run asks for it again at each start.
        rows = hub_rows(HUB, split, config="main", stream=False, fix=LOCAL_FIX)
    elif spec.local.is_dir():
        rows = (row for path in find_split(spec.local, split) for row in read_rows(path))
    else:
        if spec.test_size is None:
            raise DataError(
                f"data_prep.local={spec.local} is one file",
                fix="say how many of its first rows are the test set: data_prep.test_size=200",
            )
        skipped = spec.test_size if split == "train" else 0
        rows = (row for number, row in enumerate(read_rows(spec.local)) if number >= skipped)
    for number, row in enumerate(rows):
        if size is not None and number >= size:
            return
        yield row


def _column(row: dict[str, Any], column: str, where: str) -> str:
    if column not in row:
        raise DataError(
            f"{where}: no column {column!r}; it has {', '.join(map(str, row)) or 'none'}",
            fix="GSM8K rows have question and answer",
        )
    value = row[column]
    if not isinstance(value, str):
        raise DataError(f"{where}, column {column}: got {value!r:.60}, need a string")
    return value


def examples(spec: Gsm8kSpec) -> Iterator[Example | Drop]:
    """One example a row; a worked answer without `####` is dropped as `no_final_answer`.

    Raises:
        DataError: no data, an unreadable file, or a row without question or answer.
    """
    for split in SPLITS:
        for number, (where, row) in enumerate(_rows(spec, split)):
            question = _column(row, "question", where)
            answer = _column(row, "answer", where)
            try:
                final = gold(answer, "hashes")
            except Lack:
                yield Drop(split, "no_final_answer", where)
                continue
            prompt = f"{question} {spec.instruction}" if spec.instruction else question
            worked = answer if spec.keep_calculator else _CALCULATOR.sub("", answer)
            in_sft = split == "test" or spec.sft_size is None or number < spec.sft_size
            uses: tuple[Use, ...] = ("rl", "sft") if in_sft else ("rl",)
            yield Example(split, prompt, final, worked, uses, where, question)


SOURCE: Final = Source(
    name="gsm8k",
    spec=Gsm8kSpec,
    examples=examples,
    licence="MIT",
    url=HUB,
    ability="math",
    data_source=HUB,
    inputs=inputs,
)
