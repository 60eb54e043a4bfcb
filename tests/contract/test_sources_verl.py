"""Every file of the shared data that has a source, prepared, checked, and read by verl's classes.

1. Prepared whole, no row left out beforehand: the rows are the raw ones less the drops, each drop
   with its reason in the manifest, and those that filters dropped are named in `findings.jsonl`.
2. `data_prep.check` finds no error in any of the files.
3. verl counts these rows, and they come out of it with their prompts, answers and ids.
4. Every shared file is among them, or among those that make no row, with the reason.
5. The sets' real overlaps are in the rows: two problems of MATH in both splits, five Countdown
   tasks, the degenerate pairs of HH-RLHF.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from data_prep.check import check
from data_prep.intake import stem
from data_prep.manifest import Manifest
from data_prep.prepare import prepare
from data_prep.rows import meta
from data_prep.rows_schema import Kind, from_table, schema, to_table
from data_prep.sources.base import Drop
from data_prep.sources.declare import declaration, names
from data_prep.sources.open import open_source, source_files

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")
TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


class Case(NamedTuple):
    """A file, its source, and what must come of it; the counts are those of the data's README."""

    source: str
    local: str
    split: str
    raw: int
    drops: dict[str, int] = {}  # noqa: RUF012


CASES = [
    Case("gsm8k", "gsm8k", "train", 7473),
    Case("gsm8k", "gsm8k", "test", 1319),
    Case("humaneval", "humaneval", "test", 164),
    Case("mbpp", "mbpp", "train", 974, {"other_split": 600}),
    Case("mbpp", "mbpp", "test", 974, {"other_split": 474}),
    Case("mbpp_sanitized", "mbpp", "train", 427, {"other_split": 307}),
    Case("mbpp_sanitized", "mbpp", "test", 427, {"other_split": 170}),
    Case("mbpp_plus", "mbpp", "test", 399),
    Case("math", "math", "test", 5000),
    Case("math500", "math", "test", 500),
    Case("math_train_answers", "math", "train", 7474, {"no_answer": 4}),
    Case("aime24", "math_competitions", "test", 30),
    Case("aime25", "math_competitions", "test", 30),
    Case("amc23", "math_competitions", "test", 40),
    Case("minerva_math", "math_competitions", "test", 272),
    Case("olympiadbench", "math_competitions", "test", 675),
    Case("svamp", "math_competitions", "test", 1000),
    Case("ifeval", "ifeval", "test", 541),
    Case("ifbench", "ifbench", "test", 300),
    Case("alpaca", "alpaca/alpaca_small.json", "train", 2000),
    Case("alpaca", "alpaca/alpaca_tiny.json", "train", 100),
    Case("alpaca_en_demo", "alpaca", "train", 999),
    Case("instruction_data", "alpaca", "train", 1100),
    Case("code_alpaca", "alpaca", "train", 2017, {"empty_answer": 2}),
    Case("self_instruct", "alpaca", "train", 175),
    Case("self_instruct", "alpaca", "test", 252),
    Case("sharegpt", "chat", "train", 500),
    Case(
        "hh_rlhf",
        "preferences/hh_rlhf/harmless-base",
        "test",
        2312,
        {"empty_answer": 4, "contexts_differ": 5, "turns_not_alternating": 4},
    ),
    Case(
        "hh_rlhf",
        "preferences/hh_rlhf/helpful-base",
        "test",
        2354,
        {
            "empty_answer": 3,
            "contexts_differ": 9,
            "turns_not_alternating": 6,
            "empty_turn": 1,
            "identical_pair": 2,
        },
    ),
    Case("sharegpt_pairs", "preferences", "train", 299),
    Case("kto_demo", "preferences", "train", 300, {"not_kept": 150}),
    Case("messages", "preferences/kto_en_demo.json", "train", 300),
    Case("alpaca_pairs", "preferences", "train", 1100, {"identical_pair": 6}),
    Case("countdown", "countdown/tinyzero", "train", 8001),
    Case("countdown", "countdown/tinyzero", "test", 2001),
    Case("verl_rows", "countdown/tinyzero", "test", 2001),
    Case("countdown_d1", "countdown/d1", "test", 256),
    Case("game24", "countdown/game24", "train", 1362),
    Case("code_contests_rllm", "code_contests", "test", 165),
    Case("codeforces_rllm", "code_contests", "test", 408),
    Case("acecode", "code_contests", "train", 1),
    Case("xstest", "safety", "test", 450),
    Case("advbench", "safety", "train", 520),
    Case("kk_logic", "verl_examples/kk_logic", "test", 500),
]
# Files that make no row of any kind, and why.
NO_SOURCE = {
    "README.md": "describes the others",
    "code_contests/live_code_bench_v1_sample.jsonl": "its tests are pickled: reading runs them",
    "ifeval_responses/gpt4_20231107.jsonl.gz": "a model's responses with verdicts: tests graders",
    "json_schema/draft2020-12.jsonl.gz": "schemas and instances: tests graders",
    "json_schema/draft7.jsonl.gz": "schemas and instances: tests graders",
    "mt_bench/question.jsonl": "questions without answers: for a judge",
    "mt_bench/reference_answer_gpt-4.jsonl": "answers of a judge to those",
    "verl_examples/arithmetic_sequence/test.parquet": "prompts without answers",
    "verl_examples/arithmetic_sequence/train.parquet": "prompts without answers",
    "wizardlm/WizardLM_testset.jsonl": "instructions without answers: to decontaminate against",
}
# What filters drop of the rows that a source gives alone: training rows that ask what its own test
# rows ask, as the filters see it. Nothing else, and no gold answer.
FILTERED = {
    ("gsm8k", "train"): {"contaminated_ngram": 2, "contaminated_paraphrase": 1},
    ("mbpp", "train"): {"contaminated_ngram": 3, "contaminated_paraphrase": 25},
    ("mbpp_sanitized", "train"): {"contaminated_paraphrase": 1},
    ("countdown", "train"): {"duplicate_held_out": 5},
}
# The prompts are one text but for the numbers, and no template says so: to compare each training
# row with each test row takes minutes.
NOT_COMPARED = {"verl_rows"}
UNTRIED = {"verl_rows", "xstest", "advbench", "kk_logic"}  # no reward grades them
LOADED = 64  # rows of each file that verl makes tensors of, from all over it
RUNS = [(case, kind) for case in CASES for kind in declaration(case.source).kind]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, one token a byte, ChatML-like."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {char: number for number, char in enumerate([*alphabet, "<s>", "</s>"])}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    made.chat_template = TEMPLATE
    return made


