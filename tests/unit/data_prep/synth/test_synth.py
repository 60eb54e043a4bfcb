r"""Synthesis, against a server whose every word is known.

1. Each answer is kept under its payload's hash: repeated, a synthesis asks nothing; cut off, it
   asks only what is missing; both end in the same bytes.
2. Self-Instruct, Evol-Instruct and Magpie make the tasks that the server's words hold, the new
   ones only, whatever order the answers come in.
3. The best of N is chosen by the verifier; a verdict that broke is no 0; pairs have their gap.
4. What comes out passed the same filters and decontamination.
5. A busy server is asked again, a limit is kept, one that refuses or is gone is an error.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conf.errors import ConfigError, DataError
from data_prep.rows_schema import from_table
from data_prep.synth.answers import Graded, Sampling, answered, best, pair
from data_prep.synth.instructions import Task, evol_instruct, magpie, self_instruct
from data_prep.synth.novelty import Novelty, common_subsequence
from data_prep.synth.prompts import evolution_failed, tasks_in
from data_prep.synth.server import Server, seed_of
from data_prep.synth.spec import parse_spec, read_tasks
from data_prep.synthesize import main, synthesize
from rewards.registry import load_reward

WORDS = (
    "amber", "birch", "copper", "delta", "ember", "fjord", "gravel", "harbor", "indigo",
    "juniper", "kettle", "lantern",
)  # fmt: skip


def rich(seed: int) -> str:
    """A sentence of its own for each seed."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    return " ".join(f"{WORDS[byte % len(WORDS)]}{byte}" for byte in digest[:9])


def server(stub: Any, **options: Any) -> Server:
    return Server(base_url=stub.url, model="tiny", **{"retries": 1, "parallel": 4, **options})


def tasks(n: int) -> list[Task]:
    return [Task(f"Explain what {rich(1000 + i)} means", str(i), gold=str(i)) for i in range(n)]


def wanted(payload: dict[str, Any]) -> str:
    """What the user's last turn says."""
    return str(payload["messages"][-1]["content"])


def test_longest_common_subsequence() -> None:
    words = {word: n for n, word in enumerate("abcdefghijkl")}
    for left, right, length in (
        ("abcde", "ace", 3), ("abc", "abc", 3), ("abc", "def", 0), ("", "abc", 0),
        ("abcbdab", "bdcaba", 4), ("abcdefghijkl" * 9, "lkjihgfedcba", 9 + 3),
    ):  # fmt: skip
        got = common_subsequence([words[c] for c in left], [words[c] for c in right])
        table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
        for i, a in enumerate(left):
            for j, b in enumerate(right):
                table[i + 1][j + 1] = (
                    table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
                )
        assert got == table[-1][-1]
        if len(left) < 20:
            assert got == length


def test_novelty_is_rouge_l() -> None:
    novelty = Novelty(0.7)
    novelty.add("one two three four five six seven eight nine ten")
    assert not novelty.is_new("one two three four five six seven eleven twelve thirteen")  # 0.7
    assert novelty.is_new("one two three four five six eleven twelve thirteen fourteen")  # 0.6
    assert novelty.is_new("ten nine eight seven six five four three two one")  # words, not order
    assert not novelty.is_new(" ?! ")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (" Name a river.\n4. Add 1 and 2.\n5) Sing.", ["Name a river.", "Add 1 and 2.", "Sing."]),
        ("3. Name\n a river.\nTask 4: Sing.", ["Name a river.", "Sing."]),
        ("", []),
        ("\n4. \n5. Sing now.", ["Sing now."]),
    ],
)
def test_tasks_in_a_numbered_list(answer: str, found: list[str]) -> None:
    assert tasks_in(answer, 3) == found


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("Name two rivers of Asia.", ""), ("  ?", "evolved_empty"),
        ("NAME a  river.", "evolved_same"),
        ("#Rewritten Prompt#: Name two.", "evolved_leaks_request"),
        ("I'm sorry, I cannot do that.", "refusal"),
    ],
)  # fmt: skip
def test_evolutions_that_failed(after: str, reason: str) -> None:
    assert evolution_failed("Name a river.", after) == reason


def test_self_instruct_takes_what_is_new(stub: Any) -> None:
    def says(payload: dict[str, Any]) -> str:
        first = int(re.findall(r"(?m)^(\d+)\.$", wanted(payload))[-1])
        known = re.findall(r"(?m)^1\. (.+)$", wanted(payload))[0]
        return f" Describe {rich(payload['seed'])} well.\n{first + 1}. {known}\n{first + 2}. Sing."

    stub.says = says
    lost: Counter[str] = Counter()
    made = self_instruct(server(stub), tasks(10), 6, 1, lost)
    assert len(made) == 6 and all(one.text.startswith("Describe ") for one in made)
    assert lost["task_not_new"] >= 5 and lost["task_short"] >= 5
    requests = [wanted(payload) for _, payload in stub.asked]
    assert all(len(re.findall(r"(?m)^\d+\. ", text)) == 8 for text in requests)


