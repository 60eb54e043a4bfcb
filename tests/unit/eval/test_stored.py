"""What an evaluation folder holds is the evaluation of the last command there.

1. A task of an earlier evaluation, perhaps of another model, is read by nobody.
2. While an evaluation has not ended, no older results.json speaks for it.
3. Checkpoints of two runs, or of two steps, have labels and so folders of their own.
"""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import pytest

from conf.errors import EvaluationError
from eval.compare import main
from eval.comparison.read import read_models
from eval.folder import read_evaluation
from eval.stored import left_over, stored
from eval.suite.flow import evaluate_suite
from eval.suite.spec import parse_suite

_SPEC = importlib.util.spec_from_file_location(
    "folders", Path(__file__).parents[1] / "eval_errors" / "folders.py"
)
assert _SPEC is not None and _SPEC.loader is not None
folders: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(folders)


def _folder(place: Path, label: str, named: list[str], **tasks: list[dict[str, Any]]) -> Path:
    """As `eval.run` leaves it: evaluation.json names the tasks of the last command."""
    folders.evaluation(place, tasks)
    model = {"label": label, "name": f"runs/{label}", "fingerprint": label * 8}
    about = {"model": model, "tasks": {name: {"metric": "accuracy"} for name in named}}
    (place / "evaluation.json").write_text(json.dumps(about))
    whole = json.loads((place / "results.json").read_text())
    whole |= {"model": model, "tasks": {name: whole["tasks"][name] for name in named}}
    (place / "results.json").write_text(json.dumps(whole))
    return place


def test_a_task_that_the_model_never_took_is_read_by_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = folders.made(30, "a"), folders.made(30, "b")
    first = _folder(tmp_path / "first", "first", ["a", "b"], a=a, b=b)
    second = _folder(tmp_path / "second", "second", ["a"], a=a, b=b)
    [model] = read_models(second)
    assert (list(model.tasks), model.label) == (["a"], "second")
    assert list(read_evaluation(second).tasks) == ["a"]
    assert left_over(second, model.tasks) == ["b"]
    main([str(first), str(second), f"out={tmp_path / 'out'}", "resamples=100"])
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [list(pair["tasks"]) for pair in found["pairs"]] == [["a"]]
    assert "b: evaluated for first alone, left out" in found["warnings"]
    capsys.readouterr()
    (second / "tasks" / "a" / "records.jsonl").unlink()
    with pytest.raises(EvaluationError, match="holds no record of a"):
        stored(second)


def test_the_model_is_that_of_evaluation_json(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "new", ["a"], a=folders.made(5, "a"))
    (folder / "results.json").unlink()
    assert [model.label for model in read_models(folder)] == ["new"]
    found = read_evaluation(folder)
    assert (found.label, found.name, found.results["a"]["n_items"]) == ("new", "runs/new", 5)


def test_an_evaluation_that_did_not_end_leaves_no_older_results(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"q": "1+1=", "a": 2}\n')
    task = tmp_path / "q.yaml"
    task.write_text("source: {files: {test: q.jsonl}, prompt: q, answer: a}\ngrader: math\n")
    out = _folder(tmp_path / "out", "old", ["old"], old=folders.made(3, "old"))
    words = ["model=m", f"suite=[{task}]", f"out={out}", "endpoint.retries=0"]
    words += ["endpoint.base_url=http://127.0.0.1:9/v1", "endpoint.revision=1"]
    said = io.StringIO()
    with pytest.raises(EvaluationError, match="gave no answer"):
        evaluate_suite(parse_suite(words), said)
    assert not (out / "results.json").exists()
    assert "old are of an earlier evaluation" in said.getvalue()
    with pytest.raises(EvaluationError, match="holds no"):
        read_models(out)


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("runs/gsm8k/grpo/checkpoints/global_step_435/actor/huggingface", "gsm8k-grpo-step435"),
        ("/data/runs/gsm8k/sft/checkpoints/global_step_20/huggingface/", "gsm8k-sft-step20"),
        ("runs/gsm8k/grpo/best/global_step_58/huggingface", "gsm8k-grpo-step58"),
        ("runs/gsm8k/grpo/best/global_step_58", "gsm8k-grpo-step58"),
        ("copied/mine/global_step_7/huggingface", "mine-step7"),
        ("outputs/trial/checkpoint-500", "trial-checkpoint-500"),
        ("models/mine/huggingface", "mine-huggingface"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen2-5-0-5B-Instruct"),
        ("mine", "mine"),
    ],
)
def test_the_label_of_a_checkpoint_is_its_runs_and_its_steps(model: str, label: str) -> None:
    assert parse_suite([f"model={model}", "suite=[gsm8k]"]).name == label
    assert parse_suite([f"model={model}", "suite=[gsm8k]", "label=x"]).name == "x"


def test_a_relative_checkpoint_is_named_by_the_folder_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gsm8k" / "grpo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "gsm8k" / "grpo")
    spec = parse_suite(["model=checkpoints/global_step_3/actor/huggingface", "suite=[gsm8k]"])
    assert spec.name == "gsm8k-grpo-step3"
