"""The filters on the public data files: what they find there is counted.

1. Of the evaluation sets every question is caught verbatim, and re-cased and re-punctuated.
2. Paraphrases that keep names and numbers: how many are caught is counted, and how many clean
   training questions are taken for one. `paraphrases.json` was written for this test; the bounds
   were chosen on the first part of it (`tuned`), the second was written afterwards.
3. Overlaps of the sets' own splits, and pairs that teach nothing, are found.
4. Word problems are English and hold no personal data.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_prep.decontaminate.judge import Decontamination
from data_prep.duplicates.exact import ExactDuplicates
from data_prep.filters.base import Row, concatenate, id_of
from data_prep.filters.language import Language
from data_prep.filters.pairs import Pairs
from data_prep.filters.privacy import Privacy

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")


def records(name: str) -> list[dict[str, Any]]:
    """The records of a JSON or JSONL file, gzipped or not."""
    raw = (DATA / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
    return [json.loads(x) for x in text.splitlines()] if ".jsonl" in name else json.loads(text)


def rl(prompt: str, gold: str = "1", id: str = "a", split: str = "train") -> Row:
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": {"id": id, "split": split, "index": "0"},
    }


def sft(prompt: str, answer: str) -> Row:
    turns = (("user", prompt), ("assistant", answer))
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def pair(chosen: str, rejected: str) -> Row:
    asked = [{"role": "user", "content": "Say it."}]
    answers = {"chosen": chosen, "rejected": rejected}
    said = {name: [{"role": "assistant", "content": text}] for name, text in answers.items()}
    return {"prompt": asked, **said}


def reasons(rows: list[Row]) -> dict[str, str]:
    step = ExactDuplicates()
    batches = [step.signatures(rows[i : i + 500]) for i in range(0, len(rows), 500)]
    found = step.resolve(concatenate(batches), [id_of(row) for row in rows])
    return {name: finding.reason for name, finding in found.items()}


@pytest.fixture(scope="module")
def real() -> Decontamination:
    return Decontamination(folders=(DATA,), cache=False)


def respelled(text: str) -> str:
    return re.sub(r"[,.;:?!]", " ", text.upper()).replace("\u2019", "'") + " ..."


def wrapped(text: str) -> str:
    return f"Solve this problem. {text} Let's think step by step and put the answer in \\boxed{{}}."


@pytest.mark.parametrize(("change", "least"), [(str, 1.0), (respelled, 1.0), (wrapped, 0.999)])
def test_questions_of_the_real_sets_are_caught(
    real: Decontamination, change: Callable[[str], str], least: float
) -> None:
    assert real.missing == [] and sum(real.compared.values()) == 3084
    items = real._loaded[0]
    found = real.judge([rl(change(item.text), id=str(i)) for i, item in enumerate(items)])
    assert sum(f is not None for f in found) >= least * len(items)
    if change is not wrapped:
        assert {f.reason for f in found} == {"contaminated_exact"}
    # Some questions are in a set twice or in two sets; all others are recognised as themselves.
    right = sum(
        f is not None and f.evidence["question"] == item.text[:400]
        for f, item in zip(found, items, strict=True)
    )
    assert right >= 0.985 * len(items)


def test_paraphrases_caught_and_missed(real: Decontamination) -> None:
    path = Path(__file__).parent / "paraphrases.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    found = real.judge([rl(p["text"], id=str(i)) for i, p in enumerate(written)])
    counts: Counter[tuple[str, str, bool, bool]] = Counter()
    for finding, p in zip(found, written, strict=True):
        counts[p["set"], p["names"], p["tuned"], finding is not None] += 1
        if finding is not None:
            assert finding.reason == "contaminated_paraphrase"
            assert (finding.evidence["set"], finding.evidence["question_id"]) == (p["set"], p["id"])
    assert counts == {
        ("gsm8k", "kept", True, True): 18,
        ("gsm8k", "kept", False, True): 13,  # written after the bounds were chosen
        ("gsm8k", "kept", False, False): 1,
        ("gsm8k", "changed", True, False): 6,  # another story around the numbers: missed
        ("math500", "kept", True, True): 1,
        ("math500", "kept", True, False): 1,  # one number only: missed
        ("mbpp", "kept", True, False): 2,  # no numbers: missed
    }


def test_few_clean_training_questions_are_taken_for_test_questions(real: Decontamination) -> None:
    train = records("gsm8k/train.jsonl.gz")
    found = [f for f in real.judge([rl(r["question"]) for r in train]) if f is not None]
    assert Counter(f.reason for f in found) == {
        "contaminated_ngram": 2,  # "A plane travels 1200 miles in 3 hours" as a train's
        "contaminated_paraphrase": 1,  # Bob's raised beds, in both splits with another question
    }


def test_two_problems_of_math_are_in_both_splits() -> None:
    train = records("math/train_answers.json.gz")
    test = records("math/test.jsonl.gz")
    rows = [rl(r["problem"], r["answer"], f"train/{i}") for i, r in enumerate(train)]
    rows += [rl(r["problem"], "?", f"test/{i}", "test") for i, r in enumerate(test)]
    found = reasons(rows)
    assert Counter(found.values())["duplicate_held_out"] == 2
    assert {train[int(k[6:])]["problem"][:20] for k, v in found.items() if "held" in v} == {
        "A parabola with equa",
        "The points $(0,0)\\,$",
    }


def test_five_countdown_tasks_are_in_both_splits() -> None:
    rows = []
    for split in ("train", "test"):
        path = DATA / f"countdown/tinyzero/{split}.parquet"
        for i, row in enumerate(pq.read_table(path, columns=["nums", "target"]).to_pylist()):
            gold = json.dumps({"numbers": row["nums"], "target": row["target"]})
            prompt = f"Using the numbers {row['nums']}, create an equation for {row['target']}."
            rows.append(rl(prompt, gold, f"{split}/{i}", split))
    assert Counter(reasons(rows).values()) == {"duplicate_held_out": 5, "duplicate_task": 17}


def test_degenerate_pairs_of_the_real_data() -> None:
    def split(transcript: str) -> str:
        return transcript.rpartition("\n\nAssistant:")[2].strip()

    for part, wanted in (("harmless", (4, 0, 3)), ("helpful", (4, 2, 4))):
        rows = [
            pair(split(r["chosen"]), split(r["rejected"]))
            for r in records(f"preferences/hh_rlhf/{part}-base/test.jsonl.gz")
        ]
        found = [f.reason for f in Pairs().judge(rows) if f is not None]
        assert tuple(map(found.count, ("pair_empty", "pair_equal", "pair_near"))) == wanted


def test_the_real_english_sets_are_english() -> None:
    rows = [sft(r["question"], r["answer"]) for r in records("gsm8k/train.jsonl.gz")[:1500]]
    assert Language().judge(rows) == [None] * 1500


def test_word_problems_hold_no_personal_data() -> None:
    rows = [sft(r["question"], r["answer"]) for r in records("gsm8k/test.jsonl")]
    assert Privacy().judge(rows) == [None] * len(rows)
