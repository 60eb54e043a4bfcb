"""Contaminated items, by the evidence that data preparation itself writes.

On GSM8K's test split: training rows that hold a test question (as it is, in capitals, inside a
longer text) are found by the filter `decontamination`; the items named are exactly theirs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conf.errors import EvaluationError
from data_prep.decontaminate.judge import Decontamination
from data_prep.judge import finding_line
from eval.comparison.contamination import flag, read_questions


@pytest.fixture(scope="module")
def data(repo: Path) -> Path:
    """The folder of public test data beside the checkout."""
    folder = repo.parent / "shared" / "data"
    if not (folder / "gsm8k" / "test.jsonl").is_file():
        pytest.skip("no shared data beside the checkout")
    return folder


def _row(number: int, text: str) -> dict[str, Any]:
    return {
        "data_source": "mine",
        "prompt": [{"role": "user", "content": text}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "1"},
        "extra_info": {"id": f"mine/train/{number}", "split": "train", "index": number},
    }


def test_exactly_the_questions_in_kept_rows_are_flagged(data: Path, tmp_path: Path) -> None:
    lines = (data / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    held = {7: questions[7], 100: questions[100].upper(), 1318: f"Hello. {questions[1318]} Thanks."}
    clean = [f"What is {n} plus {n + 1}? Tell me the sum of both." for n in range(5)]
    rows = [_row(n, text) for n, text in enumerate([*held.values(), questions[50], *clean])]
    judged = Decontamination(sets=("gsm8k",), folders=(data,), cache=False, action="flag")
    findings = judged.judge(rows)
    assert [finding is not None for finding in findings] == [True] * 4 + [False] * 5
    written = []
    for number, (row, finding) in enumerate(zip(rows, findings, strict=True)):
        if finding is not None:
            line = json.loads(finding_line("decontamination", row, finding))
            # The fourth row was dropped from the training data.
            written.append(json.dumps({**line, "action": "drop" if number == 3 else "flag"}))
    (tmp_path / "findings.jsonl").write_text("\n".join(written) + "\n", encoding="utf-8")

    template = "{}\nLet's think step by step and give the answer after ####."
    records = [
        {"index": n, "id": f"gsm8k/test/{n}",
         "prompt": [{"role": "user", "content": template.format(question)}]}
        for n, question in enumerate(questions)
    ]  # fmt: skip
    flags, unmatched = flag(read_questions(tmp_path), {"gsm8k": records})
    assert unmatched == 0
    assert flags["gsm8k"].kept == frozenset(held)
    assert flags["gsm8k"].dropped == frozenset({50})


@pytest.mark.parametrize("text", ["not json\n", "[1]\n"])
def test_a_file_that_is_no_evidence_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "findings.jsonl").write_text(text)
    with pytest.raises(EvaluationError, match="line 1 is no finding"):
        read_questions(tmp_path)
