"""Decontamination, on questions written here; on the public sets in `tests/contract`.

1. Whole questions and shares of n-grams are found, with the share and the place as evidence.
2. What a set's questions have in common proves nothing; short questions need their whole run.
3. A paraphrase is one that keeps the numbers.
4. What a search finds is what comparing every text with every question finds.
"""

from __future__ import annotations

import json
import pickle
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from conf.errors import ConfigError, DataError
from data_prep.decontaminate.index import Index
from data_prep.decontaminate.judge import Decontamination
from data_prep.decontaminate.paraphrase import Paraphrases, content_stems, stem
from data_prep.decontaminate.sets import SETS, SetFiles, load_sets

LONG = (
    "A farmer has twelve cows and sells half of them at the market on Sunday morning, "
    "then buys three goats and a very old donkey from his neighbour. How many animals are left?"
)
SHORT = "Evaluate the square root of 144."


def held(index: Index, text: str) -> tuple[str, int, float] | None:
    found = list(index.matches([text]))
    return (found[0].how, found[0].question, round(found[0].share, 3)) if found else None


def test_a_whole_question_is_exact_whatever_its_case_and_punctuation() -> None:
    index = Index([LONG, SHORT])
    for text in (LONG, LONG.upper(), re.sub(r"[,.?]", " ;", LONG)):
        assert held(index, text) == ("exact", 0, 1.0)
    assert held(index, "evaluate THE square-root of 144") == ("exact", 1, 1.0)


def test_the_share_of_ngrams_is_counted_by_hand() -> None:
    words = [f"w{i}" for i in range(20)]  # 13 runs of 8 words
    index = Index([" ".join(words)])
    kept = " ".join(words[:15])  # 8 of the 13 runs
    assert held(index, f"before {kept} after") == ("ngram", 0, round(8 / 13, 3))
    match = next(index.matches([f"before {kept} after"]))
    assert (match.first, match.last) == (1, 15)
    assert held(index, " ".join(words[:13])) is None  # 6 of 13: under a half
    assert held(Index([" ".join(words)], share=0.4), " ".join(words[:13])) is not None


def test_what_all_questions_begin_with_proves_nothing() -> None:
    opening = "write a python function that takes a list of numbers and returns"
    questions = [f"{opening} the {kind} of them" for kind in ("sum", "product", "mean", "median")]
    index = Index(questions)
    assert held(index, f"{opening} nothing at all") is None
    assert held(index, f"please {questions[2]} now") == ("ngram", 2, 1.0)


def test_a_short_question_within_a_longer_text() -> None:
    index = Index([SHORT])
    wrapped = (
        "Please help me with my homework for school. {} Show every step of your work, and box it."
    )
    assert held(index, wrapped.format(SHORT)) is not None  # a sentence by itself
    assert (
        held(index, "Hint:\nevaluate the square root of 144\nThanks for all of your help")
        is not None
    )
    assert (
        held(index, "One can evaluate the square root of 144 cells in a dish by counting") is None
    )
    assert held(index, "Evaluate the square root of 145.") is None


def test_questions_are_found_in_any_batch() -> None:
    index = Index([LONG, SHORT, "one two three four five six seven eight nine ten"])
    texts = ["nothing here", LONG, "", SHORT, f"x {LONG} y"]
    whole = [(m.text, m.question, m.how) for m in index.matches(texts)]
    assert whole == [(1, 0, "exact"), (3, 1, "exact"), (4, 0, "ngram")]
    single = [(i, m.question, m.how) for i, t in enumerate(texts) for m in index.matches([t])]
    assert single == whole


def test_stems_meet() -> None:
    assert stem("bakes") == stem("baking") == stem("baked") == "bak"
    assert content_stems("She bakes three muffins") == content_stems("the baking of 3 muffins")


