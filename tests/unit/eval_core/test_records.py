"""Records: what survives a kill, what is reused, and what decides that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.errors import EvaluationError
from eval.records import RecordFile, model_fingerprint, read_records, record_key

KEYS = [f"k{i}" for i in range(5)]


def _write(path: Path, keys: list[str], tail: bytes = b"") -> None:
    lines = [json.dumps({"key": key, "response": "a\nb \u2028 é"}) + "\n" for key in keys]
    path.write_bytes("".join(lines).encode() + tail)


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "records-a.jsonl"
    with RecordFile(path, KEYS) as file:
        assert file.kept == {}
        file.append({"key": "k0", "response": "line\nbreak \u2028 <b>"})
        assert [r["response"] for r in read_records(path)] == ["line\nbreak \u2028 <b>"]


@pytest.mark.parametrize(
    "tail",
    [b'{"key": "k2", "resp', b'{"key": "k2"}', b"\xff\xfe", b'"text"\n', b"\n"],
    ids=["torn", "no newline", "bytes", "no object", "blank"],
)
def test_a_torn_end_is_cut_off_and_what_follows_is_whole(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "records-a.jsonl"
    _write(path, ["k0", "k1"], tail)
    assert [r["key"] for r in read_records(path)] == ["k0", "k1"]
    with RecordFile(path, KEYS) as file:
        assert set(file.kept) == {"k0", "k1"}
        assert file.moved_to is None
        file.append({"key": "k2"})
    assert [json.loads(line)["key"] for line in path.open()] == ["k0", "k1", "k2"]


def test_damage_in_the_middle_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "records-a.jsonl"
    path.write_text('{"key": "k0"}\n{"key": \n{"key": "k1"}\n')
    with pytest.raises(EvaluationError, match="line 2"):
        read_records(path)


def test_foreign_records_are_moved_aside_and_ours_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "records-a.jsonl"
    _write(path, ["k0", "other", "k1"])
    before = path.read_bytes()
    with RecordFile(path, KEYS) as file:
        assert set(file.kept) == {"k0", "k1"}
        assert file.moved_to is not None
        assert file.moved_to.read_bytes() == before
    assert [r["key"] for r in read_records(path)] == ["k0", "k1"]
    with RecordFile(path, ["k9"]) as file:
        assert file.moved_to == tmp_path / "records-a.old-2.jsonl"


def test_two_evaluations_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "records-a.jsonl"
    with (
        RecordFile(path, KEYS),
        pytest.raises(EvaluationError, match="another evaluation"),
        RecordFile(path, KEYS),
    ):
        pass
    with RecordFile(path, KEYS):  # free again
        pass


def test_a_killed_writer_leaves_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "records-a.jsonl"
    code = (
        "import itertools, sys\n"
        "from pathlib import Path\n"
        "from eval.records import RecordFile\n"
        "file = RecordFile(Path(sys.argv[1]), [])\n"
        "for i in itertools.count(): file.append({'key': f'k{i}', 'response': 'x' * 20000})\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
    deadline = time.monotonic() + 20
    while not (path.is_file() and path.stat().st_size > 1_000_000):
        assert time.monotonic() < deadline and writer.poll() is None
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    records = read_records(path)
    assert [r["key"] for r in records] == [f"k{i}" for i in range(len(records))]
    assert len(records) >= 49  # all of the megabyte that was there, but for a torn line
    wanted = [f"k{i}" for i in range(len(records))]
    with RecordFile(path, wanted) as file:  # the dead writer's lock is gone
        assert len(file.kept) == len(records)


def test_replacing_keeps_the_file_open_for_appending(tmp_path: Path) -> None:
    path = tmp_path / "records-a.jsonl"
    with RecordFile(path, KEYS) as file:
        file.append({"key": "k0", "verdict": 1})
        file.replace([{"key": "k0", "verdict": 2}])
        file.append({"key": "k1", "verdict": 3})
    assert [(r["key"], r["verdict"]) for r in read_records(path)] == [("k0", 2), ("k1", 3)]


def test_a_key_changes_with_each_part_of_its_identity() -> None:
    prompt = [{"role": "user", "content": "1+1="}]
    sampling = {"temperature": 0.0, "max_tokens": 8}
    base = record_key("model", prompt, sampling, 0)
    assert base == record_key("model", prompt, dict(reversed(sampling.items())), 0)
    others = {
        record_key("model2", prompt, sampling, 0),
        record_key("model", [{"role": "user", "content": "1+2="}], sampling, 0),
        record_key("model", prompt, {**sampling, "max_tokens": 9}, 0),
        record_key("model", prompt, sampling, 1),
    }
    assert len(others | {base}) == 5


def test_a_fingerprint_follows_weights_and_template_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    first = model_fingerprint(tmp_path)
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "optimizer.pt").write_text("x")
    assert model_fingerprint(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(bytes(999) + b"\x01")
    second = model_fingerprint(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert len({first, second, model_fingerprint(tmp_path)}) == 3
