"""Which evaluation questions stood in the training data, by the evidence of data preparation.

In: `findings.jsonl` of a preparation (or its folder): one line for each training row that the
filter `decontamination` found to hold a question. Out: for each task the items concerned. A row
that was dropped is not trained on: its question is counted, and only those of rows that were kept
(action `flag`) count as contaminated. It searches no training data itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conf.errors import EvaluationError
from eval.records import Record

FINDINGS: Final = "findings.jsonl"
WORD: Final = re.compile(r"\w+")
LEAST_WORDS: Final = 4  # a question of fewer words is matched by its id alone


@dataclass(frozen=True, slots=True)
class Question:
    """An evaluation question that a training row holds."""

    set: str
    id: str
    words: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Flags:
    """What the evidence says of one task: indices of its items, by what became of the rows."""

    kept: frozenset[int]
    dropped: frozenset[int]


def read_questions(path: Path) -> list[Question]:
    """The questions of an evidence file; a question in a kept and a dropped row is kept.

    Raises:
        EvaluationError: no such file, a line that is no finding, or no decontamination in it.
    """
    file = path / FINDINGS if path.is_dir() else path
    if not file.is_file():
        raise EvaluationError(
            f"no such file: {file}", f"contamination=DIR with the {FINDINGS} of data_prep.prepare"
        )
    found: dict[tuple[str, str], Question] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        finding = _finding(line, file, number)
        evidence = finding.get("evidence")
        contaminated = str(finding.get("reason", "")).startswith("contaminated_")
        if not contaminated or not isinstance(evidence, Mapping) or "set" not in evidence:
            continue
        kept = finding.get("action") != "drop"
        question = Question(
            str(evidence["set"]),
            str(evidence.get("question_id", "")),
            _words(str(evidence.get("question", ""))),
            kept,
        )
        known = found.get((question.set, question.id))
        if known is None or (kept and not known.kept):
            found[question.set, question.id] = question
    return list(found.values())


def _finding(line: str, file: Path, number: int) -> Mapping[str, Any]:
    try:
        finding = json.loads(line)
    except ValueError:
        finding = None
    if not isinstance(finding, Mapping):
        raise EvaluationError(
            f"{file} line {number} is no finding", f"give the {FINDINGS} of data_prep.prepare"
        )
    return finding


def _words(text: str) -> str:
    """Words alone, in one case, the cut last one left out: a template may change the rest."""
    words = WORD.findall(text.lower())
    return " ".join(words[:-1] if len(text) >= 400 else words)


def flag(
    questions: Iterable[Question], tasks: Mapping[str, Iterable[Record]]
) -> tuple[dict[str, Flags], int]:
    """The items that ask one of the questions, and how many questions no item asks.

    An item asks a question when its prompt holds the question's words in order; where the evidence
    holds no text, when the task bears the set's name and the item's id is, or ends in, the
    question's.
    """
    items = {task: [(r["index"], str(r.get("id", "")), _prompt(r)) for r in records]
             for task, records in tasks.items()}  # fmt: skip
    kept: dict[str, set[int]] = {task: set() for task in items}
    dropped: dict[str, set[int]] = {task: set() for task in items}
    unmatched = 0
    for question in questions:
        by_text = question.words.count(" ") + 1 >= LEAST_WORDS
        hit = False
        for task, asked in items.items():
            for index, name, prompt in asked:
                if by_text:
                    same = f" {question.words} " in prompt
                else:
                    same = (
                        task == question.set
                        and name.rpartition("/")[2] == (question.id.rpartition("/")[2])
                    )
                if same:
                    (kept if question.kept else dropped)[task].add(index)
                    hit = True
        unmatched += not hit
    found = {
        task: Flags(frozenset(kept[task]), frozenset(dropped[task] - kept[task])) for task in items
    }
    return {task: flags for task, flags in found.items() if flags.kept or flags.dropped}, unmatched


def _prompt(record: Record) -> str:
    prompt = record.get("prompt", "")
    if isinstance(prompt, list):
        prompt = " ".join(str(turn.get("content", "")) for turn in prompt)
    return f" {' '.join(WORD.findall(str(prompt).lower()))} "
