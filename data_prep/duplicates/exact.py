"""Exact duplicates, and the same question with answers that contradict each other.

In: rows; phase 1 gives 66 bytes a row, phase 2 findings. Two rows are duplicates when the normal
forms (`filters.text.normal_form`) of their questions and of their answers are equal, or when they
set the same task: questions equal but for the order of their numbers, and gold answers that are the
same JSON object but for that order (Countdown's [3, 5, 7] and [7, 3, 5]). A question is the prompt
without its template (`filters.base.question_of`). The same question with another gold answer (RL),
or with chosen and rejected exchanged (preference), is a conflict: reported on every row of the
group, by default flagged. Two different responses to one question are no conflict in SFT rows.
Similar texts are `near`'s.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import ClassVar, Final

import numpy as np

from data_prep.duplicates.keep import preference
from data_prep.filters.base import (
    Action,
    Fetch,
    Finding,
    Options,
    Row,
    Signatures,
    gold_of,
    kind_of,
    question_of,
    split_of,
    text_of,
)
from data_prep.filters.text import normal_form
from rewards.numbers import parse_number

KINDS: Final = ("rl", "sft", "preference")
_DIGITS: Final = re.compile(r"\d+(?:\.\d+)?")
SHOWN: Final = 5  # rows and answers named in one finding


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def _keys(texts: Sequence[str]) -> np.ndarray:
    """Shape (texts, 2): 128 bits each, so that chance equality need not be thought of."""
    joined = b"".join(map(_digest, texts))
    return np.frombuffer(joined, dtype="<u8").reshape(len(texts), 2).astype(np.uint64)


def same_answer_form(answer: str) -> str:
    """Equal for answers that say the same: numbers by value, other text by its normal form."""
    number = parse_number(answer)
    if number is not None:
        return str(number)
    return normal_form(answer) or " ".join(answer.split())


def _prompt(row: Row) -> str:
    """The question's normal form; of a text without words ("?!") the text itself."""
    text = question_of(row)
    return normal_form(text) or text


def _answer(row: Row) -> str:
    gold = gold_of(row)
    if gold is not None:
        return same_answer_form(gold)
    text = text_of(row, "answer")
    return normal_form(text) or text


