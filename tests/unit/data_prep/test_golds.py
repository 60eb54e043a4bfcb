"""Gold answers in a preparation: who tries which, and what the manifest says of it.

1. Each declared source of RL rows names the reward by which evaluations grade it, or none does.
2. In a mix each row is tried by its own source's reward, without being asked to.
3. A source without one passes, and the manifest and a line on stderr say so.
4. One reward for all, none at all, and a filter that would judge nothing.
5. A verifier that breaks ends the preparation; nothing is dropped for it.
6. A plain conversion says what it tried, too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conf.errors import ConfigError, RewardError
from data_prep.manifest import GoldEntry, Manifest
from data_prep.prepare import prepare
from data_prep.sources.declare import declaration, names
from eval.suite import task as tasks
from rewards.registry import BUILT_IN, load_reward

# Their graders are evaluations' own, or there is none: `rewards` has none to train on.
WITHOUT = {"xstest", "advbench", "or_bench", "kk_logic", "knights_and_knaves", "verl_rows"}
NUMBERS = ('{"numbers": [1, 1, 1, 1], "target": 24}', '{"numbers": [3, 3, 8, 8], "target": 24}')
GOLDS = {  # reward → the gold answers of three rows, the first of them bad
    "math": [r"\boxed{}", "4", r"\frac{1}{2}"],
    "countdown": [*NUMBERS, '{"numbers": [4, 6], "target": 24}'],
    "code": ["no tests", '{"test_list": ["assert f(1) == 2"]}', '["assert f() == 1"]'],
    "ifeval": [
        '{"instruction_id_list": ["no:such"], "kwargs": [{}]}',
        *['{"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}'] * 2,
    ],
    "none": ["", "anything", "at all"],
}


def test_every_source_names_the_reward_that_evaluations_grade_it_by() -> None:
    declared = {name: declaration(name) for name in names()}
    with_rows = {name: one for name, one in declared.items() if "rl" in one.kind}
    assert {name for name, one in with_rows.items() if one.reward is None} == WITHOUT
    for one in declared.values():
        if one.reward is not None:
            load_reward(one.reward, one.reward_options)
            assert "rl" in one.kind
    compared = set()
    for name in tasks.names():
        task = tasks.load_task(name)
        if isinstance(task.source, str) and task.grader in BUILT_IN and task.source in declared:
            assert declared[task.source].reward == task.grader, name
            compared.add(task.source)
    assert len(compared) > 15


def mix(tmp_path: Path, *rewards: str, **keys: Any) -> tuple[Manifest, list[str]]:
    """A source for each reward, three rows each; the manifest, and the ids of the rows kept."""
    for name in rewards:
        lines = [{"q": f"{name} question {n}", "a": gold} for n, gold in enumerate(GOLDS[name])]
        if name == "none":
            lines = lines[1:]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
        said = "" if name == "none" else f"reward: {name}\n"
        (tmp_path / f"of_{name}.yaml").write_text(
            f"kind: rl\nfiles: {name}.jsonl\nprompt: q\nanswer: a\n{said}"
        )
    asked = {
        "source": [str(tmp_path / f"of_{name}.yaml") for name in rewards],
        "out": tmp_path / "out",
        "jsonl": True,
        "decontaminate": False,
        **keys,
    }
    manifest = prepare(asked)[0]
    lines = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    return manifest, [json.loads(line)["extra_info"]["id"] for line in lines]


def test_a_mix_is_tried_each_by_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest, kept = mix(tmp_path, *GOLDS)
    assert manifest.sources is not None
    dropped = {name: one.rows_dropped for name, one in manifest.sources.items()}
    assert dropped == {
        "of_math": {"gold_unusable": 1},
        "of_countdown": {"gold_fails": 1},
        "of_code": {"gold_unusable": 1},
        "of_ifeval": {"gold_unusable": 1},
        "of_none": {},
    }
    wanted = [f"of_{name}/train/{n}" for name in GOLDS for n in (1, 2) if name != "none"]
    assert kept == [*wanted, "of_none/train/0", "of_none/train/1"]
    assert manifest.golds == {
        "of_math": GoldEntry(reward="math", tried="answers"),
        "of_countdown": GoldEntry(reward="countdown", tried="solutions"),
        "of_code": GoldEntry(reward="code", tried="read"),
        "of_ifeval": GoldEntry(reward="ifeval", tried="read"),
        "of_none": GoldEntry(reward=None, tried="nothing"),
    }
    said = [line for line in capsys.readouterr().err.splitlines() if "not tried" in line]
    assert len(said) == 1 and said[0].startswith("gold answers of of_none are not tried")
    found = [json.loads(line) for line in (tmp_path / "out/findings.jsonl").open()]
    assert {(one["filter"], one["id"]) for one in found} == {
        ("gold", f"of_{name}/train/0") for name in GOLDS if name != "none"
    }


def test_nothing_is_tried_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, kept = mix(tmp_path, "math", "none", try_golds=False)
    assert len(kept) == 5 and manifest.dropped == {}
    assert manifest.golds == {
        "of_math": GoldEntry(reward="math", tried="nothing"),
        "of_none": GoldEntry(reward=None, tried="nothing"),
    }
    assert "not tried" not in capsys.readouterr().err


def test_one_reward_for_all(tmp_path: Path) -> None:
    manifest, kept = mix(tmp_path, "math", "none", filters={"gold": {"reward": "exact"}})
    assert len(kept) == 5
    assert manifest.golds is not None
    assert {one.reward for one in manifest.golds.values()} == {"exact"}


@pytest.mark.parametrize(
    ("rewards", "keys", "said"),
    [
        (("none",), {"filters": "gold"}, "no source of this preparation names the reward"),
        (("math",), {"filters": "gold", "try_golds": False}, "leave one out"),
    ],
)
def test_a_filter_that_would_judge_nothing_is_refused(
    tmp_path: Path, rewards: tuple[str, ...], keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        mix(tmp_path, *rewards, **keys)
    assert not (tmp_path / "out").exists()


def test_a_verifier_that_breaks_is_no_bad_gold(tmp_path: Path) -> None:
    """Its file lies beside the declaration, and decides the rows: it is among the inputs."""
    (tmp_path / "rows.jsonl").write_text('{"q": "1+1?", "a": "2"}\n{"q": "1+2?", "a": "4"}\n')

    def prepared(name: str, line: str) -> Manifest:
        (tmp_path / f"{name}.py").write_text(f"def grade(response, gold):\n    {line}\n")
        (tmp_path / f"{name}.yaml").write_text(
            f"kind: rl\nfiles: rows.jsonl\nprompt: q\nanswer: a\nreward: {name}.py:grade\n"
        )
        return prepare({"source": str(tmp_path / f"{name}.yaml"), "out": tmp_path / "out"})[0]

    with pytest.raises(RewardError, match=r"row broken/train/0: .*no sandbox"):
        prepared("broken", "raise OSError('no sandbox')")
    assert not (tmp_path / "out").exists()
    manifest = prepared("whole", "return float(response.endswith('# 2'))")
    assert manifest.dropped == {"gold_fails": 1}
    assert "whole/whole.py" in manifest.inputs


def test_a_plain_conversion_says_what_it_tried(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(
        "def rows(spec):\n"
        "    for split in ('train', 'test'):\n"
        "        for n, gold in enumerate(('4', r'\\boxed{}')):\n"
        "            yield {'split': split, 'prompt': f'{split} {n}', 'gold': gold}\n"
    )
    asked = {"source": f"{source}:rows", "out": tmp_path / "out"}
    manifest = prepare(asked)[0]
    assert manifest.dropped == {"gold_unusable": 2}
    (entry,) = (manifest.golds or {}).values()
    assert entry == GoldEntry(reward="math", tried="answers")
    manifest = prepare({**asked, "out": tmp_path / "untried", "reward": None})[0]
    assert manifest.dropped == {} and manifest.examples_kept == {"train": 2, "test": 2}
    (entry,) = (manifest.golds or {}).values()
    assert entry == GoldEntry(reward=None, tried="nothing")