def test_evol_instruct_goes_on_from_what_it_made(stub: Any) -> None:
    def says(payload: dict[str, Any]) -> str:
        given = re.findall(r"#Prompt#\n(.+)\n", wanted(payload))[0]
        if given.endswith(rich(1001) + " means"):
            return given  # unchanged: a failure, to be tried again in the next round
        return f"{given}, and why {rich(payload['seed'])}"

    stub.says = says
    lost: Counter[str] = Counter()
    made = evol_instruct(server(stub), tasks(3), 99, 1, lost)
    assert [one.origin for one in made] == ["0", "2", "0", "2"]
    assert made[2].text.startswith(made[0].text)
    assert lost == {"evolved_same": 2} and len(stub.asked) == 6
    assert {one.how.split("/")[0] for one in made} == {"evol_instruct"}


def test_magpie_asks_for_raw_text_after_the_users_opening(stub: Any) -> None:
    stub.says = lambda payload: f"Tell me about {rich(payload['seed'])}.<|im_end|>\nmore"
    made = magpie(server(stub), 5, 1, Counter(), "chatml")
    path, payload = stub.asked[0]
    assert path == "/v1/completions" and payload["prompt"] == "<|im_start|>user\n"
    assert "<|im_end|>" in payload["stop"]
    assert len({one.text for one in made}) == 5
    assert all(re.fullmatch(r"Tell me about [\w ]+\.", one.text) for one in made)


def test_an_endless_repetition_ends(stub: Any) -> None:
    stub.says = lambda payload: "Always the same old question?"
    lost: Counter[str] = Counter()
    assert len(magpie(server(stub), 5, 1, lost, "llama3")) == 1
    assert lost["task_not_new"] == len(stub.asked) - 1


def test_the_order_of_answers_does_not_matter(stub: Any) -> None:
    def says(payload: dict[str, Any]) -> str:
        time.sleep(0.02 * (payload["seed"] % 3))
        return f"Tell me about {rich(payload['seed'])}."

    stub.says = says
    one = magpie(server(stub, parallel=8), 8, 1, Counter(), "chatml")
    other = magpie(server(stub, parallel=1), 8, 1, Counter(), "chatml")
    assert [task.text for task in one] == [task.text for task in other]


def test_the_best_of_n_and_pairs(stub: Any, tmp_path: Path) -> None:
    stub.says = lambda payload: ("broken" if payload["seed"] % 5 == 0 else
                                 f"I say {payload['seed'] % 11}")  # fmt: skip
    (tmp_path / "mine.py").write_text(
        "def grade(response, gold):\n"
        "    if 'broken' in response:\n        raise RuntimeError('no verdict')\n"
        "    return float(response.rpartition(' ')[2]) / 10\n"
    )
    reward = load_reward(f"{tmp_path / 'mine.py'}:grade")
    sampling = Sampling(n=16, reward=reward, least=0.5, per_task=2, gap=0.4)
    lost: Counter[str] = Counter()
    ((task, graded),) = answered(server(stub), tasks(1), sampling, lost)
    seeds = [seed_of(1, task.text, n) % 2**31 for n in range(16)]
    scores = {seed % 11 / 10 for seed in seeds if seed % 5}
    assert {one.score for one in graded} == scores, "repeated answers count once, broken ones never"
    assert lost["verifier_error"] == bool([seed for seed in seeds if seed % 5 == 0])
    assert [one.score for one in best(graded, sampling)] == sorted(scores)[-1:-3:-1]
    chosen, rejected = pair(graded, sampling)  # type: ignore[misc]
    assert (chosen.score, rejected.score) == (max(scores), min(scores))


def test_a_reward_model_and_a_judge_grade_too(stub: Any) -> None:
    def says(payload: dict[str, Any]) -> str:
        if "response_format" in payload:
            if "of 3 words" in json.dumps(payload):
                return "no JSON at all"
            return json.dumps({"reasoning": "So.", "grade": 9 if "good" in str(payload) else 2})
        kinds = ("A good answer", "A bad answer", "An answer of 3 words")
        return kinds[payload["seed"] % 3]

    stub.says = says
    judge = load_reward(
        "judge", {"server": {"base_url": stub.url, "model": "j"}, "use_gold": False}
    )
    lost: Counter[str] = Counter()
    ((_, graded),) = answered(server(stub), tasks(1), Sampling(n=12, reward=judge), lost)
    assert {one.text: one.score for one in graded} == {"A good answer": 0.9, "A bad answer": 0.2}
    assert lost == {"verifier_error": 1}
    stub.score = lambda payload: 4.5 if "good" in str(payload["messages"][-1]) else -3.0
    model = load_reward(
        "reward_model", {"model": "r", "reward_router_address": stub.url[7:].removesuffix("/v1")}
    )
    sampling = Sampling(n=12, reward=model, least=1.0)
    ((_, graded),) = answered(server(stub), tasks(1), sampling, lost)
    assert [(one.text, one.score) for one in best(graded, sampling)] == [("A good answer", 4.5)]
    chosen, rejected = pair(graded, sampling)  # type: ignore[misc]
    assert (chosen.score, rejected.score) == (4.5, -3.0)