def rows_and_drops(case: Case, kind: Kind) -> tuple[list[dict[str, Any]], Counter[str]]:
    rows: list[dict[str, Any]] = []
    drops: Counter[str] = Counter()
    for item in open_source(case.source, DATA / case.local, case.split, kind):  # type: ignore[arg-type]
        if isinstance(item, Drop):
            drops[item.reason] += 1
        else:
            rows.append(item)
    return rows, drops


def sample(length: int) -> Iterator[int]:
    """The first rows, the last, and some between."""
    step = max(1, length // LOADED)
    return iter(sorted({0, 1, length - 1, *range(0, length, step)} & {*range(length)}))


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Case], tuple[Path, Manifest]]:
    """The folder and manifest of a case's source: all its kinds and splits, prepared once."""
    made: dict[tuple[str, str], tuple[Path, Manifest]] = {}

    def folder(case: Case) -> tuple[Path, Manifest]:
        key = case.source, case.local
        if key not in made:
            out = tmp_path_factory.mktemp(case.source) / "out"
            asked = {"source": case.source, "local": str(DATA / case.local), "out": out}
            if case.source in NOT_COMPARED:
                asked["decontaminate"] = False
            made[key] = out, prepare(asked)[0]
        return made[key]

    return folder


@pytest.fixture(scope="module", autouse=True)
def _no_sets_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the model hub's cache holds here decides nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.mark.parametrize(("case", "kind"), RUNS, ids=lambda x: x if isinstance(x, str) else x[0])
def test_each_file_prepared_checked_and_through_verls_class(
    case: Case,
    kind: Kind,
    tokenizer: PreTrainedTokenizerFast,
    prepared: Callable[[Case], tuple[Path, Manifest]],
) -> None:
    raw, drops = rows_and_drops(case, kind)
    assert drops == case.drops
    assert len(raw) + drops.total() == case.raw
    folder, manifest = prepared(case)
    path = folder / f"{stem(kind, case.split)}.parquet"
    rows = from_table(kind, pq.read_table(path))
    assert manifest.files[path.name].rows == len(rows)
    assert len({meta(row).id for row in rows}) == len(rows)
    # Of the rows that the source gives, those that are not there are those of the findings.
    filtered = found(folder, case.split)
    assert Counter(filtered.values()) == FILTERED.get((case.source, case.split), {})
    for reason, count in Counter(filtered.values()).items():
        assert manifest.dropped[reason] == count
    wanted = [row for row in raw if meta(row).index not in filtered]
    assert [content(row) for row in rows] == [content(row) for row in wanted]
    assert len(rows) == case.raw - drops.total() - len(filtered)
    if "other_split" in drops:  # one file for both, and for rows of neither: each counts once
        assert sum(manifest.examples_in.values()) == case.raw
        neither = case.raw - sum(manifest.examples_kept.values())
        assert manifest.dropped["other_split"] == neither
    else:
        assert manifest.examples_in[case.split] == case.raw
        assert {reason: manifest.dropped[reason] for reason in drops} == drops
    if kind == "rl":
        (gold,) = (manifest.golds or {}).values()
        assert (gold.tried == "nothing") == (case.source in UNTRIED)
    report = check([path])
    assert report.errors == 0, [str(one) for one in report.problems][:5]
    assert report.rows == {str(path): len(rows)}
    load = {"rl": load_rl, "sft": load_sft, "preference": load_pairs, "reward_pairs": load_pairs}
    load[kind](kind, path, rows, tokenizer)


