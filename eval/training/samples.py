"""Which sampled responses the report shows, early beside late.

In: verl's dumps, validation/<step>.jsonl and rollouts/<step>.jsonl. Out: pairs of samples, of the
same prompt where both steps have it, chosen by a fixed rule and never by taste: with a recorded
`acc` some of each kind of change, beside how often that kind occurs; else evenly spaced.
It does not score anything again.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from eval.pages.text import MISSING, visible
from eval.training.data import Json, read_lines, steps_in

VALIDATION_PAIRS: Final = 6
ROLLOUT_PAIRS: Final = 4
HEAD_CHARS: Final = 480
HEAD_LINES: Final = 10
TAIL_CHARS: Final = 2000
GOLD_CHARS: Final = 200
STATUS_CHARS: Final = 60
BROKEN: Final = ("verifier_error", "gold_error")  # rewards.verdict: statuses without a score

# What became of a problem between the two steps: name, right before, right after, samples shown.
KINDS: Final = (
    ("wrong, then right", False, True, 2),
    ("right, then wrong", True, False, 1),
    ("wrong both times", False, False, 2),
    ("right both times", True, True, 1),
)


@dataclass(frozen=True)
class Excerpt:
    """A text as shown: its beginning, what one click opens, and how much is left to the file."""

    head: Markup
    rest: Markup | None
    rest_chars: int
    hidden_chars: int
    where: str


@dataclass(frozen=True)
class Sample:
    """One line of a dump. `score` and `status` are None where the dump has none."""

    prompt: str
    response: str
    gold: str | None
    score: float | None
    right: bool | None
    status: str | None
    group: str
    where: str

    @property
    def shown(self) -> Excerpt:
        """The response, cut to what a page can hold."""
        return excerpt(self.response, self.where)

    @property
    def asked(self) -> Excerpt:
        """The prompt, cut as well."""
        return excerpt(self.prompt, self.where)

    @property
    def gold_shown(self) -> str:
        """The gold answer in one line that fits."""
        if self.gold is None:
            return MISSING
        return self.gold if len(self.gold) <= GOLD_CHARS else f"{self.gold[:GOLD_CHARS]}…"

    @property
    def tone(self) -> str:
        """How the status chip is coloured: good, bad or plain."""
        if self.status in BROKEN:
            return "bad"
        return "good" if self.status == "correct" else "plain"


@dataclass(frozen=True)
class Pair:
    """An early and a late sample, and what they show; `same` when they answer one prompt."""

    kind: str
    early: Sample
    late: Sample

    @property
    def same(self) -> bool:
        """Whether both answer the same prompt."""
        return self.early.prompt == self.late.prompt


@dataclass(frozen=True)
class Comparison:
    """Samples of two steps of one dump folder; one step alone is compared with nothing.

    `changes` counts each kind of `KINDS` over all prompts that both steps have.
    `flat_groups` is (step, share of groups of rollouts whose scores are all equal).
    """

    early_step: int
    late_step: int
    pairs: tuple[Pair, ...]
    changes: tuple[tuple[str, int], ...]
    compared: int
    flat_groups: tuple[tuple[int, float], ...]
    broken: int


def excerpt(text: str, where: str) -> Excerpt:
    """Cut a text into what is shown at once, what is folded away and what stays in its file."""
    lines = text.split("\n", HEAD_LINES)
    head_length = min(HEAD_CHARS, sum(len(line) + 1 for line in lines[:HEAD_LINES]))
    if len(text) - head_length < 80 and len(lines) <= HEAD_LINES:
        head_length = len(text)  # folding away half a line helps nobody
    rest = text[head_length : head_length + TAIL_CHARS]
    return Excerpt(
        head=visible(text[:head_length]),
        rest=visible(rest) if rest else None,
        rest_chars=len(rest),
        hidden_chars=max(0, len(text) - head_length - TAIL_CHARS),
        where=where,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if good else None


def _sample(record: Json, where: str) -> Sample:
    acc = _number(record.get("acc"))
    status = record.get("status")
    gold = record.get("gts")
    prompt = _text(record.get("input"))
    uid = record.get("uid")
    return Sample(
        prompt=prompt,
        response=_text(record.get("output")),
        gold=None if gold is None else _text(gold),
        score=_number(record.get("score")),
        right=None if acc is None else acc >= 1,
        status=None if status is None else _text(status)[:STATUS_CHARS],
        # verl's uid is {prompt}_{rollout}_{output}
        group=uid.rsplit("_", 2)[0] if isinstance(uid, str) else prompt,
        where=where,
    )


def read_samples(file: Path) -> list[Sample]:
    """All readable samples of one dump."""
    name = f"{file.parent.name}/{file.name}"
    return [
        _sample(record, f"{name}, line {number}")
        for number, record in read_lines(file)
        if record is not None and "output" in record
    ]


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` items, evenly spaced, the first included."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def flat_share(samples: Sequence[Sample]) -> float | None:
    """Share of groups (2 rollouts or more) whose scores are all equal: they carry no gradient."""
    scores: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        if sample.score is not None:
            scores[sample.group].append(sample.score)
    groups = [values for values in scores.values() if len(values) > 1]
    if not groups:
        return None
    return sum(min(values) == max(values) for values in groups) / len(groups)


def _first_by_prompt(samples: Sequence[Sample]) -> dict[str, Sample]:
    out: dict[str, Sample] = {}
    for sample in samples:
        out.setdefault(sample.prompt, sample)
    return out


def _choose(both: list[Pair], count: int) -> tuple[list[Pair], tuple[tuple[str, int], ...]]:
    """Pairs to show, and how often each kind occurs (empty where `acc` was not dumped)."""
    if not any(pair.kind for pair in both):
        return spread(both, count), ()
    kinds = {name: [p for p in both if p.kind == name] for name, *_ in KINDS}
    chosen = [pair for name, *_, shown in KINDS for pair in spread(kinds[name], shown)]
    left = [p for name, *_ in KINDS for p in kinds[name] if p not in chosen]
    chosen += left[: max(0, count - len(chosen))]
    order = [name for name, *_ in KINDS]
    chosen.sort(key=lambda pair: order.index(pair.kind))
    return chosen[:count], tuple((name, len(kinds[name])) for name in order)


def _kind(early: Sample, late: Sample) -> str:
    for name, before, after, _ in KINDS:
        if (early.right, late.right) == (before, after):
            return name
    return ""


def compare(folder: Path, count: int) -> Comparison | None:
    """Early against late samples of a dump folder; None when it holds no sample."""
    dumps = [(step, read_samples(file)) for step, file in _ends(steps_in(folder))]
    dumps = [(step, samples) for step, samples in dumps if samples]
    if not dumps:
        return None
    (first, early), (last, late) = dumps[0], dumps[-1]
    before, after = _first_by_prompt(early), _first_by_prompt(late)
    both = [Pair(_kind(s, after[p]), s, after[p]) for p, s in before.items() if p in after]
    if both:
        pairs, changes = _choose(both, count)
    else:
        sides = spread(list(before.values()), count), spread(list(after.values()), count)
        pairs, changes = [Pair("", e, s) for e, s in zip(*sides, strict=False)], ()
    shares = [(step, flat_share(samples)) for step, samples in dumps]
    return Comparison(
        early_step=first,
        late_step=last,
        pairs=tuple(pairs),
        changes=changes if first != last else (),
        compared=len(both),
        flat_groups=tuple((step, share) for step, share in shares if share is not None),
        broken=sum(s.status in BROKEN for _, samples in dumps for s in samples),
    )


def _ends(steps: dict[int, Path]) -> list[tuple[int, Path]]:
    """The first and the last dump."""
    items = list(steps.items())
    return items if len(items) < 2 else [items[0], items[-1]]
