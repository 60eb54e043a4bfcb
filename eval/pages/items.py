"""The items of a page as data: a small index to filter by, and texts in chunks, read when shown.

In: records with their classes, or flips. Out: `Markup` of JSON elements: `index`, then `chunk-0`,
`chunk-1` … of 200 items each. A browser parses the index at once and a chunk when an item of it is
shown or all texts are searched, so that 10,000 items open in the time of one. Texts are cut to a
budget, the middle left out: the records hold all. Escapes nothing beyond `page.embedded`; the
page's script puts texts in as text, never as markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from eval.failures.classify import TITLES, Failure
from eval.folder import Evaluation
from eval.pages.page import embedded

CHUNK: Final = 200
BUDGET: Final = 40_000_000  # characters of all texts together
LONGEST: Final = 24_000  # characters of one text
SHORTEST: Final = 600
GOLD_CHARS: Final = 4000
MOST_VALUES: Final = 40  # of a field to filter by
RIGHT: Final = "right"


def items(evaluation: Evaluation, classes: Mapping[str, Sequence[Failure | None]]) -> Markup:
    """All records of an evaluation."""
    limit = limit_for(len(str(r["response"])) for r in evaluation.records)
    tasks = list(evaluation.tasks)
    names = facets(evaluation.records)
    rows: list[list[Any]] = []
    texts: list[dict[str, Any]] = []
    prompts: dict[str, int] = {}
    for number, task in enumerate(tasks):
        for record, failure in zip(evaluation.tasks[task], classes[task], strict=True):
            extra = record.get("extra") or {}
            rows.append(
                [
                    number,
                    str(record.get("id", record.get("index"))),
                    failure.kind if failure else RIGHT,
                    (failure.sort if failure else None) or "",
                    int(record.get("tokens") or 0),
                    int(record.get("sample") or 0),
                    *(value_of(record, extra, name) for name in names),
                ]
            )
            texts.append(_texts(record, failure, prompts, len(texts), limit))
    index = {
        "tasks": tasks,
        "titles": {RIGHT: "Right", **TITLES},
        "facets": names,
        "chunk": CHUNK,
        "rows": rows,
    }
    return embedded("index", index) + chunks(texts)


def chunks(texts: Sequence[Mapping[str, Any]]) -> Markup:
    """The texts, 200 items an element."""
    starts = range(0, len(texts), CHUNK)
    return Markup("").join(
        embedded(f"chunk-{number}", texts[start : start + CHUNK])
        for number, start in enumerate(starts)
    )


def _texts(
    record: Mapping[str, Any],
    failure: Failure | None,
    prompts: dict[str, int],
    at: int,
    limit: int,
) -> dict[str, Any]:
    verdict = record["verdict"]
    prompt = prompt_text(record.get("prompt"))
    first = prompts.setdefault(prompt, at)
    found = {
        # Several samples of one item share the prompt of the first.
        "prompt": first if first != at else cut(prompt, limit),
        "response": cut(str(record["response"]), limit),
        "gold": cut(gold_text(record.get("ground_truth")), GOLD_CHARS),
        "pred": cut(str(verdict.get("pred") or ""), GOLD_CHARS),
        "status": verdict["status"],
        "detail": str(verdict.get("detail") or "")[:GOLD_CHARS],
        "finish": str(record.get("finish_reason") or ""),
        "why": failure.why if failure else "",
    }
    return {key: value for key, value in found.items() if value != ""}


def limit_for(lengths: Iterable[int]) -> int:
    """The longest text that a page of this many can hold."""
    sizes = list(lengths)
    limit = LONGEST
    while limit > SHORTEST and sum(min(size, limit) for size in sizes) > BUDGET:
        limit //= 2
    return max(limit, SHORTEST)


def cut(text: str, limit: int) -> str:
    """The text, its middle left out where it is longer than the limit."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    left = len(text) - limit
    return f"{text[:head]}\n⋯ {left:,} characters left out, the records hold them ⋯\n{text[-(limit - head) :]}"  # noqa: E501


def prompt_text(prompt: Any) -> str:
    """A chat as text: of one user turn its text alone, else the role before each turn."""
    if isinstance(prompt, str):
        return prompt
    turns = [turn for turn in (prompt or []) if isinstance(turn, Mapping)]
    if len(turns) == 1 and turns[0].get("role") == "user":
        return str(turns[0].get("content", ""))
    return "\n\n".join(f"[{turn.get('role')}]\n{turn.get('content', '')}" for turn in turns)


def gold_text(gold: Any) -> str:
    """The gold answer to read; of a text that is JSON the JSON itself."""
    if isinstance(gold, str):
        return gold
    return json.dumps(gold, ensure_ascii=False, indent=1, default=str)


def facets(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Fields to filter by: those of `extra`, and the stratum, that have 2 to 40 short values."""
    seen: dict[str, set[str]] = {}
    for record in records:
        extra = record.get("extra") or {}
        for name in (*extra, "stratum"):
            seen.setdefault(str(name), set()).add(value_of(record, extra, str(name)))
    return [
        name
        for name, values in seen.items()
        if 2 <= len(values - {""}) <= MOST_VALUES and max(map(len, values)) <= 60
    ]


def value_of(record: Mapping[str, Any], extra: Mapping[str, Any], name: str) -> str:
    """A field's value as text, "" where the record has none."""
    value = record.get("stratum") if name == "stratum" else extra.get(name)
    return str(value) if isinstance(value, str | int | float | bool) else ""