def _ordered(value: object) -> object:
    """JSON in which a list of numbers is sorted."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        if all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in value):
            return sorted(value)
        return [_ordered(one) for one in value]
    return value


def _task(row: Row, prompt: str) -> str:
    """Equal for rows that set the same task; "" where only the prompt says what the task is.

    Args:
        row: any.
        prompt: its question's normal form.
    """
    gold = gold_of(row)
    if gold is None or not gold.lstrip().startswith("{"):
        return ""
    try:
        answer = json.dumps(_ordered(json.loads(gold)), sort_keys=True)
    except ValueError:
        return ""
    figures = sorted(_DIGITS.findall(prompt))
    return f"{_DIGITS.sub('0', prompt)}\n{' '.join(figures)}\n{answer}"


class ExactDuplicates(Options):
    """The step `exact_duplicates`.

    Attributes:
        action: what happens to all but the first of equal rows.
        conflicts: what happens to every row of a group that contradicts itself.
    """

    name: ClassVar[str] = "exact_duplicates"
    reasons: ClassVar[Mapping[str, str]] = {
        "duplicate_exact": "same question and answer as a row that is kept",
        "duplicate_task": "the same task as a row that is kept, its numbers in another order",
        "duplicate_held_out": "a training row whose question or task is in a held-out split",
        "conflicting_answers": "the same question has different gold answers",
        "conflicting_preference": "one row chooses what another row rejects",
    }

    action: Action = "drop"
    conflicts: Action = "flag"

    def signatures(self, rows: Sequence[Row]) -> Signatures:
        """128 bits of each prompt, answer and rejected answer, the kind and the split."""
        rejected = [text_of(row, "rejected") for row in rows]
        prompts = [_prompt(row) for row in rows]
        tasks = [_task(row, prompt) for row, prompt in zip(rows, prompts, strict=True)]
        return {
            "exact_prompt": _keys(prompts),
            "exact_answer": _keys([_answer(row) for row in rows]),
            "exact_rejected": _keys([normal_form(text) or text for text in rejected]),
            "exact_task": _keys(tasks),
            "exact_has_task": np.array([bool(task) for task in tasks], dtype=bool),
            "exact_kind": np.array([KINDS.index(kind_of(row)) for row in rows], dtype=np.uint8),
            "exact_held_out": np.array([split_of(row) != "train" for row in rows], dtype=bool),
        }

    def resolve(
        self, signatures: Signatures, ids: Sequence[str], fetch: Fetch | None = None
    ) -> dict[str, Finding]:
        """Findings by row id. A conflict is reported on rows that are kept as well."""
        findings: dict[str, Finding] = {}
        for group in _groups(signatures["exact_prompt"]):
            kinds = signatures["exact_kind"][group]
            for kind in np.unique(kinds):
                self._judge_group(group[kinds == kind], KINDS[kind], signatures, ids, findings)
        self._judge_tasks(signatures, ids, findings)
        return findings

    def _judge_tasks(
        self, signatures: Signatures, ids: Sequence[str], findings: dict[str, Finding]
    ) -> None:
        """Add what is to be said of rows that set the same task in other words or order."""
        held_out = signatures["exact_held_out"]
        tasks = np.flatnonzero(signatures["exact_has_task"])
        for places in _groups(signatures["exact_task"][tasks]):
            group = tasks[places]
            first, *others = group[preference(held_out[group])].tolist()
            for position in others:
                if held_out[position] or ids[position] in findings:
                    continue
                findings[ids[position]] = Finding(
                    "duplicate_held_out" if held_out[first] else "duplicate_task",
                    f"the same task as {ids[first]}",
                    self.action,
                    {"kept": ids[first]},
                )

    def _judge_group(
        self,
        group: np.ndarray,
        kind: str,
        signatures: Signatures,
        ids: Sequence[str],
        findings: dict[str, Finding],
    ) -> None:
        """What is to be said of rows of one kind with one prompt."""
        held_out = signatures["exact_held_out"]
        order = group[preference(held_out[group])]
        answers = [signatures["exact_answer"][i].tobytes() for i in order]
        others = [signatures["exact_rejected"][i].tobytes() for i in order]
        seen: dict[tuple[bytes, bytes], int] = {}
        stay: list[int] = []
        for place, position in enumerate(order):
            key = (answers[place], others[place])
            first = seen.setdefault(key, int(position))
            if held_out[position]:
                continue  # an evaluation set is not ours to thin out
            if kind == "rl" and held_out[order[0]]:
                reason, kept = "duplicate_held_out", int(order[0])
            elif first != position:
                reason = "duplicate_held_out" if held_out[first] else "duplicate_exact"
                kept = first
            else:
                stay.append(place)
                continue
            findings[ids[position]] = Finding(
                reason, f"the same as {ids[kept]}", self.action, {"kept": ids[kept]}
            )
        if kind == "rl":
            groups: dict[bytes, list[int]] = defaultdict(list)
            for place, position in enumerate(order):
                groups[answers[place]].append(int(position))
            if len(groups) > 1:
                self._conflict(
                    [int(order[place]) for place in stay],
                    "conflicting_answers",
                    f"{len(groups)} different gold answers to one question",
                    {f"answer_{n}": [ids[i] for i in rows[:SHOWN]] for n, rows in
                     enumerate(list(groups.values())[:SHOWN], 1)},
                    ids, findings,
                )  # fmt: skip
        elif kind == "preference":
            swapped = [
                p for p in stay if (others[p], answers[p]) in seen and answers[p] != others[p]
            ]
            self._conflict(
                [int(order[place]) for place in swapped],
                "conflicting_preference",
                "another row of this prompt chooses what this one rejects",
                {"rows": [ids[int(order[place])] for place in swapped[:SHOWN]]},
                ids,
                findings,
            )

    def _conflict(
        self,
        positions: Sequence[int],
        reason: str,
        detail: str,
        evidence: Mapping[str, object],
        ids: Sequence[str],
        findings: dict[str, Finding],
    ) -> None:
        for position in positions:
            findings[ids[position]] = Finding(reason, detail, self.conflicts, evidence)


def _groups(keys: np.ndarray) -> list[np.ndarray]:
    """Positions of equal keys, groups of two or more, each in order, by their first position."""
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    sorted_keys = keys[order]
    change = (sorted_keys[1:] != sorted_keys[:-1]).any(axis=1)
    edges = np.concatenate([[0], np.flatnonzero(change) + 1, [len(order)]])
    large = np.flatnonzero(np.diff(edges) > 1)
    groups = [order[edges[i] : edges[i + 1]] for i in large]
    return sorted(groups, key=lambda group: int(group[0]))