def test_a_paraphrase_needs_the_numbers() -> None:
    question = "Janet's ducks lay 16 eggs per day. She eats three and bakes muffins with four."
    others = [
        f"Filler question about topic{i} with {i + 50} things and {i + 70} more" for i in range(99)
    ]
    index = Paraphrases([question, *others])
    told = "Each day Janet collects {} eggs from her ducks, bakes four into muffins and eats three."
    assert index.best(told.format(16)).position == 0
    assert index.best(told.format(17)) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gsm8k").mkdir()
    lines = [json.dumps({"question": LONG}), json.dumps({"question": SHORT})]
    (tmp_path / "gsm8k" / "test.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_sets_that_are_not_here_are_named(folder: Path) -> None:
    items, counts, missing = load_sets(["gsm8k", "aime24"], [folder], cache=False)
    assert [(i.set, i.id) for i in items] == [("gsm8k", "0"), ("gsm8k", "1")]
    assert (counts, missing) == ({"gsm8k": 2}, ["aime24"])


def test_the_hub_cache_is_looked_into(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "gsm8k" / "test.jsonl").unlink()
    inside = folder / "datasets--openai--gsm8k" / "snapshots" / "abc" / "main"
    inside.mkdir(parents=True)
    pq.write_table(pa.table({"question": ["cached"]}), inside / "test-00000-of-00001.parquet")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    items, _, _ = load_sets(["gsm8k"], [])
    assert [item.text for item in items] == ["cached"]


def test_a_set_of_ones_own_and_a_range_of_ids(folder: Path) -> None:
    rows = [{"n": i, "q": f"question {i}"} for i in range(5)]
    (folder / "own.json").write_text(json.dumps(rows))
    own = {"own": SetFiles(patterns=("own.json",), columns=("q",), id="n", ids=(1, 3))}
    items, counts, _ = load_sets(["own"], [folder], own, cache=False)
    assert counts == {"own": 3} and items[0].text == "question 1"


def test_messages_of_what_is_wrong(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no evaluation set 'gsm9k' → one of aime24"):
        load_sets(["gsm9k"], [folder])
    with pytest.raises(ConfigError, match="no folder"):
        load_sets(["gsm8k"], [folder / "absent"])
    (folder / "gsm8k" / "test.jsonl").write_text('{"question": "a"}\n{broken\n')
    with pytest.raises(DataError, match=r"test\.jsonl:2: not JSON"):
        load_sets(["gsm8k"], [folder], cache=False)
    (folder / "gsm8k" / "test.jsonl").write_text('{"prompt": "a"}\n')
    with pytest.raises(DataError, match="has none of the columns question"):
        load_sets(["gsm8k"], [folder], cache=False)


def test_training_rows_are_judged_and_held_out_ones_are_not(make, folder: Path) -> None:
    step = Decontamination(folders=(folder,), cache=False)
    rows = [
        make.rl(LONG, "10", "a"),
        make.rl(LONG, "10", "b", "test"),
        make.sft("A riddle, please.", f"Gladly. {LONG} Think about it.", "c"),
        make.rl("Something else entirely, with 3 words.", "1", "d"),
    ]
    found = step.judge(rows)
    assert [f and f.reason for f in found] == [
        "contaminated_exact", None, "contaminated_ngram", None,
    ]  # fmt: skip
    assert found[2].evidence["set"] == "gsm8k" and found[2].evidence["question_id"] == "0"
    assert found[2].evidence["matched_share"] == 1.0
    assert found[2].evidence["matched"].startswith("a farmer has twelve cows")
    assert step.compared == {"gsm8k": 2}
    assert step.missing == [name for name in SETS if name != "gsm8k"]
    assert [f and f.reason for f in pickle.loads(pickle.dumps(step)).judge(rows)] == [
        f and f.reason for f in found
    ]


def test_an_embedding_finds_a_paraphrase_without_numbers(make, folder: Path, serve) -> None:
    near = "A man with a dozen cattle trades some at a fair; what does he own in the end?"

    def answer(path: str, body: dict) -> tuple[int, object]:
        known = {near: [1.0, 0.1, 0.0], LONG: [1.0, 0.0, 0.0], SHORT: [0.0, 1.0, 0.0]}
        about = [known.get(text, [0.0, 0.0, 1.0]) for text in body["input"]]
        return 200, {"data": [{"index": i, "embedding": v} for i, v in enumerate(about)]}

    step = Decontamination(
        folders=(folder,), cache=False, sets=("gsm8k",), embedding_model="m",
        embedding_server=serve(answer), embedding_threshold=0.99, paraphrases="flag",
    )  # fmt: skip
    short = "Which sky is blue?"
    found = step.judge([make.rl(near), make.rl(short), make.rl(LONG)])
    assert [f and (f.reason, f.action) for f in found] == [
        ("contaminated_semantic", "flag"), None, ("contaminated_exact", "drop"),
    ]  # fmt: skip
    assert found[0].evidence["question_id"] == "0" and found[0].evidence["cosine"] == 0.995


def test_a_search_finds_what_comparing_all_with_all_finds() -> None:
    """With 400 questions, most of them of one template, and one that stands there 100 times."""
    chosen = random.Random(1)
    words = [f"w{i}" for i in range(60)]

    def question(kind: int) -> str:
        if kind % 3 == 0:
            return " ".join(chosen.choices(words, k=chosen.randint(13, 30)))
        a, b, c = chosen.choices(words, k=3)
        return (
            f"use the numbers {a} and {b} to make an equation that equals {c} you can use basic "
            "operations and each number only once and show your work here please"
        )

    again = "the very same question over and over again with no other word in it at all ever"
    questions = [*map(question, range(300)), *[again] * 100]
    texts = [question(1) for _ in range(40)]
    for _ in range(160):  # pieces of questions, some words changed
        text = chosen.choice(questions).split()[chosen.randint(0, 9) :]
        for _ in range(chosen.randint(0, 3)):
            text[chosen.randrange(len(text))] = chosen.choice(words)
        texts.append(" ".join(["so", *text, "then"]))

    def grams(text: str) -> set[tuple[str, ...]]:
        pieces = text.split()
        return {tuple(pieces[i : i + 8]) for i in range(len(pieces) - 7)}

    theirs = [grams(text) for text in questions]
    having = Counter(gram for one in theirs for gram in one)
    for share in (0.3, 0.6):
        found = {m.text: m for m in Index(questions, share=share).matches(texts)}
        for i, text in enumerate(texts):
            ours = grams(text)
            shares = [
                sum(1 / having[gram] for gram in one & ours) / sum(1 / having[gram] for gram in one)
                for one in theirs
            ]
            best = max(shares)
            if abs(best - share) < 1e-9:
                continue  # on the edge, by rounding
            assert (i in found) == (best >= share), text
            if i in found and found[i].how == "ngram":
                assert found[i].share == pytest.approx(best)
                assert shares[found[i].question] == pytest.approx(best)
        assert 20 < len(found) < 200
