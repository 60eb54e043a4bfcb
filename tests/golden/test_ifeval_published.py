"""IFEval's published verdicts on gpt-4's responses: at least 99.5% agree, and each other is told.

832 instructions over 540 prompts, each with a strict and a loose verdict. A difference must stand
in the table below, with its reason, and the table may hold nothing that agrees.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rewards.ifeval.grade import grade_ifeval, loose_readings
from rewards.ifeval.instructions import IFEVAL_IDS
from rewards.ifeval.rows import instructions

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LEAST = 0.995

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")


class Difference(NamedTuple):
    """One instruction on which the published verdict and ours differ."""

    key: int
    position: int
    reading: str
    published: bool
    ours: bool


EXPLAINED: dict[Difference, str] = {
    Difference(1122, 1, "loose", published=False, ours=True): (
        "the 'letter' is #, of which four are asked and four are there; the published code takes "
        "no sign for a letter and draws a random one, another one in its strict and loose run"
    ),
    Difference(3456, 1, "strict", published=False, ours=True): (
        "a hundred English names in capitals; langdetect passes over words in capitals, so the "
        "published run saw nearly no text and said German; we let it read them as small letters"
    ),
    Difference(3456, 1, "loose", published=False, ours=True): "as strict",
    Difference(3617, 0, "strict", published=True, ours=False): (
        "six words in capitals, PIXEL PRODIGY, CODE CONSTRUCT, DIGITAL DYNAMICS: too few to tell; "
        "read as small letters langdetect says Catalan"
    ),
    Difference(3617, 0, "loose", published=True, ours=False): "as strict",
}


def rows() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each published row with its prompt's."""
    text = (DATA / "ifeval" / "input_data.jsonl").read_text(encoding="utf-8")
    prompts = {row["key"]: row for row in map(json.loads, text.split("\n")[:-1])}
    packed = (DATA / "ifeval_responses" / "gpt4_20231107.jsonl.gz").read_bytes()
    judged = [json.loads(line) for line in gzip.decompress(packed).decode().split("\n")[:-1]]
    return [(row, prompts[row["key"]]) for row in judged]


def test_agreement_with_the_published_verdicts() -> None:
    found: set[Difference] = set()
    differing: set[tuple[int, int]] = set()
    seen: set[str] = set()
    count = 0
    for row, prompt in rows():
        assert prompt["instruction_id_list"] == row["instruction_id_list"]
        readings = loose_readings(row["response"])
        for position, one in enumerate(instructions(prompt)):
            count += 1
            seen.add(one.id)
            strict = one.followed(row["response"])
            loose = any(one.followed(reading) for reading in readings)
            for name, ours in (("strict", strict), ("loose", loose)):
                published = row[name][position]
                if ours != published:
                    found.add(Difference(row["key"], position, name, published, ours))
                    differing.add((row["key"], position))
    assert (count, seen) == (832, IFEVAL_IDS)
    assert found == set(EXPLAINED)
    assert 1 - len(differing) / count >= LEAST
    print(f"\nIFEval: {count - len(differing)} of {count} agree, strict and loose")


def test_prompt_level_accuracy_is_within_one_prompt_of_the_published() -> None:
    """Published: strict 0.7722 and loose 0.7963 of 540 prompts."""
    verdicts = [grade_ifeval(row["response"], prompt) for row, prompt in rows()]
    strict = sum(v.components["strict_all"] for v in verdicts)
    loose = sum(v.components["loose_all"] for v in verdicts)
    assert len(verdicts) == 540
    assert strict == pytest.approx(0.7722 * 540, abs=1.1)
    assert loose == pytest.approx(0.7963 * 540, abs=1.1)


def test_every_prompt_of_ifeval_can_be_checked() -> None:
    """Three prompts are known to be defective in their wording; their arguments are complete."""
    text = (DATA / "ifeval" / "input_data.jsonl").read_text(encoding="utf-8")
    verdicts = [grade_ifeval("a response", json.loads(line)) for line in text.split("\n")[:-1]]
    assert len(verdicts) == 541
    assert [v.detail for v in verdicts if v.broken] == []


def test_the_same_verdicts_in_another_order_and_process_wide_seed() -> None:
    """langdetect's own module-wide seed and random state change nothing."""
    import langdetect

    subset = [pair for pair in rows() if "language" in str(pair[1]["instruction_id_list"])]
    first = [grade_ifeval(row["response"], prompt) for row, prompt in subset]
    langdetect.DetectorFactory.seed = 7
    from rewards.language_id import _detect

    _detect.cache_clear()
    again = [grade_ifeval(row["response"], prompt) for row, prompt in reversed(subset)]
    langdetect.DetectorFactory.seed = None
    assert len(first) > 25
    assert first == list(reversed(again))
