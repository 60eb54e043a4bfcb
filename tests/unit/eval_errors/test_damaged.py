"""Records that lack what a reader counts on are one line with a way out, in every command.

1. Each damage, each command: the file, the line and the field are named; nothing is a defect.
2. Grading again wants to know whose records they are.
3. An audit whose output nobody reads any more has written its file.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.errors import EXIT_UNREAD, ConfigError, EvaluationError
from eval import audit, calibrate, compare, errors, export, regrade, report
from eval.records import whole_records

_SPEC = importlib.util.spec_from_file_location("folders", Path(__file__).parent / "folders.py")
assert _SPEC is not None and _SPEC.loader is not None
folders: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(folders)

Json = dict[str, Any]


def _without(*path: str) -> Callable[[Json], None]:
    def damage(record: Json) -> None:
        for name in path[:-1]:
            record = record[name]
        del record[path[-1]]

    return damage


def _put(name: str, value: Any) -> Callable[[Json], None]:
    return lambda record: record.update({name: value})


DAMAGES: dict[str, tuple[Callable[[Json], None], str]] = {
    "no status": (_without("verdict", "status"), "verdict.status is missing, need a text"),
    "no verdict": (_put("verdict", None), "verdict is None, need an object"),
    "no tokens": (_without("tokens"), "tokens is missing, need a whole number"),
    "null tokens": (_put("tokens", None), "tokens is None, need a whole number"),
    "an index of text": (_put("index", "0"), "index is '0', need a whole number"),
    "no index": (_without("index"), "index is missing"),
    "no response": (_without("response"), "response is missing, need a text"),
    "seconds of text": (_put("seconds", "1"), "seconds is '1', need a number"),
    "a sample of text": (_put("sample", "first"), "sample is 'first', need a whole number"),
}
COMMANDS: dict[str, Callable[[Path, Path], None]] = {
    "compare": lambda file, out: compare.main([str(file), str(file), f"out={out}"]),
    "errors": lambda file, out: errors.main([str(file), f"out={out}"]),
    "calibrate": lambda file, out: calibrate.main([str(file), f"out={out}"]),
    "audit": lambda file, out: audit.main([str(file), "against=exact", f"out={out}"]),
    "lm_eval": lambda file, out: export.main([str(file), "format=lm_eval", f"out={out}"]),
    "inspect": lambda file, out: export.main([str(file), "format=inspect", f"out={out}"]),
    "report": lambda file, out: report.main([str(file), "--out", str(out)]),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_one_line_with_a_way_out(
    damage: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = folders.made(6)
    spoil, told = DAMAGES[damage]
    for record in records[2:]:
        spoil(record)
    file = tmp_path / "records-a.jsonl"
    folders.write(file, records)
    with pytest.raises(SystemExit) as stopped:
        COMMANDS[command](file, tmp_path / "out")
    said = capsys.readouterr().err
    assert stopped.value.code == EvaluationError.exit_code, said
    assert said.count("\n") == 1 and f"{file} line 3: {told}" in said and "→" in said
    assert list(tmp_path.iterdir()) == [file]


def test_what_may_be_missing_is_no_damage(tmp_path: Path) -> None:
    records = folders.made(3)
    for record in records:
        for name in ("task", "sample", "extra", "prompt_tokens", "prompt"):
            del record[name]
        record["verdict"] = {"status": "verifier_error", "acc": None}
    folders.write(tmp_path / "records.jsonl", records)
    assert whole_records(tmp_path / "records.jsonl") == records
    with pytest.raises(EvaluationError, match=r"line 1: prompt is missing; it has key, label"):
        whole_records(tmp_path / "records.jsonl", ("key", "prompt"))


def test_grading_again_wants_to_know_whose_records_they_are(tmp_path: Path) -> None:
    records = folders.made(4)
    file = tmp_path / "records-a.jsonl"
    folders.write(file, records)
    with pytest.raises(EvaluationError, match=r"no results\.json that names their models"):
        regrade.regrade(regrade.parse([str(tmp_path)]))
    (tmp_path / "results.json").write_text('{"a": {"model": "m", "fingerprint": "f"}}')
    [change] = regrade.regrade(regrade.parse([str(tmp_path)]))
    assert (change.n, change.gained, change.lost) == (4, 0, 0)
    for record in records:
        del record["reward"]
    folders.write(file, records)
    with pytest.raises(ConfigError, match="does not say who graded it"):
        regrade.regrade(regrade.parse([str(tmp_path)]))
    for record in records:
        del record["ground_truth"]
    folders.write(file, records)
    with pytest.raises(EvaluationError, match="line 1: ground_truth is missing"):
        regrade.regrade(regrade.parse([str(tmp_path), "grader=math"]))


@pytest.mark.parametrize("unbuffered", [["-u"], []])
def test_an_audit_that_nobody_reads_has_written_its_file(
    tmp_path: Path, unbuffered: list[str]
) -> None:
    file = tmp_path / "records-a.jsonl"
    folders.write(file, folders.made(6))
    command = [sys.executable, *unbuffered, "-m", "eval.audit", str(file), "against=exact"]
    process = subprocess.Popen(
        [*command, "referee=none"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    assert (process.wait(), said) == (EXIT_UNREAD, "")
    assert json.loads((tmp_path / "audit.json").read_text())["tasks"]["gsm8k"]["n"] == 6
