"""What every filter and every whole-corpus step shares: rows as dicts, findings, text access.

In: rows of any kind (`rl`, `sft`, `preference`, `reward_pairs`) as plain dicts. Out: the types
`Finding`, `Filter` (batch by batch, pure) and `CorpusStep` (signatures by batch, then one verdict
over all of them), and `text_of` and its kin, the only way in which filters look into a row.
Nothing here judges, reads or writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict

Row = dict[str, Any]
Kind = Literal["rl", "sft", "preference"]
Action = Literal["drop", "flag"]
Part = Literal["all", "prompt", "answer", "rejected"]
Signatures = dict[str, np.ndarray]  # every array has one entry per row along its first axis
Fetch = Callable[[Sequence[int]], Sequence[Row]]  # rows by their position in the corpus

TURN_BREAK: Final = "\n\n"
ASKS: Final = "asks"  # key of a row's question without its template; None or absent: the prompt


@dataclass(frozen=True, slots=True)
class Finding:
    """What a filter has against one row.

    Attributes:
        reason: short code, counted in the manifest; one of the filter's `reasons`.
        detail: one line on why, for a person.
        action: `drop` leaves the row out; `flag` keeps it and says so.
        evidence: JSON-able facts for the evidence file (the matched text, the other row's id).
    """

    reason: str
    detail: str = ""
    action: Action = "drop"
    evidence: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Filter(Protocol):
    """Judges rows one batch at a time; how rows are cut into batches never matters.

    Attributes:
        name: as configuration names it.
        reasons: every reason code that it may give, with its meaning.
    """

    name: ClassVar[str]
    reasons: ClassVar[Mapping[str, str]]

    def judge(self, rows: Sequence[Row]) -> list[Finding | None]:
        """One entry per row: a finding, or None for a row with nothing against it."""
        ...


@runtime_checkable
class CorpusStep(Protocol):
    """A decision that needs the whole corpus: arrays by batch first, then one verdict.

    Attributes:
        name: as configuration names it.
        reasons: every reason code that it may give, with its meaning.
    """

    name: ClassVar[str]
    reasons: ClassVar[Mapping[str, str]]

    def signatures(self, rows: Sequence[Row]) -> Signatures:
        """Phase 1, pure, batch by batch: arrays with one entry per row. Keep only these."""
        ...

    def resolve(
        self, signatures: Signatures, ids: Sequence[str], fetch: Fetch | None = None
    ) -> dict[str, Finding]:
        """Phase 2, once: findings by row id, from all batches' arrays put one after the other.

        Args:
            signatures: phase 1's arrays, concatenated in the corpus's order.
            ids: the rows' ids in that order.
            fetch: gives rows by position, where a step wants to look at a few of them again.
        """
        ...


class Options(BaseModel):
    """What a filter or step is made of: typed options, unknown ones refused.

    Pickled, it is its options alone: what it loaded or built (a tokenizer, an index) is made again
    in the process that it comes to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        kept = {k: v for k, v in state["__dict__"].items() if k in type(self).model_fields}
        return {**state, "__dict__": kept}


class RowFilter(Options):
    """A `Filter` that looks at one row at a time. Its fields are its options.

    Attributes:
        action: what a finding does to the row.
    """

    name: ClassVar[str]
    reasons: ClassVar[Mapping[str, str]]

    action: Action = "drop"

    def judge(self, rows: Sequence[Row]) -> list[Finding | None]:
        """One entry per row."""
        return [self.judge_row(row) for row in rows]

    def judge_row(self, row: Row) -> Finding | None:
        """The first thing against this row, or None."""
        raise NotImplementedError

    def found(self, reason: str, detail: str = "", **evidence: Any) -> Finding:
        """A finding with this filter's action."""
        return Finding(reason, detail, self.action, evidence)


def concatenate(batches: Sequence[Signatures]) -> Signatures:
    """The arrays of several batches, one after the other."""
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}


def kind_of(row: Mapping[str, Any]) -> Kind:
    """The row's kind, by its columns; reward-model pairs count as `preference`."""
    if row.get("chosen") is not None and row.get("rejected") is not None:
        return "preference"
    return "sft" if row.get("messages") is not None else "rl"


