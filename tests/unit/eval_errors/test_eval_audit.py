"""The audit: another grader's word on the same responses, and what it does to the accuracy."""

import importlib.util
import json
from pathlib import Path

import pytest

from eval.audit import audit_task, line, main, other_grader
from eval.failures.classify import classify

_SPEC = importlib.util.spec_from_file_location("folders", Path(__file__).parent / "folders.py")
folders = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(folders)

LENIENT = """
def last_number(response, gold):
    import re
    found = re.findall(r"-?[0-9]+", response)
    return float(bool(found) and found[-1] == gold)
"""


@pytest.fixture
def lenient(tmp_path):
    file = tmp_path / "lenient.py"
    file.write_text(LENIENT)
    return f"{file}:last_number"


def test_two_graders_and_a_referee(lenient):
    records = folders.made(40)
    unmarked = [i for i, r in enumerate(records) if r["verdict"]["status"] == "correct"][:6]
    for i in unmarked:  # right, without a mark: ours reads no answer, the other one does
        gold = records[i]["ground_truth"]
        records[i] |= {"response": f"That makes {gold}"}
        records[i]["verdict"] = {**records[i]["verdict"], "status": "unparseable"}
    right = sum(r["verdict"]["status"] == "correct" for r in records)
    found, text = audit_task(records, lenient, {}, None)
    assert found["n"] == 40 and found["changed_since"] == 0
    assert found["accuracy"] == [right / 40, (right + 6) / 40]
    assert (found["only_ours"], found["only_theirs"]) == (0, 6)
    assert found["errors"] is None and "disagree: 6 of 40" in text
    assert [classify(records[i]).kind for i in unmarked] == ["wrong_format"] * 6
    assert "disagree on 15.0%" in line("sums", found)
    refereed, _ = audit_task(records, lenient, {}, lenient)
    assert refereed["errors"][0]["false_negatives"] == 6
    assert refereed["errors"][1]["share"] == 0


def test_verdicts_that_changed_since_are_counted(lenient):
    records = folders.made(12)
    for record in records[:5]:
        status = "wrong" if record["verdict"]["status"] == "correct" else "correct"
        record["verdict"] = {**record["verdict"], "status": status}
    found, _ = audit_task(records, lenient, {}, None)
    assert found["changed_since"] == 5


def test_the_command(lenient, tmp_path, capsys):
    folder = folders.evaluation(tmp_path / "e", {"gsm8k": folders.made(10)})
    main([str(folder), f"against={lenient}", "referee=none"])
    assert "lies inside our interval" in capsys.readouterr().out
    assert json.loads((folder / "audit.json").read_text())["tasks"]["gsm8k"]["n"] == 10
    with pytest.raises(SystemExit):
        main([str(folder), "against=verl_prime_math"])
    assert "runs text of the model" in capsys.readouterr().err


def test_which_other_grader():
    assert other_grader("math500", "math") == "math_verify"
    assert other_grader("gsm8k", "math") == "verl_gsm8k_flexible"
    assert other_grader("ifeval", "ifeval") is None