def found(folder: Path, split: str) -> dict[str, str]:
    """Index and reason of each row of a split that a filter dropped."""
    path = folder / "findings.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    dropped = {}
    for line in map(json.loads, lines):
        file, index = line["id"].split("/")[-2:]
        if line["action"] == "drop" and file.endswith(split):
            dropped[index] = line["reason"]
    return dropped


def content(row: dict[str, Any]) -> dict[str, Any]:
    """A row without its id: GSM8K's source in code gives its rows others than its declaration."""
    kept = {name: value for name, value in row.items() if name not in ("id", "source")}
    if "extra_info" in kept:
        extra = kept["extra_info"]
        kept["extra_info"] = {k: v for k, v in extra.items() if k not in ("id", "source")}
    return kept


def load_rl(_kind: Kind, path: Path, rows: list[dict[str, Any]], tokenizer: Any) -> None:
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    config = {"cache_dir": str(path.parent), "filter_overlong_prompts": False}
    dataset = RLHFDataset(str(path), tokenizer, OmegaConf.create(config))
    assert len(dataset) == len(rows)
    picked = list(sample(len(rows)))
    batch = collate_fn([dataset[n] for n in picked])
    for at, n in enumerate(picked):
        row = rows[n]
        assert batch["raw_prompt"][at] == row["prompt"]
        assert batch["reward_model"][at] == row["reward_model"]
        assert batch["data_source"][at] == row["data_source"]
        assert batch["index"][at] == row["extra_info"]["index"]
        assert batch["extra_info"][at]["id"] == row["extra_info"]["id"]


def load_sft(_kind: Kind, path: Path, rows: list[dict[str, Any]], tokenizer: Any) -> None:
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    config = {"max_length": 1 << 17, "pad_mode": "no_padding"}
    dataset = MultiTurnSFTDataset(str(path), tokenizer, OmegaConf.create(config))
    assert len(dataset) == len(rows)
    for n in sample(len(rows)):
        item = dataset[n]
        learnt = tokenizer.decode(item["input_ids"][item["loss_mask"].bool()])
        said = [m["content"] for m in rows[n]["messages"] if m["role"] == "assistant"]
        assert learnt == "".join(f"{text}</s>\n" for text in said)


def load_pairs(kind: Kind, path: Path, rows: list[dict[str, Any]], tokenizer: Any) -> None:
    if kind == "preference":  # verl has no class for it: what a DPO bridge reads is checked here
        assert pq.read_table(path).to_pylist() == rows
        assert all(row["prompt"][-1]["role"] == "user" for row in rows)
        assert all(row["chosen"] != row["rejected"] for row in rows)
        return
    from verl.utils.dataset.rm_dataset import RMDataset

    dataset = RMDataset(str(path), tokenizer, max_length=1 << 16, cache_dir=str(path.parent))
    assert len(dataset) == len(rows)
    for n in sample(len(rows)):
        item = dataset[n]
        for way, name in enumerate(("chosen", "rejected")):
            kept = item["input_ids"][way][item["attention_mask"][way].bool()]
            assert tokenizer.decode(kept) == f"{rows[n]['prompt']}{rows[n][name]}</s>"


