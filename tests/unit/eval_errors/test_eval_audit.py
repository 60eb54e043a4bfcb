"""The audit: another grader's word on the same responses, and what it does to the accuracy."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from eval.audit import audit_task, line, main, other_grader
from eval.failures.classify import classify
from eval.score import summarise

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
    # Exact McNemar on 40 items at 15% discordance, a little above 2.8·√(0.15/40) = 17.2 points.
    assert 0.172 < found["detectable"] < 0.215
    assert f"difference of ≥ {100 * found['detectable']:.1f} points" in line("sums", found)
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


def test_an_item_that_answers_sixteen_times_alike_counts_once(lenient):
    # 26 of 40 items right, each answered 16 times alike. SE² = p(1−p)/39 and t of 39 degrees is
    # 2.0227: (0.65 + t²/78 ∓ t·√(0.65·0.35/39 + (t/78)²)) / (1 + t²/39) = [0.488, 0.784]. Wilson
    # over the 640 responses would give [0.612, 0.686].
    records = []
    for one in folders.made(40):
        right = one["index"] < 26
        gold = one["ground_truth"]
        one |= {"response": f"#### {gold}" if right else "#### 1", "reward": {"name": "exact"}}
        one["verdict"] = {**one["verdict"], "status": "correct" if right else "wrong"}
        records += [{**one, "sample": sample} for sample in range(16)]
    found, text = audit_task(records, lenient, {}, None)
    assert found["accuracy"] == [0.65, 0.65]
    assert found["ci95"] == pytest.approx([0.488, 0.784], abs=1e-3)
    assert found["ci95"] == pytest.approx(summarise("m", "p", "f", records)["ci95"])
    assert found["holds"]
    assert "could have seen a difference of" in line("sums", found)
    low, high = map(float, re.search(r"disagree: 0 of 640, .* \[(.*)%, (.*)%\]", text).groups())
    assert (low, round(high, 1)) == (0.0, 9.3)  # t²/(40 + t²), not 0.6 over responses


def test_weights_are_those_of_the_evaluation(lenient, tmp_path):
    # 10 of 900 easy rows (9 right) and 10 of 100 hard ones (1 right): 0.9·0.9 + 0.1·0.1 = 0.82.
    records = folders.made(20)
    for one in records:
        easy, gold = one["index"] < 10, one["ground_truth"]
        right = one["index"] < 9 or one["index"] == 10
        one |= {"response": f"#### {gold}" if right else "#### 1", "reward": {"name": "exact"},
                "stratum": "easy" if easy else "hard"}  # fmt: skip
    folder = folders.evaluation(tmp_path / "e", {"gsm8k": records})
    items = {"population": {"easy": 900, "hard": 100}}
    (folder / "tasks" / "gsm8k" / "items.json").write_text(json.dumps(items))
    main([str(folder), f"against={lenient}", "referee=none"])
    told = json.loads((folder / "audit.json").read_text())["tasks"]["gsm8k"]
    assert told["accuracy"] == pytest.approx([0.82, 0.82])


def test_which_other_grader():
    assert other_grader("math500", "math") == "math_verify"
    assert other_grader("gsm8k", "math") == "verl_gsm8k_flexible"
    assert other_grader("ifeval", "ifeval") is None
