"""A model on a suite of tasks over a server: records in, results out.

1. Each request becomes one record with what it was asked, drawn by, answered and judged; results
   follow from the records alone.
2. What is recorded is not asked again; another sampling is; the same samples have the same seeds.
3. A server that fails ends the evaluation with an error, keeps what it answered, and the same
   command goes on from there.
4. A served model whose files are not at hand is known by its name and what the server says that it
   loaded, or by a revision; that it is so is said.
5. Tasks of several turns put the model's own answer before the next question, and resume too.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.errors import ConfigError, EvaluationError
from eval.records import read_records
from eval.suite.flow import evaluate_suite
from eval.summary import suite_table

RIGHT = {f"{i}+{i}=": f"It is #### {2 * i}" for i in range(9)}  # 9 to 11 are not known


def run(spec: Any) -> tuple[dict[str, Any], str]:
    stream = io.StringIO()
    return evaluate_suite(spec, stream), stream.getvalue()


def test_records_hold_it_all_and_results_follow(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    results, said = run(spec(serve(RIGHT).url, str(sums)))
    records = sorted(
        read_records(tmp_path / "out/tasks/sums/records.jsonl"), key=lambda r: r["index"]
    )
    assert len(records) == 12
    first = records[4]
    assert (first["task"], first["label"], first["sample"]) == ("sums", "served", 0)
    assert first["prompt"] == [{"role": "user", "content": "4+4="}]
    assert first["response"] == "It is #### 8" and first["ground_truth"] == "8"
    assert (first["tokens"], first["prompt_tokens"], first["finish_reason"]) == (4, 7, "stop")
    assert first["sampling"] == {"temperature": 0.0, "max_tokens": 32, "dtype": None}
    assert (first["stratum"], first["cluster"]) == ("high", "t1")
    assert first["extra"] == {"kind": "high"} and first["latency"] > 0
    statuses = [r["verdict"]["status"] for r in records]
    assert statuses == ["correct"] * 9 + ["unparseable"] * 3
    task = results["tasks"]["sums"]
    assert (task["n_items"], task["samples"], task["metric"]) == (12, 1, "accuracy")
    assert task["accuracy"] == 0.75
    assert task["strata"]["low"]["accuracy"] == 1.0
    assert task["strata"]["high"]["accuracy"] == 0.625  # 5 of 8
    assert results["cost"]["tokens"] == sum(r["tokens"] for r in records)
    assert results == json.loads((tmp_path / "out/results.json").read_text())
    items = json.loads((tmp_path / "out/tasks/sums/items.json").read_text())
    assert items["population"] == {"low": 4, "high": 8}
    assert [item["id"] for item in items["items"]] == [r["id"] for r in records]
    table = suite_table(results)
    assert "sums" in table and "75.0%" in table and "n = 12 is below 200" in table
    told = table.splitlines()  # four clusters: no p-value below 2/2^4 = 0.125
    assert told[3][told[2].index("could see") :].split()[0] == "nothing"
    assert "12 of 12 items to generate" in said


def test_what_is_recorded_is_not_asked_again(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    server = serve(RIGHT)
    first, _ = run(spec(server.url, str(sums)))
    path = tmp_path / "out/tasks/sums/records.jsonl"
    before = path.read_bytes()
    again, said = run(spec(server.url, str(sums)))
    assert server.asked == 12 and said == ""
    assert again == first and path.read_bytes() == before
    path.write_bytes(b"".join(before.splitlines(keepends=True)[:5]) + b'{"key": "torn')
    resumed, said = run(spec(server.url, str(sums)))
    assert server.asked == 12 + 7 and "7 of 12 items" in said
    assert resumed["tasks"]["sums"]["accuracy"] == first["tasks"]["sums"]["accuracy"]
    run(spec(server.url, str(sums), max_tokens=16))  # another sampling is another response
    assert server.asked == 12 + 7 + 12
    assert list(path.parent.glob("records.old-*.jsonl"))


def test_samples_have_seeds_of_their_own_and_always_the_same(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    server = serve({})
    words = (str(sums), "samples=4", "temperature=0.8", "top_p=0.9", "n=6")
    run(spec(server.url, *words))
    run(spec(server.url, *words, out="again"))
    run(spec(server.url, *words, "seed=2", out="other"))
    read = {
        name: {
            (r["index"], r["sample"]): (r["sampling"]["seed"], r["response"])
            for r in read_records(tmp_path / name / "tasks/sums/records.jsonl")
        }
        for name in ("out", "again", "other")
    }
    assert len(read["out"]) == 24 and len({seed for seed, _ in read["out"].values()}) == 24
    assert read["out"] == read["again"]
    shared = set(read["out"]) & set(read["other"])
    assert shared and all(read["out"][key][0] != read["other"][key][0] for key in shared)


def test_a_failing_server_costs_nothing_that_was_answered(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    server = serve(RIGHT, 0.02)
    words = ("endpoint.parallel=2", "endpoint.retries=0", "n=12")
    refused = spec(server.url, str(sums), "endpoint.model=refusing", *words)
    with pytest.raises(EvaluationError, match="HTTP 400"):
        run(refused)
    path = tmp_path / "out/tasks/sums/records.jsonl"
    assert read_records(path) == []
    gone = spec("http://127.0.0.1:9/v1", str(sums), *words)
    with pytest.raises(EvaluationError, match="gave no answer"):
        run(gone)
    assert run(spec(server.url, str(sums), *words))[0]["tasks"]["sums"]["n_items"] == 12


def test_a_served_model_is_what_the_server_loaded(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    server, card = serve(RIGHT), tmp_path / "answers-0.card"
    card.write_text('{"id": "served", "root": "runs/a/step10", "max_model_len": 2048}')
    ours = spec(server.url, str(sums))
    first, _ = run(ours)
    assert any("is known by what" in text for text in first["warnings"])
    card.write_text('{"id": "served", "root": "runs/a/step10", "max_model_len": 4096}')
    assert run(ours)[0] == first and server.asked == 12  # `created` is another one, too
    card.write_text('{"id": "served", "root": "runs/a/step20"}')
    again, said = run(ours)
    assert server.asked == 24 and "moved to" in said
    assert again["model"]["fingerprint"] != first["model"]["fingerprint"]
    card.unlink()
    run(ours)
    assert server.asked == 36


def test_a_revision_says_which_weights_a_name_stands_for(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    server, words = serve(RIGHT), (str(sums), "endpoint.retries=0")
    prints = set()
    for revision in ("one", "two"):
        results, _ = run(spec(server.url, *words, f"endpoint.revision={revision}"))
        prints.add(results["model"]["fingerprint"])
        assert not any("is known by what" in text for text in results["warnings"])
    assert server.asked == 24 and len(prints) == 2
    server.process.kill()
    server.process.wait()
    run(spec(server.url, *words, "endpoint.revision=two"))  # all is recorded: nobody is asked
    with pytest.raises(EvaluationError, match=r"models gave no answer.*endpoint\.revision="):
        run(spec(server.url, *words))


def test_turns_follow_one_another(
    serve: Callable[..., Any], spec: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{"id": i, "turns": [f"first {i}", f"second {i}"]} for i in range(3)]
    (tmp_path / "talk.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "talk.yaml").write_text(
        "source: {files: {test: talk.jsonl}, prompt: turns.0, answer_is: '1'}\n"
        "turns: turns\ngrader: math\ncluster: id\n"
    )
    said = {f"first {i}": f"one {i}" for i in range(3)} | {
        f"second {i}": "#### 1" for i in range(3)
    }
    server = serve(said)
    evaluation = spec(server.url, str(tmp_path / "talk.yaml"))
    results, _ = run(evaluation)
    path = tmp_path / "out/tasks/talk/records.jsonl"
    by_index = {record["index"]: record for record in read_records(path)}
    assert sorted(by_index) == [0, 1, 2, 3, 4, 5]
    assert [turn["content"] for turn in by_index[3]["prompt"]] == ["first 1", "one 1", "second 1"]
    assert by_index[3]["id"] == by_index[2]["id"] + "#2"
    assert by_index[2]["cluster"] == by_index[3]["cluster"] != by_index[4]["cluster"]
    assert results["tasks"]["talk"]["accuracy"] == 0.5
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]))  # all first turns, one second
    again, _ = run(evaluation)
    assert server.asked == 6 + 2
    assert again["tasks"]["talk"]["correct"] == 3
    assert sorted(r["key"] for r in read_records(path)) == sorted(
        r["key"] for r in by_index.values()
    )


def test_text_goes_to_the_model_without_a_chat(
    serve: Callable[..., Any], sums: Path, spec: Callable[..., Any], tmp_path: Path
) -> None:
    server = serve({"Add.\n\n1+1=\n\n2\n\n3+3=": "#### 6"})
    text = sums.read_text() + (
        "format: text\nsystem: Add.\nexamples: [{prompt: '1+1=', response: '2'}]\n"
    )
    sums.write_text(text)
    run(spec(server.url, str(sums)))
    records = read_records(tmp_path / "out/tasks/sums/records.jsonl")
    right = [r for r in records if r["verdict"]["status"] == "correct"]
    assert [r["prompt"] for r in right] == ["Add.\n\n1+1=\n\n2\n\n3+3="]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["suite=[gsm9k]"], "did you mean 'gsm8k'"),
        (["suite=[gsm8k,gsm8k]"], "two tasks named"),
        (["suite=[gsm8k]", "set.gsm.n=3"], "no such task in the suite"),
        (["suite=[gsm8k]", "set.gsm8k.max_token=3"], "did you mean 'max_tokens'"),
        (["suite=[gsm8k]", "set.gsm8k.max_tokens=0"], "greater than or equal to 1"),
        (["suite=[gsm8k]", "samples=4"], "would all be the same"),
        (["suite=[alpaca_eval]"], "judge.base_url"),
        (["suite=[gsm8k]", "endpoint.paralel=3"], "endpoint.paralel"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_read(
    words: list[str], told: str, tmp_path: Path
) -> None:
    from eval.suite.spec import parse_suite

    base = ["model=m", f"out={tmp_path}", "endpoint.base_url=http://127.0.0.1:9/v1", "local=x"]
    with pytest.raises(ConfigError, match=told) as caught:
        evaluate_suite(parse_suite([*base, *words]), io.StringIO())
    assert "\n" not in str(caught.value)
