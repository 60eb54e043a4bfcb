"""The SFT that warms a job up runs on what the job was given, and differs in nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conf.run_identity import differences
from conf.runs import plain
from launch.compose import compose, resolve
from launch.plan import as_prepared, warm_start_config

GPUS = [
    "+recipe=arithmetic",
    "hardware=gpu8x2",
    "hardware.ray_address=auto",
    "hardware.attention=flash_attention_2",
    "hardware.remove_padding=true",
    "preflight.enable=false",
    "preflight.min_free_gb=1",
]


def test_it_gets_the_machine_and_the_checks_of_the_job() -> None:
    job = resolve(compose("grpo", GPUS))
    warm = warm_start_config(job)
    assert {**warm.hardware, "launcher": None} == {**job.hardware, "launcher": None}
    assert warm.hardware.ray_address == "auto"
    assert warm.preflight == {"enable": False, "min_free_gb": 1}
    # And verl's own keys follow.
    assert warm.model.use_remove_padding is True
    assert warm.model.override_config.attn_implementation == "flash_attention_2"
    assert (warm.trainer.nnodes, warm.trainer.n_gpus_per_node) == (2, 8)


def test_open_ranks_and_a_cpu_s_logical_ones() -> None:
    warm = warm_start_config(
        resolve(compose("ppo", ["+recipe=arithmetic", "hardware=gpu", "hardware.ranks=3"]))
    )
    assert warm.trainer.n_gpus_per_node == 3
    given = ["+recipe=arithmetic", "hardware=cpu", "hardware.ray_cpus=99"]
    assert warm_start_config(resolve(compose("grpo", given))).hardware.ray_cpus == 99


def test_it_gets_policy_and_data_and_no_warm_start_of_its_own(tmp_path: Path) -> None:
    given = ["policy.path=org/model", "policy=hub", f"data_prep.out={tmp_path}", "run.seed=4"]
    added = ["++data_prep.reward_options={style: {limit: null, use: 'a b.py:f'}}"]
    job = resolve(compose("grpo", ["+recipe=arithmetic", "hardware=cpu", *given, *added]))
    warm = warm_start_config(job)
    assert warm.policy == {**job.policy, "warm_start": None} and warm.model.path == "org/model"
    assert warm.data_prep == job.data_prep
    assert warm.data.train_files == f"{tmp_path}/sft_train.parquet"
    assert (warm.run.seed, warm.engine.seed) == (4, 4)


@pytest.mark.parametrize(
    ("job", "name", "wanted"), [("grpo", None, "sft"), ("ppo", None, "sft"), ("grpo", "a", "a-sft")]
)
def test_where_it_runs(job: str, name: str | None, wanted: str) -> None:
    given = [f"run.name={name}"] if name else []
    warm = warm_start_config(resolve(compose(job, ["+recipe=arithmetic", "hardware=cpu", *given])))
    assert warm.run.name == wanted
    assert Path(warm.trainer.default_local_dir).parts[-4:-1] == ("runs", "arithmetic", wanted)


@pytest.mark.parametrize("recipe", ["arithmetic", "custom_reward"])
def test_it_is_the_run_that_launch_sft_makes(recipe: str) -> None:
    """Who ran launch.sft of the recipe before has nothing to train again."""
    given = [f"+recipe={recipe}", "hardware=cpu"]
    alone = resolve(compose("sft", given))
    warm = warm_start_config(resolve(compose("grpo", given)))
    assert differences(plain(alone), plain(warm)) == []


def test_a_composed_reward_leaves_the_warm_start_the_run_that_it_was(tmp_path: Path) -> None:
    """Data checked by `math` serve 0.9*math + 0.1*format, and so does the SFT on them."""
    given = ["+recipe=arithmetic", "hardware=cpu", f"data_prep.out={tmp_path}"]
    before = warm_start_config(resolve(compose("grpo", given)))
    shaped = [*given, "reward_fn.name='0.9*math + 0.1*format if format'"]
    warm = warm_start_config(resolve(compose("grpo", shaped)))
    assert as_prepared(warm) == warm  # nothing is prepared there yet
    manifest = {"spec": {"reward": "math", "reward_options": {}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert differences(plain(before), plain(as_prepared(warm))) == []
    assert differences(plain(before), plain(as_prepared(before))) == []
