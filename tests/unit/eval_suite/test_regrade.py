"""Grading again: no server, no model, the same responses, results that follow."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import ConfigError, EvaluationError
from eval.records import read_records
from eval.regrade import parse, regrade
from eval.suite.flow import evaluate_suite


def test_another_grader_and_back(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    answers = {f"{i}+{i}=": f"#### {2 * i}" if i < 6 else "#### 1" for i in range(12)}
    server = serve(answers)
    before = evaluate_suite(spec(server.url, str(sums)), io.StringIO())
    path = tmp_path / "out/tasks/sums/records.jsonl"
    said = [(r["key"], r["response"]) for r in read_records(path)]
    server.process.kill()
    grader = tmp_path / "mine.py"
    grader.write_text("def even(response, gold, prompt):\n    return float(len(prompt) == 1)\n")
    [change] = regrade(parse([str(tmp_path / "out"), f"grader={grader}:even"]))
    assert (change.n, change.gained, change.lost) == (12, 6, 0)
    assert [(r["key"], r["response"]) for r in read_records(path)] == said
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["tasks"]["sums"]["accuracy"] == 1.0
    assert all(r["reward"]["name"].endswith("even") for r in read_records(path))
    [back] = regrade(parse([f"folder={tmp_path / 'out'}", "task=sums", "grader=math"]))
    assert (back.gained, back.lost) == (0, 6)
    assert json.loads((tmp_path / "out/results.json").read_text())["tasks"] == before["tasks"]
    with pytest.raises(ConfigError, match="no task 'sum'"):
        regrade(parse([str(tmp_path / "out"), "task=sum"]))


def test_a_run_of_two_models_on_one_file(tmp_path: Path) -> None:
    for label, answer in (("before", "#### 1"), ("after", "#### 2")):
        lines = [
            {"key": f"{label}{i}", "label": label, "index": i, "id": str(i), "data_source": "d",
             "prompt": [{"role": "user", "content": "?"}], "ground_truth": "2",
             "response": answer, "tokens": 3, "prompt_tokens": 2, "finish_reason": "stop",
             "seconds": 0.1, "sampling": {"temperature": 0.0}, "reward": {"name": "random"},
             "verdict": {"status": "wrong", "score": 0.0, "acc": 0.0, "pred": "", "detail": "",
                         "components": {}}}
            for i in range(10)
        ]  # fmt: skip
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"records-{label}.jsonl").write_text(text)
    model = {"model": "m", "fingerprint": "f"}
    old = {"before": model, "after": model, "warnings": [], "data": {},
           "verdict": {"base": "before", "tuned": "after"}}  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps(old))
    changes = regrade(parse([str(tmp_path), "grader=math"]))
    assert [(c.name, c.gained) for c in changes] == [("before", 0), ("after", 10)]
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["verdict"]["verdict"] == "improved"
    assert (results["after"]["accuracy"], results["before"]["accuracy"]) == (1.0, 0.0)


def test_what_is_no_evaluation_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no evaluation folder"):
        regrade(parse([str(tmp_path)]))
    done = subprocess.run(
        [sys.executable, "-m", "eval.regrade", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == EvaluationError.exit_code and done.stderr.startswith("error: ")


def test_the_row_of_a_record_is_found_where_ids_repeat(
    serve: Callable[..., Any], spec: Callable[..., Any], tmp_path: Path
) -> None:
    """Two sources in one Parquet file, each with its own `index` from 0, as verl's examples."""
    rows = [
        {
            "prompt": [{"role": "user", "content": f"{source}{i}?"}],
            "data_source": source,
            "reward_model": {"style": "rule", "ground_truth": "x"},
            "extra_info": {"index": i, "wanted": f"{source}{i}"},
        }
        for source in "ab"
        for i in range(5)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "two.parquet")
    grader = tmp_path / "mine.py"
    grader.write_text("def same(response, gold, wanted):\n    return float(response == wanted)\n")
    server = serve({f"{s}{i}?": f"{s}{i}" for s in "ab" for i in range(5)})
    results = evaluate_suite(
        spec(server.url, str(tmp_path / "two.parquet"), f"set.two.grader={grader}:same"),
        io.StringIO(),
    )
    assert results["tasks"]["two"]["correct"] == 10
    path = tmp_path / "out/tasks/two/records.jsonl"
    assert [r["id"] for r in sorted(read_records(path), key=lambda r: r["index"])] == 2 * [
        "0", "1", "2", "3", "4",
    ]  # fmt: skip
    [change] = regrade(parse([str(tmp_path / "out")]))
    assert (change.n, change.gained, change.lost) == (10, 0, 0)
    items = path.with_name("items.json")
    told = json.loads(items.read_text())
    told["items"][3]["id"] = "another"
    items.write_text(json.dumps(told))
    with pytest.raises(EvaluationError, match="no item 3 of index 3"):
        regrade(parse([str(tmp_path / "out")]))


def test_a_later_turn_has_the_row_of_its_first(
    serve: Callable[..., Any], spec: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{"turns": [f"a{i}", f"b{i}"], "wanted": str(i)} for i in range(1, 4)]
    (tmp_path / "talk.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    grader = tmp_path / "mine.py"
    grader.write_text("def same(response, gold, wanted):\n    return float(response == wanted)\n")
    (tmp_path / "talk.yaml").write_text(
        "source: {files: {test: talk.jsonl}, prompt: turns.0, answer_is: '1', "
        "more: {wanted: wanted}}\n"
        f"turns: turns\ngrader: {grader}:same\n"
    )
    server = serve({f"{turn}{i}": str(i) for turn in "ab" for i in range(1, 4)})
    evaluate_suite(spec(server.url, str(tmp_path / "talk.yaml")), io.StringIO())
    [change] = regrade(parse([str(tmp_path / "out")]))
    assert (change.n, change.gained, change.lost, change.status) == (6, 0, 0, {"correct": 6})


def test_one_grader_is_not_put_on_tasks_of_different_ones(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    exact = sums.with_name("words.yaml")
    exact.write_text(sums.read_text().replace("grader: math", "grader: exact"))
    server = serve({f"{i}+{i}=": f"#### {2 * i}" for i in range(12)})
    before = evaluate_suite(spec(server.url, f"{sums},{exact}"), io.StringIO())
    assert [one["accuracy"] for one in before["tasks"].values()] == [1.0, 1.0]
    out = tmp_path / "out"
    files = [out / "evaluation.json", *sorted(out.glob("tasks/*/records.jsonl"))]
    was = [file.read_bytes() for file in files]
    for word in ("grader=ifeval", "grader_options.percent=strict"):
        with pytest.raises(ConfigError, match="sums by math, words by exact → task=sums"):
            regrade(parse([str(out), word]))
    assert [file.read_bytes() for file in files] == was
    never = tmp_path / "never.py"
    never.write_text("def never(response, gold):\n    return 0.0\n")
    [change] = regrade(parse([str(out), "task=words", f"grader={never}:never"]))
    assert (change.name, change.lost) == ("words", 12)
    assert files[0].read_bytes() == was[0]
    assert [change.gained for change in regrade(parse([str(out)]))] == [0, 12]  # their own again
    assert [file.read_bytes() for file in files] == was
    assert json.loads((out / "results.json").read_text())["tasks"] == before["tasks"]


def test_tasks_that_share_a_grader_may_have_another(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    other = sums.with_name("other.yaml")
    other.write_text(sums.read_text())
    evaluate_suite(spec(serve({}).url, f"{sums},{other}"), io.StringIO())
    changes = regrade(parse([str(tmp_path / "out"), "grader=exact"]))
    assert [change.name for change in changes] == ["sums", "other"]
