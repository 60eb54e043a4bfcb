"""What is refused, and what the user is told.

1. Existing keys pass, in each of Hydra's forms; values may hold `=`.
2. Unknown keys are refused with the nearest one; dead ones with the one to use.
3. `+` is for new keys below open nodes or read by name; elsewhere it is refused.
4. `++` insists on a dead key where a class of the user's own may read it.
5. Options of groups; nodes set to a value; mappings as values.
6. Files: the same, the message names the file.
7. The shipped table loads at once, and without Hydra, torch or verl.
"""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from conf.errors import ConfigError
from launch import dead_keys
from launch.dead_keys import DeadKey, KeyTable
from launch.keys import Known, Override, check_overrides, check_tree, choices, flatten, parse

TREE = {
    "trainer": {"total_epochs": 3, "logger": ["console"], "balance_batch": True},
    "actor": {"optim": {"lr": 1e-6}, "override_config": {}, "engine": {"kwargs": {"a": 1}}},
    "data": {"files": "x", "seed": None, "raw": False},
    "reward": {"function": {"path": None, "name": "f"}},
    "function": {"path": None, "name": None},
    "hardware": {"name": "cpu"},
}
TABLE = KeyTable(
    "9.9",
    {
        "function.path": DeadKey("nothing reads the node function", "reward.function.path"),
        "function.name": DeadKey("nothing reads the node function", "reward.function.name"),
        "trainer.balance_batch": DeadKey("nothing reads a key called balance_batch", ""),
        "data.raw": DeadKey("nothing reads a key called raw", ""),
    },
    frozenset({"actor.engine.kwargs", "data"}),
    frozenset({"reward.function.reward_kwargs"}),
)
KNOWN = Known.of(TREE, TABLE, {"hardware": ["cpu", "gpu1", "gpu8"], "recipe": ["gsm8k", "sums"]})


