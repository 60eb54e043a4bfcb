"""`eval.compare` on folders and files that are written here, with known answers.

1. The files have the form of the sample that the page is built on.
2. Items are paired by id; what cannot be paired is counted, and other data is refused.
3. Verdicts of several tasks and models are corrected together.
4. Tasks that were not trained are listed with the loss that is not excluded.
5. A gain that the control arm has too is not called one.
6. Items found in the training data are named, and the verdict is made without them too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conf.errors import EvaluationError
from eval.compare import main
from eval.statistics.intervals import mcnemar_exact

DATA = Path(__file__).parent / "data" / "comparison"
STATUS = {"+": "correct", "-": "wrong", "?": "verifier_error"}


def _record(task: str, index: int, mark: str, **more: Any) -> dict[str, Any]:
    return {
        "task": task,
        "label": "m",
        "index": index,
        "id": f"{task}/{index}",
        "sample": 0,
        "data_source": task,
        "prompt": [{"role": "user", "content": f"Question {index} of the task {task}, please"}],
        "ground_truth": str(index),
        "response": f"so it is {index if mark == '+' else 'x'}",
        "tokens": 20,
        "prompt_tokens": 5,
        "finish_reason": "stop",
        "seconds": 0.1,
        "sampling": {"temperature": 0.0},
        "stratum": "even" if index % 2 == 0 else "odd",
        "cluster": None,
        "extra": {"level": 1},
        "reward": {"name": "math"},
        "verdict": {
            "status": STATUS[mark],
            "score": 1.0,
            "acc": 1.0 if mark == "+" else 0.0,
            "pred": str(index) if mark == "+" else "x",
            "detail": "",
            "components": {},
        },
        **more,
    }


def _records(task: str, marks: str) -> list[dict[str, Any]]:
    return [_record(task, index, mark) for index, mark in enumerate(marks)]


def _write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _evaluation(folder: Path, label: str, **tasks: str | list[dict[str, Any]]) -> Path:
    """An evaluation folder of one model, with marks or records for each task."""
    for task, marks in tasks.items():
        records = _records(task, marks) if isinstance(marks, str) else marks
        _write(folder / "tasks" / task / "records.jsonl", records)
    model = {"label": label, "name": f"models/{label}", "fingerprint": label * 8}
    (folder / "results.json").write_text(
        json.dumps({"model": model, "tasks": {task: {"metric": "accuracy"} for task in tasks}})
    )
    return folder


def _marks(both: int, lost: int, gained: int, neither: int) -> tuple[str, str]:
    return (
        "+" * (both + lost) + "-" * (gained + neither),
        "+" * both + "-" * lost + "+" * gained + "-" * neither,
    )


def _compare(*words: object) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The content of the two files."""
    main([*(str(word) for word in words), "resamples=1000"])
    out = Path(next(str(word) for word in words if str(word).startswith("out="))[4:])
    lines = (out / "flips.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads((out / "comparison.json").read_text()), [json.loads(line) for line in lines]


@pytest.fixture
def three(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Start, tuned (gsm8k up, humaneval as it was) and a control arm that stayed."""
    start, tuned = _marks(120, 30, 80, 70)
    code, coded = _marks(40, 8, 6, 46)
    return (
        _evaluation(tmp_path / "start", "start", gsm8k=start, humaneval=code),
        _evaluation(tmp_path / "tuned", "tuned", gsm8k=tuned, humaneval=coded),
        _evaluation(tmp_path / "control", "control", gsm8k=start, humaneval=code),
    )


def _shape(value: Any) -> Any:
    """Keys and nesting; of names chosen by the user (labels, tasks, k) the first stands for all."""
    if isinstance(value, dict):
        return {key: _shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return None


def test_the_files_have_the_documented_form(three: tuple[Path, ...], tmp_path: Path) -> None:
    start, tuned, control = three
    found, flips = _compare(start, tuned, f"control={control}", "trained=[gsm8k]",
                            f"out={tmp_path / 'out'}")  # fmt: skip
    sample = json.loads((DATA / "comparison.json").read_text(encoding="utf-8"))
    sample_flips = (DATA / "flips.jsonl").read_text(encoding="utf-8").splitlines()
    assert found.keys() == sample.keys()
    assert [m["role"] for m in found["models"]] == ["base", "tuned", "control"]
    for name in ("models", "verdict"):
        assert _shape(found[name]) == _shape(sample[name])
    for ours, theirs in zip(found["pairs"], sample["pairs"], strict=True):
        assert (ours["base"], ours["other"], ours["purpose"]) == (
            theirs["base"], theirs["other"], theirs["purpose"],
        )  # fmt: skip
        for task in ("gsm8k", "humaneval"):
            assert ours["tasks"][task].keys() == theirs["tasks"][task].keys()
            assert _shape(ours["tasks"][task]["table"]) == _shape(theirs["tasks"][task]["table"])
    assert _shape(found["pairs"][0]["tasks"]["gsm8k"]["strata"]) == _shape(
        sample["pairs"][0]["tasks"]["gsm8k"]["strata"]
    )
    result, wanted = (one["results"]["start"]["gsm8k"] for one in (found, sample))
    assert wanted.keys() <= result.keys()
    assert _shape(found["forgetting"]["tuned"]) == _shape(sample["forgetting"]["tuned"])
    assert _shape(found["cost"]["start"]) == _shape(sample["cost"]["start"])
    assert _shape(flips[0]) == _shape(json.loads(sample_flips[0]))


def test_one_task_has_the_exact_test_and_its_flips(tmp_path: Path) -> None:
    a, b = _marks(10, 2, 12, 6)
    start = _evaluation(tmp_path / "a", "a", gsm8k=a)
    tuned = _evaluation(tmp_path / "b", "b", gsm8k=b)
    found, flips = _compare(start, tuned, f"out={tmp_path / 'out'}")
    one = found["pairs"][0]["tasks"]["gsm8k"]
    assert (one["test"], one["verdict"]) == ("mcnemar-exact", "improved")
    assert one["p_value"] == one["p_adjusted"] == pytest.approx(212 / 2**14)
    assert one["table"] == {"both_right": 10, "only_base": 2, "only_other": 12, "both_wrong": 6}
    assert one["level"] == 0.05
    assert found["verdict"]["headline"] == "Improved on gsm8k (40.0% → 73.3%)"
    assert [line["direction"] for line in flips] == ["lost"] * 2 + ["gained"] * 12
    assert [line["index"] for line in flips[:2]] == [10, 11]
    assert (flips[0]["base"]["status"], flips[0]["other"]["status"]) == ("correct", "wrong")
    assert flips[0]["other"]["response"] == "so it is x"
    assert found["forgetting"] == {}  # nobody said what was trained
    assert one["trained"] is None
    assert "gsm8k: n = 30 is below 200: the interval is wide" in found["warnings"]
    assert sum(stratum["gained"] for stratum in one["strata"]) == 12


def test_verdicts_are_corrected_over_tasks(tmp_path: Path) -> None:
    # p = 0.0352 alone would be a verdict; as one of four tasks, the others at 1, it is not.
    a, b = _marks(20, 3, 12, 20)
    tasks = {"t1": (a, b), "t2": (a, a), "t3": (a, a), "t4": (a, a)}
    start = _evaluation(tmp_path / "a", "a", **{t: x for t, (x, _) in tasks.items()})
    tuned = _evaluation(tmp_path / "b", "b", **{t: y for t, (_, y) in tasks.items()})
    found, _ = _compare(start, tuned, f"out={tmp_path / 'out'}")
    one = found["pairs"][0]["tasks"]["t1"]
    assert one["p_value"] == pytest.approx(mcnemar_exact(3, 12)) == pytest.approx(0.0352, abs=1e-4)
    assert one["p_adjusted"] == pytest.approx(4 * one["p_value"])
    assert one["level"] == pytest.approx(0.05 / 4)
    assert one["verdict"] == "no detectable change"
    assert found["verdict"]["state"] == "unclear"
    # At the stricter level only larger changes would have been seen.
    assert one["detectable"] > found["results"]["a"]["t1"]["mde"]["paired"]
    overall = found["pairs"][0]["overall"]
    assert overall["difference"] == pytest.approx(9 / 55 / 4)
    assert overall["ci95"][0] < overall["difference"] < overall["ci95"][1]


def test_tasks_that_were_not_trained_are_listed(three: tuple[Path, ...], tmp_path: Path) -> None:
    start, tuned, _ = three
    found, _ = _compare(start, tuned, "trained=[gsm8k]", f"out={tmp_path / 'out'}")
    (row,) = found["forgetting"]["tuned"]["rows"]
    assert (row["task"], row["verdict"]) == ("humaneval", "no detectable change")
    assert row["difference"] == pytest.approx(-0.02)
    assert row["worst_loss"] == pytest.approx(-row["ci95"][0])
    assert "a loss of up to" in found["forgetting"]["tuned"]["sentence"]
    worse = _evaluation(tmp_path / "worse", "worse", gsm8k=_marks(120, 30, 80, 70)[1],
                        humaneval="-" * 100)  # fmt: skip
    found, _ = _compare(start, worse, "trained=[gsm8k]", f"out={tmp_path / 'out'}")
    assert found["verdict"]["state"] == "mixed"
    assert "humaneval (-48.0 points) regressed" in found["forgetting"]["worse"]["sentence"]


def test_a_gain_that_the_control_arm_has_too_is_not_called_one(
    three: tuple[Path, ...], tmp_path: Path
) -> None:
    start, tuned, still = three
    found, _ = _compare(start, tuned, f"control={still}", f"out={tmp_path / 'out'}")
    assert [pair["purpose"] for pair in found["pairs"]] == ["change", "control", "beyond_control"]
    assert found["verdict"]["state"] == "improved"
    assert "from it (better)" in found["verdict"]["sentence"]
    again = _evaluation(tmp_path / "again", "again", gsm8k=_marks(120, 30, 80, 70)[1],
                        humaneval=_marks(40, 8, 6, 46)[1])  # fmt: skip
    found, _ = _compare(start, tuned, f"control={again}", f"out={tmp_path / 'out'}")
    assert found["verdict"]["state"] == "mixed"
    assert found["verdict"]["headline"].endswith("but not beyond the control arm")
    assert "may not come from the reward" in found["verdict"]["sentence"]


def test_several_models_are_compared_with_the_first_or_all(
    three: tuple[Path, ...], tmp_path: Path
) -> None:
    found, _ = _compare(*three, f"out={tmp_path / 'out'}")
    assert [(p["base"], p["other"]) for p in found["pairs"]] == [
        ("start", "tuned"), ("start", "control"),
    ]  # fmt: skip
    found, _ = _compare(*three, "pairs=all", f"out={tmp_path / 'out'}")
    assert (found["pairs"][2]["base"], found["pairs"][2]["purpose"]) == ("tuned", "models")
    p = [one["p_value"] for pair in found["pairs"] for one in pair["tasks"].values()]
    assert len(p) == 6
    assert (
        max(one["p_adjusted"] for pair in found["pairs"] for one in pair["tasks"].values()) <= 1.0
    )


def test_items_of_the_training_data_are_named_and_left_out_once(tmp_path: Path) -> None:
    a, b = _marks(10, 2, 12, 6)
    start = _evaluation(tmp_path / "a", "a", gsm8k=a)
    tuned = _evaluation(tmp_path / "b", "b", gsm8k=b)

    def finding(index: int, action: str, text: bool) -> dict[str, Any]:
        question = f"Question {index} of the task gsm8k, PLEASE" if text else ""
        return {
            "id": f"row-{index}",
            "filter": "decontamination",
            "reason": "contaminated_exact",
            "action": action,
            "detail": "",
            "evidence": {"set": "gsm8k", "question_id": str(index), "question": question},
        }

    lines = [finding(i, "flag", i % 2 == 0) for i in range(12, 20)]
    lines += [finding(3, "drop", True), finding(99, "flag", True)]
    lines += [{"id": "r", "filter": "length", "reason": "too_long", "action": "drop"}]
    _write(tmp_path / "data" / "findings.jsonl", lines)
    found, flips = _compare(
        start, tuned, f"contamination={tmp_path / 'data'}", f"out={tmp_path / 'out'}"
    )
    flagged = found["contamination"]["tasks"]["gsm8k"]
    assert (flagged["found"], flagged["kept"], flagged["dropped"]) == (9, 8, 1)
    assert flagged["items"] == [f"gsm8k/{i}" for i in range(12, 20)]
    assert found["contamination"]["unmatched"] == 1
    clean = found["pairs"][0]["tasks"]["gsm8k"]["clean"]
    # 8 of the 12 gains are gone: 2 lost and 4 gained of 22 items.
    assert (clean["n"], clean["left_out"]) == (22, 8)
    assert clean["p_value"] == pytest.approx(mcnemar_exact(2, 4))
    assert clean["verdict"] == "no detectable change"
    assert "without the 8 items found in the training data" in found["verdict"]["sentence"]
    assert {line["index"] for line in flips if line["contaminated"]} == set(range(12, 20))


def test_items_are_paired_by_id_and_the_rest_is_counted(tmp_path: Path) -> None:
    left = _records("t", "+" * 30)
    right = [{**record, "index": record["index"] + 7} for record in reversed(left[:25])]
    right[0] = {**right[0], "ground_truth": "corrected"}
    right[1]["verdict"] = {**right[1]["verdict"], "status": "gold_error"}
    right[2] = {**right[2], "prompt": "another template"}
    start = _evaluation(tmp_path / "a", "a", t=left)
    tuned = _evaluation(tmp_path / "b", "b", t=right)
    found, _ = _compare(start, tuned, f"out={tmp_path / 'out'}")
    one = found["pairs"][0]["tasks"]["t"]
    assert one["left_out"] == {"only_base": 5, "only_other": 0, "broken": 1, "changed": 1}
    assert one["n"] == 23
    assert any("prompts differ on 1 items" in text for text in one["warnings"])


def test_other_data_under_the_same_ids_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [{**r, "ground_truth": "z"} if r["index"] > 2 else r for r in _records("t", "+" * 30)]
    start = _evaluation(tmp_path / "a", "a", t="+" * 30)
    tuned = _evaluation(tmp_path / "b", "b", t=other)
    with pytest.raises(SystemExit) as stopped:
        main([str(start), str(tuned), f"out={tmp_path / 'out'}"])
    assert stopped.value.code == EvaluationError.exit_code
    assert "27 have another gold answer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_folder_alone_is_before_and_after(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    a, b = _marks(100, 20, 90, 90)
    for label, marks in (("before", a), ("after", b)):
        records = _records("arithmetic", marks)
        todays = [
            {
                k: v
                for k, v in r.items()
                if k not in ("task", "sample", "stratum", "cluster", "extra")
            }
            for r in records
        ]
        _write(run / "eval" / f"records-{label}.jsonl", [{**r, "label": label} for r in todays])
    _write(run / "eval" / "records-after.old-1.jsonl", _records("arithmetic", a))
    found, _ = _compare(run, f"out={tmp_path / 'out'}")
    assert [(m["label"], m["role"]) for m in found["models"]] == [
        ("before", "base"), ("after", "tuned"),
    ]  # fmt: skip
    assert found["verdict"]["state"] == "improved"
    both, _ = _compare(
        run / "eval" / "records-before.jsonl", run, f"control={run}", f"out={tmp_path / 'out'}"
    )
    assert [m["label"] for m in both["models"]] == ["before", "after-mine", "control"]


def test_a_run_that_was_a_control_arm_says_so_itself(
    three: tuple[Path, ...], tmp_path: Path
) -> None:
    start, tuned, _ = three
    run = tmp_path / "runs" / "arm"
    _evaluation(run / "eval" / "suite", "m", gsm8k=_marks(120, 30, 80, 70)[1])
    (run / "plan.json").write_text("{}")
    (run / "config.yaml").write_text("reward_fn:\n  name: math\n  control: random\n")
    found, _ = _compare(start, tuned, run / "eval" / "suite", f"out={tmp_path / 'out'}")
    assert [m["role"] for m in found["models"]] == ["base", "tuned", "control"]
    assert found["verdict"]["headline"].endswith("but not beyond the control arm")
    alone, _ = _compare(start, run / "eval" / "suite", f"out={tmp_path / 'out'}")
    assert alone["pairs"][0]["purpose"] == "change"  # nothing else to judge by it
    (run / "config.yaml").write_text("reward_fn:\n  name: math\n  control: null\n")
    found, _ = _compare(start, tuned, run / "eval" / "suite", f"out={tmp_path / 'out'}")
    assert [m["role"] for m in found["models"]] == ["base", "tuned", "tuned"]


def test_several_samples_and_clusters_are_compared_as_such(tmp_path: Path) -> None:
    def answers(rights: list[int]) -> list[dict[str, Any]]:
        return [
            _record("t", index, "+" if sample < right else "-", sample=sample,
                    cluster=f"c{index // 2}")
            for index, right in enumerate(rights)
            for sample in range(4)
        ]  # fmt: skip

    start = _evaluation(tmp_path / "a", "a", t=answers([1] * 20))
    tuned = _evaluation(tmp_path / "b", "b", t=answers([3] * 20))
    found, flips = _compare(start, tuned, f"out={tmp_path / 'out'}")
    one = found["pairs"][0]["tasks"]["t"]
    assert (one["samples"], one["clusters"], one["table"]) == ([4, 4], 10, None)
    assert (one["test"], one["p_value"]) == ("sign-flip", pytest.approx(2 / 2**10))
    assert (one["gained"], one["lost"]) == (20, 0)
    assert (flips[0]["base"]["share"], flips[0]["base"]["status"]) == (0.25, "wrong")
    assert (flips[0]["other"]["share"], flips[0]["other"]["status"]) == (0.75, "correct")
    assert found["results"]["b"]["t"]["pass_at_k"]["4"]["value"] == 1.0


def test_the_same_words_give_the_same_bytes(three: tuple[Path, ...], tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        _compare(*three, f"out={tmp_path / name}")
        texts.append((tmp_path / name / "comparison.json").read_bytes())
    assert texts[0] == texts[1]
    page = (tmp_path / "one" / "report.html").read_text(encoding="utf-8")
    assert "Improved on gsm8k (50.0% → 66.7%)" in page


def test_the_summary_shows_verdict_interval_and_what_could_be_seen(
    three: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start, tuned, control = three
    _compare(start, tuned, f"control={control}", "trained=gsm8k", f"out={tmp_path / 'out'}")
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert lines[0] == "Improved on gsm8k (50.0% → 66.7%)"
    head = next(line for line in lines if line.startswith("task "))
    row = next(line for line in lines if line.startswith("gsm8k* "))
    for word in ("95% interval", "corrected", "could see", "verdict"):
        assert word in head
    assert row.endswith("improved")
    assert head.index("verdict") == row.index("improved")
    assert "forgetting, tuned: 1 task that was not trained: no regression detected" in shown
    assert "control arm → tuned" in shown
    assert "tokens a right answer" in shown


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = _evaluation(tmp_path / "a", "a", t="+-")
    other = _evaluation(tmp_path / "b", "b", u="+-")
    (tmp_path / "empty").mkdir()
    cases = {
        "no such file": [tmp_path / "none", one],
        "holds no records": [one, tmp_path / "empty"],
        "a comparison needs two": [one],
        "no task in common": [one, other],
        "no such task": [one, one, "trained=[gms8k]"],
        "no such file: ": [one, one, f"contamination={tmp_path / 'x.jsonl'}"],
    }
    for said, words in cases.items():
        with pytest.raises(SystemExit):
            main([*map(str, words), f"out={tmp_path / 'out'}"])
        error = capsys.readouterr().err
        assert said in error
        assert "→" in error
        assert "unexpected" not in error
