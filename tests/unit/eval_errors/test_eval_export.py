"""Exports are what the other tools' own loaders read.

1. lm-eval: names and keys; its own table shows our accuracy (where lm_eval is installed).
2. inspect: its own loader reads header, samples and summaries, and computes the same accuracy
   (where inspect_ai is installed); the zip has what the format names in any case.
"""

import importlib.util
import json
import math
import zipfile
from pathlib import Path

import pytest

from eval.export import export, main
from eval.folder import read_evaluation

_SPEC = importlib.util.spec_from_file_location("folders", Path(__file__).parent / "folders.py")
folders = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(folders)


@pytest.fixture
def evaluation(tmp_path):
    records = folders.made(60)
    records[3]["verdict"] |= {"status": "verifier_error", "score": None, "acc": None}
    twice = folders.made(20, "sums", seed=2)
    twice += [{**r, "sample": 1, "key": r["key"] + "-1"} for r in folders.made(20, "sums", seed=2)]
    tasks = {"gsm8k": records, "sums": twice}
    return read_evaluation(folders.evaluation(tmp_path / "e", tasks, "org/tiny"))


def test_lm_eval_files(evaluation, tmp_path):
    results, *samples = export(evaluation, "lm_eval", tmp_path / "out")
    assert results.parent.name == "org__tiny" and results.name.startswith("results_20")
    found = json.loads(results.read_text())
    right = sum(r["verdict"]["status"] == "correct" for r in evaluation.tasks["gsm8k"])
    assert found["results"]["gsm8k"]["acc,none"] == pytest.approx(right / 59)
    p = right / 59
    assert found["results"]["gsm8k"]["acc_stderr,none"] == pytest.approx(
        math.sqrt(p * (1 - p) / 58)
    )
    assert found["n-samples"]["gsm8k"] == {"original": 60, "effective": 59}
    assert found["n-samples"]["sums"] == {"original": 20, "effective": 20}
    assert [path.name.rpartition("_")[0] for path in samples] == ["samples_gsm8k", "samples_sums"]
    lines = [json.loads(line) for line in samples[1].read_text().splitlines()]
    assert len(lines) == 20 and len(lines[0]["resps"][0]) == 2
    assert {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "acc"} <= set(
        lines[0]
    )


def test_lm_eval_shows_them_itself(evaluation, tmp_path):
    utils = pytest.importorskip("lm_eval.utils")
    pytest.importorskip("pytablewriter")
    results, *samples = export(evaluation, "lm_eval", tmp_path)
    table = utils.make_table(json.loads(results.read_text()))
    assert f"{evaluation.results['gsm8k']['accuracy']:.4f}" in table and "sums" in table
    names = [str(path) for path in (results, *samples)]
    assert utils.get_results_filenames(names) == names[:1]
    assert utils.get_sample_results_filenames(names) == names[1:]
    assert utils.get_file_task_name(samples[0].name) == "gsm8k"


def test_inspect_logs_hold_what_the_format_names(evaluation, tmp_path):
    paths = export(evaluation, "inspect", tmp_path / "logs")
    assert [path.suffix for path in paths] == [".eval", ".eval"]
    with zipfile.ZipFile(paths[0]) as log:
        names = log.namelist()
        header = json.loads(log.read("header.json"))
        summaries = json.loads(log.read("summaries.json"))
    assert {"_journal/start.json", "samples/gsm8k/0_epoch_1.json"} <= set(names)
    assert header["status"] == "success" and len(summaries) == 60
    again = export(evaluation, "inspect", tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


def test_each_sample_has_a_file_of_its_own_where_ids_repeat(tmp_path):
    records = [{**r, "id": str(r["index"] % 3)} for r in folders.made(6)]
    records += [{**r, "sample": 1} for r in records]
    evaluation = read_evaluation(folders.evaluation(tmp_path / "e", {"two": records}))
    [path] = export(evaluation, "inspect", tmp_path / "logs")
    with zipfile.ZipFile(path) as log:
        samples = [name for name in log.namelist() if name.startswith("samples/")]
        header = json.loads(log.read("header.json"))
        fifth = json.loads(log.read("samples/4_epoch_2.json"))
    assert len(samples) == len(set(samples)) == 12
    assert header["eval"]["dataset"]["sample_ids"] == ["0", "1", "2", "3", "4", "5"]
    assert (fifth["id"], fifth["metadata"]["id"]) == ("4", "1")
    assert fifth["output"]["completion"] == records[4]["response"]


def test_inspect_reads_them_itself(evaluation, tmp_path):
    log = pytest.importorskip("inspect_ai.log")
    first, second = (str(path) for path in export(evaluation, "inspect", tmp_path))
    listed = [info.name for info in log.list_eval_logs(str(tmp_path))]
    assert sorted(Path(name).name for name in listed) == sorted(
        map(lambda p: Path(p).name, (first, second))
    )
    header = log.read_eval_log(first, header_only=True)
    assert header.status == "success" and header.eval.task == "gsm8k"
    assert header.results.scores[0].metrics["accuracy"].value == pytest.approx(
        evaluation.results["gsm8k"]["accuracy"])  # fmt: skip
    assert header.results.scores[0].unscored_samples == 1
    summaries = log.read_eval_log_sample_summaries(first)
    assert len(summaries) == 60
    whole = log.read_eval_log(second)
    assert {sample.epoch for sample in whole.samples} == {1, 2} and len(whole.samples) == 40
    record = evaluation.tasks["gsm8k"][0]
    sample = log.read_eval_log_sample(first, record["id"], 1)
    assert sample.output.completion == record["response"]
    assert sample.input[0].content == record["prompt"][0]["content"]
    assert sample.target == record["ground_truth"]
    assert sample.scores["temper"].answer == record["verdict"]["pred"]
    broken = log.read_eval_log_sample(first, evaluation.tasks["gsm8k"][3]["id"], 1)
    assert math.isnan(broken.scores["temper"].value)
    # What it writes again from what it read is the same: nothing was lost on the way in.
    copy = str(tmp_path / "copy.json")
    log.write_eval_log(whole, copy)
    again = log.read_eval_log(copy)
    assert [s.scores["temper"].value for s in again.samples] == [
        s.scores["temper"].value for s in whole.samples]  # fmt: skip


def test_the_command(evaluation, capsys):
    main([str(evaluation.source), "format=inspect"])
    assert capsys.readouterr().out.count("written:") == 2
    with pytest.raises(SystemExit):
        main([str(evaluation.source), "format=csv"])
    assert "lm_eval, inspect" in capsys.readouterr().err