def test_a_pair_needs_a_good_and_a_worse_answer() -> None:
    reward = load_reward("exact")
    sampling = Sampling(n=2, reward=reward, gap=0.5)
    right, wrong = Graded("a", 1.0, 1.0), Graded("b", 0.0, 0.0)
    assert pair([wrong, right], sampling) == (right, wrong)
    assert pair([right, right], sampling) is None and pair([wrong, wrong], sampling) is None
    assert pair([right, Graded("c", 0.8, 0.0)], sampling) is None
    assert best([wrong, Graded("d", 0.9, 0.0)], sampling) == []


def test_the_wish_to_think_is_asked_and_not_trained_on(stub: Any) -> None:
    stub.says = lambda payload: "First this, then that. The answer is 4."
    sampling = Sampling(think=True, system="Be brief.")
    list(answered(server(stub), tasks(1), sampling, Counter()))
    assert "step by step" in wanted(stub.asked[0][1])
    assert stub.asked[0][1]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_busy_server_is_asked_again(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewards.judge.client.BASE_WAIT_S", 0.01)
    stub.says = lambda payload: (503, {}) if len(stub.asked) == 1 else "Well."
    assert server(stub).ask(server(stub).chat([], 1)).text == "Well."
    assert len(stub.asked) == 2


def test_a_server_that_refuses_is_an_error_at_once(stub: Any) -> None:
    stub.says = lambda payload: (404, {})
    with pytest.raises(DataError, match="refuses: HTTP 404"):
        list(server(stub).ask_all([server(stub).chat([], n) for n in range(50)]))
    assert len(stub.asked) < 20


def test_the_rate_is_kept(stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stub.says = lambda payload: "Well."
    slow = server(stub, per_minute=1200, burst=1, parallel=8)
    start = time.monotonic()
    assert len(list(slow.ask_all([slow.chat([], n) for n in range(9)]))) == 9
    assert time.monotonic() - start >= 8 * 0.05 - 0.01  # nine in turn: eight intervals of 50 ms


def test_a_key_is_sent_and_not_kept(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-1")
    stub.says = lambda payload: "Well."
    one = server(stub, key_variable="MY_KEY", cache=tmp_path / "c")
    one.ask(one.chat([], 1))
    assert all("secret-1" not in path.read_text() for path in tmp_path.rglob("*.json"))
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(ConfigError, match="MY_KEY is not set"):
        one.ask(one.chat([], 2))


def says_answers(payload: dict[str, Any]) -> str:
    """Right or wrong by the seed; each in words of its own."""
    if "messages" not in payload:
        return f"Work out the number of {rich(payload['seed'])}."
    right = re.findall(r"number (\d+)", wanted(payload))
    said = int(right[0]) if right and payload["seed"] % 2 else 7777
    return f"With {rich(payload['seed'])} in mind, it is \\boxed{{{said}}}."


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def asked_for(stub: Any, out: Path, **more: Any) -> dict[str, Any]:
    out.parent.mkdir(exist_ok=True)
    questions = out.parent / "questions.jsonl"
    if not questions.exists():
        lines = [{"question": f"{rich(n)}: say number {n}", "answer": str(n)} for n in range(12)]
        questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {
        "method": "answers", "tasks": str(questions), "out": str(out), "n": 6, "reward": "math",
        "kinds": "sft,preference", "server": {"base_url": stub.url, "model": "tiny"}, **more,
    }  # fmt: skip


def test_whole_and_repeated_and_cut_off(stub: Any, tmp_path: Path) -> None:
    stub.says = says_answers
    manifest, _ = synthesize(asked_for(stub, tmp_path / "a" / "out"))
    asked = len(stub.asked)
    assert asked == 12 * 6
    out = tmp_path / "a" / "out"
    sft = from_table("sft", pq.read_table(out / "sft_train.parquet"))
    assert sft and all("7777" not in row["messages"][-1]["content"] for row in sft)
    pairs = from_table("preference", pq.read_table(out / "preference_train.parquet"))
    assert pairs and all("7777" in row["rejected"][0]["content"] for row in pairs)
    assert all(row["score_chosen"] == 1.0 and row["score_rejected"] == 0.0 for row in pairs)
    assert manifest.decontaminated is not None
    # Made again from what was kept: nothing is asked, the bytes are the same.
    (tmp_path / "a" / "out").rename(tmp_path / "a" / "first")
    synthesize(asked_for(stub, out))
    assert len(stub.asked) == asked and digests(out) == digests(tmp_path / "a" / "first")
    # Cut off after 30 answers: the next run asks for the others alone, and ends in the same bytes.
    spec = asked_for(stub, tmp_path / "b" / "out")
    spec["server"] = {"base_url": stub.url, "model": "tiny", "parallel": 1}
    stub.asked.clear()
    stub.says = lambda payload: says_answers(payload) if len(stub.asked) <= 30 else (404, {})
    with pytest.raises(DataError, match="after 30 answers → run again"):
        synthesize(spec)
    assert not (tmp_path / "b" / "out").exists()
    stub.asked.clear()
    stub.says = says_answers
    synthesize(spec)
    assert len(stub.asked) == 12 * 6 - 30
    for name in ("sft_train.parquet", "preference_train.parquet"):
        assert (tmp_path / "b" / "out" / name).read_bytes() == (out / name).read_bytes()


def test_what_comes_out_is_filtered_and_decontaminated(stub: Any, tmp_path: Path) -> None:
    leaked = "Janet walks 17 dogs on Monday and 23 on Tuesday; how many walks in both days?"
    (tmp_path / "sets" / "gsm8k").mkdir(parents=True)
    (tmp_path / "sets" / "gsm8k" / "test.jsonl").write_text(json.dumps({"question": leaked}) + "\n")
    lock, count = threading.Lock(), iter(range(10**6))

    def says(payload: dict[str, Any]) -> str:
        if "prompt" in payload:
            with lock:
                return leaked if next(count) == 2 else f"Say something of {rich(payload['seed'])}."
        if leaked in wanted(payload):
            return "It is 40 walks."
        return (
            "On and on and on. " * 60
            if payload["seed"] % 3 == 0
            else f"So: {rich(payload['seed'])}."
        )

    stub.says = says
    manifest, _ = synthesize({
        "method": "magpie", "count": 12, "out": str(tmp_path / "out"),
        "eval_sets": str(tmp_path / "sets"),
        "server": {"base_url": stub.url, "model": "tiny", "parallel": 2},
    })  # fmt: skip
    assert manifest.dropped["contaminated_exact"] == 1
    assert manifest.dropped["loop"] >= 1
    rows = from_table("sft", pq.read_table(tmp_path / "out" / "sft_train.parquet"))
    assert leaked not in json.dumps(rows) and "On and on" not in json.dumps(rows)
    assert len(rows) + sum(manifest.dropped.values()) == 12


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": "dream"}, "method"),
        ({"reward": None}, "pairs need a reward"),
        ({"reward": None, "kinds": "sft"}, "choosing among n answers needs a reward"),
        ({"method": "magpie"}, "count=1000"),
        ({"tasks": None}, "tasks=FILE"),
        ({"server": {"base_url": "localhost", "model": "x"}}, "server.base_url"),
        ({"temprature": 1}, "temprature"),
    ],
)
def test_what_cannot_be_is_refused(
    stub: Any, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        parse_spec({**asked_for(stub, tmp_path / "out"), **changed})


def test_tasks_of_rows_and_columns(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "What is 1+1?"}]
    rl = {
        "prompt": chat, "data_source": "x", "reward_model": {"style": "rule", "ground_truth": "2"},
        "extra_info": {"id": "a/1", "index": "1"},
    }  # fmt: skip
    sft = {"messages": [*chat, {"role": "assistant", "content": "2"}], "id": "b/1"}
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, (rl, sft, {"question": "Why?", "answer": "So."}))))
    one, two, three = read_tasks(path)
    assert (one.text, one.gold, one.system, one.origin) == ("What is 1+1?", "2", "Be kind.", "a/1")
    assert (two.text, two.gold, two.system) == ("What is 1+1?", None, "Be kind.")
    assert (three.text, three.gold) == ("Why?", "So.")
    with pytest.raises(DataError, match=r"no task in quest.*column=NAME"):
        list(read_tasks(path, "quest"))


def test_the_command(stub: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stub.says = says_answers
    asked_for(stub, tmp_path / "out")
    main([
        "method=answers", f"tasks={tmp_path / 'questions.jsonl'}", f"out={tmp_path / 'out'}", "n=4",
        "reward=math", f"server.base_url={stub.url}", "server.model=tiny",
    ])  # fmt: skip
    out = capsys.readouterr().out
    assert "sft_train" in out and "left out before" in out
    assert (tmp_path / "out" / "manifest.json").is_file()
