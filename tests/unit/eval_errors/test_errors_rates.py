"""Rates of failure: counts, intervals (Wilson; design effect), breakdowns, advice, a judge."""

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from eval.errors import main
from eval.failures.classify import Failure, classify
from eval.failures.judge import explain, judge_from
from eval.failures.rates import analyse, failures, share_interval
from eval.statistics.intervals import wilson

_SPEC = importlib.util.spec_from_file_location("folders", Path(__file__).parent / "folders.py")
folders = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(folders)


def test_independent_responses_have_wilsons_interval():
    hits = [True] * 7 + [False] * 93
    assert share_interval(hits, list(range(100)), [None] * 100) == wilson(7, 100)


def test_samples_that_agree_say_no_more_than_one():
    """Ten equal samples of each of 40 items: about the interval of 40 responses, not of 400."""
    items = [i for i in range(40) for _ in range(10)]
    found = share_interval([i < 10 for i in items], items, [None] * 400)
    one, all_ = wilson(10, 40), wilson(100, 400)
    assert found.high - found.low > 1.8 * (all_.high - all_.low)
    assert found.high - found.low == pytest.approx(one.high - one.low, rel=0.1)


def test_a_cluster_of_items_is_one_thing():
    hits = [i // 10 < 5 for i in range(200)]
    alone = share_interval(hits, list(range(200)), [None] * 200)
    bound = share_interval(hits, list(range(200)), [i // 10 for i in range(200)])
    assert bound.high - bound.low > 2 * (alone.high - alone.low)


def test_the_analysis_counts_and_breaks_down():
    records = folders.made(200)
    found = analyse(records)
    statuses = [r["verdict"]["status"] for r in records]
    assert found["n"] == 200
    assert found["kinds"]["truncated"]["count"] == statuses.count("unparseable")
    assert found["kinds"]["wrong_answer"]["count"] == statuses.count("wrong")
    assert found["failures"] == sum(kind["count"] for kind in found["kinds"].values())
    low, high = found["kinds"]["truncated"]["ci95"]
    assert low < found["kinds"]["truncated"]["share"] < high
    assert len(found["kinds"]["wrong_answer"]["exemplars"]) == 3
    levels = found["by"]["level"]
    assert [row["value"] for row in levels] == ["1", "2", "3", "4", "5"]
    assert sum(row["n"] for row in levels) == 200
    assert sum(row["failures"] for row in levels) == found["failures"]
    lengths = found["by"]["length"]
    assert sum(row["n"] for row in lengths) == 200
    assert lengths[-1]["kinds"]["truncated"] == statuses.count("unparseable")
    advice = {one["kind"]: one["text"] for one in found["suggestions"]}
    assert (
        "512 tokens: raise max_tokens" in advice["truncated"] and "try 1,024" in advice["truncated"]
    )
    assert "slip" in advice["wrong_answer"]


def test_every_class_has_advice(planted):
    records = [record for make in planted.PLANTED.values() for record in make()]
    for kind, make in planted.PLANTED.items():
        texts = {one["kind"]: one["text"] for one in analyse(make())["suggestions"]}
        assert len(texts[kind]) > 60
    assert set(analyse(records)["kinds"]) == set(planted.PLANTED)


def test_nothing_fails():
    found = analyse([r for r in folders.made(50) if r["verdict"]["status"] == "correct"])
    assert found["failures"] == 0 and found["kinds"] == {} and found["suggestions"] == []


class _Judge(BaseHTTPRequestHandler):
    """A judge that says logic, and tells of what it was shown."""

    seen: ClassVar[list[str]] = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append(json.dumps(body["messages"]))
        said = json.dumps({"reasoning": "It adds where it should subtract.", "cause": "logic"})
        reply = json.dumps({"choices": [{"message": {"content": said}, "finish_reason": "stop"}]})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(reply.encode())

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def server():
    _Judge.seen.clear()
    made = HTTPServer(("127.0.0.1", 0), _Judge)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}/v1"
    made.shutdown()


def test_a_judge_explains_what_no_rule_can(server):
    records = folders.made(30)
    for record in records:
        record["response"] = "It is #### 5"
    classes = failures(records)
    unclear = [i for i, one in enumerate(classes) if one and one.sort == "unclear"]
    found = explain(judge_from({"base_url": server, "model": "j"}), records, classes)
    assert unclear and len(_Judge.seen) == len(unclear)
    assert all(found[i].sort == "logic" and "subtract" in found[i].why for i in unclear)
    assert [one for i, one in enumerate(found) if i not in unclear] == [
        one for i, one in enumerate(classes) if i not in unclear
    ]
    # The questions come side by side, so in any order.
    shown = [json.loads(text)[-1]["content"] for text in _Judge.seen]
    for one in (records[i] for i in unclear):
        question = one["prompt"][-1]["content"].split("?")[0]
        (asked,) = [text for text in shown if question in text]
        assert one["ground_truth"] in asked


def test_a_judge_that_is_gone_leaves_it_unclear():
    record = folders.made(1)[0] | {"response": "It is 5"}
    failure = Failure("wrong_answer", "?", "unclear")
    judge = judge_from({"base_url": "http://127.0.0.1:9/v1", "model": "j", "timeout_s": 1.0,
                        "attempt_s": 0.5, "retries": 0})  # fmt: skip
    (found,) = explain(judge, [record], [failure])
    assert found.sort == "unclear" and "abstained" in found.why


def test_the_command(tmp_path, capsys, server):
    folder = folders.evaluation(tmp_path / "e", {"gsm8k": folders.made(60)})
    main([str(folder), f"judge.base_url={server}", "judge.model=j"])
    assert "Wrong answer" in capsys.readouterr().out
    found = json.loads((folder / "errors.json").read_text())["tasks"]["gsm8k"]
    right = sum(classify(r) is None for r in folders.made(60))
    assert found["failures"] == 60 - right
    for words, said in ((["x", "jugde.model=j"], "did you mean"), (["nowhere"], "no such file")):
        with pytest.raises(SystemExit):
            main(words)
        assert said in capsys.readouterr().err