def refusal(*overrides: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check_overrides(list(overrides), KNOWN)
    return caught.value


@pytest.mark.parametrize(
    "override",
    [
        "trainer.total_epochs=5",
        "++trainer.total_epochs=5",
        "~trainer.logger",
        "~trainer.logger=[console]",
        "trainer.logger=[console,file]",
        "data.files=a=b.parquet",
        "data.files=",
        "reward.function={path: f.py}",
        "data=null",
        "hardware=gpu8",
        "hardware@other=gpu1",
        "+recipe=sums",
        "+recipe=./my/recipe",
        "+actor.override_config.attn=sdpa",
        "++actor.override_config.attn.deep=sdpa",
        "+actor.override_config={attn: sdpa}",
        "++actor.override_config={attn: sdpa}",
        "actor.override_config={}",
        "+actor.engine.kwargs.b=2",
        "+reward.function.reward_kwargs.x=1",
        "+reward.function.reward_kwargs={x: 1}",
        "++data.raw=True",
        "hydra.run.dir=out",
        "hydra/launcher=basic",
        "--cfg",
        "-c",
    ],
)
def test_legal_overrides_pass(override: str) -> None:
    check_overrides([override], KNOWN)


@pytest.mark.parametrize(
    ("override", "message", "fix"),
    [
        (
            "trainer.tota_epochs=5",
            "unknown key trainer.tota_epochs; nearest: trainer.total_epochs",
            "trainer.total_epochs=5",
        ),
        ("lr=1e-6", "unknown key lr; nearest: actor.optim.lr", "actor.optim.lr=1e-6"),
        (
            "~trainer.loger",
            "unknown key trainer.loger; nearest: trainer.logger",
            "~trainer.logger",
        ),
        (
            "+trainer.total_epoch=5",
            "unknown key trainer.total_epoch; nearest: trainer.total_epochs",
            "trainer.total_epochs=5",
        ),
        ("hardwar=gpu8", "unknown key hardwar; nearest: hardware", "hardware=gpu8"),
        ("zzz.qqq=1", "unknown key zzz.qqq; no key is like it", "--cfg job lists all keys"),
        (
            "function.path=f.py",
            "function.path composes but no code of verl 9.9 reads it; use reward.function.path",
            "reward.function.path=f.py",
        ),
        (
            "++function.path=f.py",
            "function.path composes but no code of verl 9.9 reads it; use reward.function.path",
            "reward.function.path=f.py",
        ),
        (
            "function={path: f.py}",
            "function.path composes but no code of verl 9.9 reads it; use reward.function.path",
            "reward.function.path=f.py",
        ),
        (
            "function=null",
            "function composes but no code of verl 9.9 reads it; use reward.function",
            "reward.function=null",
        ),
        (
            "trainer.balance_batch=False",
            "trainer.balance_batch composes but no code of verl 9.9 reads it"
            " (nothing reads a key called balance_batch)",
            "leave trainer.balance_batch out",
        ),
        (
            "data.raw=True",
            "data.raw composes but no code of verl 9.9 reads it (nothing reads a key called raw)",
            "leave data.raw out",
        ),
        (
            "actor.override_config.attn=sdpa",
            "actor.override_config.attn is not in the tree; it may be added with +",
            "+actor.override_config.attn=sdpa",
        ),
        ("data.sead=1", "unknown key data.sead; nearest: data.seed", "data.seed=1"),
        (
            "+trainer.total_epochs=5",
            "trainer.total_epochs exists already, + is for new keys",
            "trainer.total_epochs=5",
        ),
        ("trainer=5", "trainer is a node with 3 keys, not a value", "trainer.total_epochs=…"),
        (
            "trainer={total_epochs: 5, loger: [x]}",
            "unknown key trainer.loger; nearest: trainer.logger",
            "trainer.logger=['x']",
        ),
        (
            "actor.override_config={attn: sdpa}",
            "actor.override_config is empty; new keys in it are added with +",
            "+actor.override_config={attn: sdpa}",
        ),
        ("hardware=gpux", "hardware has no option gpux; it has cpu, gpu1, gpu8", "hardware=gpu1"),
        ("+recipe=gsm8", "recipe has no option gsm8; it has gsm8k, sums", "+recipe=gsm8k"),
        ("epochs", "'epochs' is no override; expected key=value", "epochs=…"),
        ("=5", "'=5' is no override; expected key=value", "key=…"),
        ("+++a=5", "'+++a=5' is no override; expected key=value", "a=…"),
    ],
)
def test_refusals_name_the_way_out(override: str, message: str, fix: str) -> None:
    error = refusal(override)
    assert (error.message, error.fix) == (message, fix)


def test_a_node_given_one_value_means_its_path() -> None:
    """`model=…` is no slip of `….qat.mode`; the path is ours, which verl's follows."""
    tree = {
        "policy": {"path": "???"},
        "actor": {"model": {"path": "${policy.path}", "kind": "x"}, "qat": {"mode": "w"}},
        "engine": {"kind": "x", "steps": 3},
    }
    known = Known.of(tree)
    for override in ("model=org/m", "actor.model=org/m"):
        with pytest.raises(ConfigError) as caught:
            check_overrides([override], known)
        assert caught.value.fix == "policy.path=org/m"
    with pytest.raises(ConfigError) as caught:
        check_overrides(["engine=3"], known)
    assert caught.value.fix == "engine.kind=…"


def test_several_problems_make_one_line() -> None:
    error = refusal("trainer.total_epochs=1", "lr=1", "zzz.qqq=1", "function.path=f")
    assert error.message == "unknown key lr; nearest: actor.optim.lr (and 2 more)"


def test_dead_keys_are_never_suggested() -> None:
    assert "nearest" not in refusal("trainer.balanced_batches=True").message


def test_parse_takes_signs_packages_and_values_apart() -> None:
    assert parse("++a.b@c.d=x=y") == Override("++", "a.b", "x=y")
    assert parse("~a") == Override("~", "a", None)


def test_choices_are_the_group_overrides() -> None:
    overrides = ["lr=1", "hardware=cpu", "+recipe=sums", "--cfg", "job", "hardware@x=gpu1", "~a"]
    assert choices(overrides, KNOWN.groups) == ["hardware=cpu", "+recipe=sums", "hardware@x=gpu1"]


def test_flatten_keeps_empty_mappings_as_leaves() -> None:
    assert flatten({"a": {"b": {}, "c": {"d": 1}}, "e": None}) == {
        "a.b": {},
        "a.c.d": 1,
        "e": None,
    }


def test_a_file_may_set_and_add_what_the_command_line_may() -> None:
    leaves = {
        "trainer": {"total_epochs": 1},
        "actor": {"override_config": {"attn": "sdpa"}, "optim": {}},
        "reward.function.reward_kwargs.x": 1,
    }
    check_tree(leaves, KNOWN, "recipe.yaml")


@pytest.mark.parametrize(
    ("leaves", "message"),
    [
        (
            {"trainer": {"tota_epochs": 1}},
            "r.yaml: unknown key trainer.tota_epochs; nearest: trainer.total_epochs",
        ),
        (
            {"function": {"path": "f.py"}},
            "r.yaml: function.path composes but no code of verl 9.9 reads it;"
            " use reward.function.path",
        ),
        ({"trainer": 5}, "r.yaml: trainer is a node with 3 keys, not a value"),
        ({"data": {"raw": True}}, "r.yaml: data.raw composes but no code of verl 9.9 reads it"),
    ],
)
def test_a_file_is_named(leaves: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_tree(leaves, KNOWN, "r.yaml")
    assert caught.value.message.startswith(message)


def test_a_missing_table_says_how_to_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_keys, "TABLE", dead_keys.TABLE.with_name("nowhere.json"))
    with pytest.raises(ConfigError, match=r"launch\.derive_dead_keys --write"):
        dead_keys.load.__wrapped__("ppo_trainer")


@pytest.mark.parametrize("job", ["grpo", "ppo", "sft"])
def test_each_job_has_a_table(job: str) -> None:
    table = dead_keys.for_job(job)
    assert table.dead
    assert table.version.count(".") == 2


def test_loading_and_checking_is_quick_and_light() -> None:
    code = (
        "import sys, time; t = time.process_time();"
        "from launch import dead_keys, keys;"
        "k = keys.Known.of({'a': {'b': 1}}, dead_keys.for_job('grpo'));"
        "keys.check_overrides(['a.b=2'], k);"
        "assert not {'torch', 'verl', 'hydra', 'omegaconf'} & set(sys.modules);"
        "print(time.process_time() - t)"
    )
    seconds = [_run(code) for _ in range(3)]
    assert min(seconds) < 0.25  # 0.03 s; one that composes takes a second


def _run(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_a_refusal_over_a_thousand_keys_takes_no_time() -> None:
    tree = {f"node{i}": {f"some_key_{j}": 1 for j in range(30)} for i in range(30)}
    known = Known.of(tree)
    start = time.process_time()
    with pytest.raises(ConfigError):
        check_overrides(["node3.sume_key_7=1"], known)
    assert time.process_time() - start < 2.0