def test_every_verified_source_is_tried_here() -> None:
    verified = {name for name in names() if declaration(name).verified}
    assert verified == {case.source for case in CASES}


def test_every_shared_file_has_a_source_or_a_reason() -> None:
    read = set()
    for case in CASES:
        places = source_files(declaration(case.source), DATA / case.local, case.split)  # type: ignore[arg-type]
        read |= {path for files in places.values() for path in files or ()}
    there = {path for path in DATA.rglob("*") if path.is_file()}
    assert there - read == {DATA / name for name in NO_SOURCE}
    assert read <= there


@pytest.mark.parametrize("kind", ["rl", "sft", "preference"])
def test_any_two_outputs_concatenate(kind: Kind, tmp_path: Path) -> None:
    tables = []
    for case in CASES:
        if kind in declaration(case.source).kind and case.raw < 1500:
            tables.append(to_table(kind, rows_and_drops(case, kind)[0]))
            assert tables[-1].schema == schema(kind)
    assert pa.concat_tables(tables).num_rows == sum(table.num_rows for table in tables)


def test_two_problems_of_math_are_in_both_splits() -> None:
    """Equal but for white space. Two more differ in punctuation: `f(6)-f(2)`, `x^{2}`."""
    train = rows_and_drops(Case("math_train_answers", "math", "train", 0), "rl")[0]
    test = rows_and_drops(Case("math", "math", "test", 0), "rl")[0]
    asked = [
        {"".join(row["prompt"][0]["content"].split()): row["reward_model"] for row in rows}
        for rows in (train, test)
    ]
    both = asked[0].keys() & asked[1].keys()
    assert sorted(key[:30] for key in both) == [
        "Aparabolawithequation$y=x^2+bx",
        "Thepoints$(0,0)\\,$,$(a,11)\\,$,",
    ]
    assert all(asked[0][key] == asked[1][key] for key in both)


def test_prepared_together_those_two_problems_are_not_trained_on(tmp_path: Path) -> None:
    """The test file is whole, and the evidence names each training row that is left out."""
    asked = {
        "source": "math,math_train_answers",
        "local": {name: str(DATA / "math") for name in ("math", "math_train_answers")},
        "kinds": "rl",
        "out": tmp_path / "out",
    }
    manifest = prepare(asked)[0]
    assert manifest.files["test.parquet"].rows == 5000
    filtered = found(tmp_path / "out", "train")
    assert manifest.files["train.parquet"].rows == 7470 - len(filtered)
    left_out = Counter(filtered.values())
    assert manifest.dropped == {"no_answer": 4, **left_out}
    train = rows_and_drops(Case("math_train_answers", "math", "train", 0), "rl")[0]
    test = rows_and_drops(Case("math", "math", "test", 0), "rl")[0]
    asked_there = {"".join(row["prompt"][0]["content"].split()) for row in test}
    twice = {
        meta(row).index
        for row in train
        if "".join(row["prompt"][0]["content"].split()) in asked_there
    }
    assert len(twice) == 2 and twice <= filtered.keys()


def test_five_countdown_tasks_are_in_both_splits() -> None:
    """The same numbers in another order, and the same target; the prompts all differ."""
    tasks, prompts = [], []
    for split in ("train", "test"):
        rows = rows_and_drops(Case("countdown", "countdown/tinyzero", split, 0), "rl")[0]
        prompts.append({row["prompt"][0]["content"] for row in rows})
        golds = [row["reward_model"]["ground_truth"] for row in rows]
        numbers = [tuple(map(int, re.findall(r"\d+", gold))) for gold in golds]
        tasks.append(Counter((tuple(sorted(n[:-1])), n[-1]) for n in numbers))
    assert len(tasks[0].keys() & tasks[1].keys()) == 5
    assert prompts[0].isdisjoint(prompts[1])
    assert [task.total() - len(task) for task in tasks] == [17, 0]  # repeated within train