def id_of(row: Mapping[str, Any]) -> str:
    """The row's stable id: column `id`, else `extra_info.id`; "" if it has none."""
    if row.get("id") is not None:
        return str(row["id"])
    extra = row.get("extra_info")
    return str(extra["id"]) if isinstance(extra, Mapping) and extra.get("id") is not None else ""


def split_of(row: Mapping[str, Any]) -> str:
    """The row's split: column `split`, else `extra_info.split`; "train" if it says nothing."""
    if row.get("split"):
        return str(row["split"])
    extra = row.get("extra_info")
    return str(extra["split"]) if isinstance(extra, Mapping) and extra.get("split") else "train"


def gold_of(row: Mapping[str, Any]) -> str | None:
    """The ground truth of an RL row; None for other rows."""
    model = row.get("reward_model")
    gold = model.get("ground_truth") if isinstance(model, Mapping) else None
    return None if gold is None else str(gold)


def content_of(message: Mapping[str, Any]) -> str:
    """A turn's text: its content, the text of its parts, and its tool calls as JSON."""
    content = message.get("content")
    pieces = [content] if isinstance(content, str) else []
    if isinstance(content, Sequence) and not isinstance(content, str):
        pieces = [
            str(part["text"]) for part in content if isinstance(part, Mapping) and part.get("text")
        ]
    if message.get("tool_calls"):
        pieces.append(json.dumps(message["tool_calls"], ensure_ascii=False, sort_keys=True))
    return "\n".join(pieces)


def _messages(value: object) -> Iterator[tuple[str, str]]:
    """Role and text of each turn; a bare string is one turn without a role."""
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, Sequence):
        for message in value:
            if isinstance(message, Mapping):
                yield str(message.get("role", "")), content_of(message)


def turns_of(row: Mapping[str, Any], part: Part = "all") -> list[tuple[str, str]]:
    """Role and text of each turn of a part of the row.

    Args:
        row: of any kind.
        part: `prompt`: what is asked (everything but assistant turns that are learned from);
            `answer`: the assistant's turns, the chosen answer, or the gold answer;
            `rejected`: a pair's other answer; `all`: prompt and answer.
    """
    kind = kind_of(row)
    if kind == "sft":
        turns = list(_messages(row["messages"]))
        if part == "all":
            return turns
        if part == "rejected":
            return []
        return [turn for turn in turns if (turn[0] == "assistant") == (part == "answer")]
    prompt = list(_messages(row.get("prompt")))
    if kind == "rl":
        gold = gold_of(row)
        answer = [] if gold is None else [("assistant", gold)]
        rejected: list[tuple[str, str]] = []
    else:
        answer = [(role or "assistant", text) for role, text in _messages(row["chosen"])]
        rejected = [(role or "assistant", text) for role, text in _messages(row["rejected"])]
    if part == "prompt":
        return prompt
    if part == "answer":
        return answer
    return rejected if part == "rejected" else prompt + answer


def text_of(row: Mapping[str, Any], part: Part = "all", *, system: bool = True) -> str:
    """The text of a part of the row, turns separated by a blank line.

    Args:
        row: of any kind.
        part: see `turns_of`.
        system: whether system turns count; they are the same in every row of many sources.
    """
    return TURN_BREAK.join(text for role, text in turns_of(row, part) if system or role != "system")


def question_of(row: Mapping[str, Any]) -> str:
    """What the row asks, without the words that a template puts around it where they are known.

    System turns do not count.
    """
    asks = row.get(ASKS)
    return text_of(row, "prompt", system=False) if asks is None else str(asks)


def answers_of(row: Mapping[str, Any]) -> list[str]:
    """Texts that a model would learn from: assistant turns, and both sides of a pair.

    The gold answer of an RL row is not among them: no model is trained to say it.
    """
    kind = kind_of(row)
    if kind == "rl":
        return []
    found = [text for role, text in turns_of(row, "answer") if role in ("assistant", "")]
    if kind == "preference":
        found += [text for role, text in turns_of(row, "rejected") if role in ("assistant", "")]
    return found
