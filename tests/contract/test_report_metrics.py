"""The metric names that the report draws are those that the installed verl logs.

Read from verl's source without importing it. A renamed metric would show as `not recorded`, which
nobody would take for a defect.
"""

import importlib.util
from pathlib import Path

import pytest

from eval.training.curves import ACCURACY, KL, MISMATCH

# Metric, the file of the wheel that logs it, and what that file must hold.
LOGGED = [
    ("critic/score/mean", "trainer/ppo/metric_utils.py", '"critic/score/mean"'),
    ("critic/rewards/mean", "trainer/ppo/metric_utils.py", '"critic/rewards/mean"'),
    ("critic/vf_explained_var", "trainer/ppo/metric_utils.py", '"critic/vf_explained_var"'),
    ("critic/vf_loss", "workers/utils/losses.py", '"critic/vf_loss"'),
    ("response_length/mean", "trainer/ppo/metric_utils.py", '"response_length/mean"'),
    ("response_length/clip_ratio", "trainer/ppo/metric_utils.py", '"response_length/clip_ratio"'),
    ("timing_s/step", "trainer/ppo/metric_utils.py", 'f"timing_s/{name}"'),
    ("actor/entropy", "trainer/ppo/v1/trainer_base.py", '"actor/entropy"'),
    ("actor/kl_loss", "workers/utils/losses.py", 'metrics["kl_loss"]'),
    ("actor/*", "trainer/ppo/v1/trainer_base.py", '"actor/")'),
    ("actor/ppo_kl", "trainer/ppo/core_algos.py", '"actor/ppo_kl"'),
    ("actor/reward_kl_penalty", "trainer/ppo/ray_trainer.py", '"actor/reward_kl_penalty"'),
    ("actor/grad_norm", "trainer/ppo/v1/trainer_base.py", '"actor/grad_norm"'),
    ("rollout_corr/*", "trainer/ppo/rollout_corr_helper.py", 'f"rollout_corr/{key}"'),
    ("rollout_corr/k3_kl", "trainer/ppo/rollout_corr_helper.py", 'metrics["k3_kl"]'),
    ("training/rollout_probs_diff_max", "utils/debug/metrics.py",
     '"training/rollout_probs_diff_max"'),
    ("train/loss", "trainer/sft_trainer_ray.py", '"train/loss"'),
    ("train/grad_norm", "trainer/sft_trainer_ray.py", '"train/grad_norm"'),
    ("train/lr", "trainer/sft_trainer_ray.py", '"train/lr"'),
    ("val/loss", "trainer/sft_trainer_ray.py", '"val/loss"'),
    ("val-core/…", "trainer/ppo/v1/trainer_base.py",
     'f"{metric_sec}/{data_source}/{var_name}/{metric_name}"'),
    ("dump", "trainer/ppo/v1/trainer_base.py", '"output": outputs'),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "file", "text"), LOGGED, ids=[row[0] for row in LOGGED])
def test_verl_logs_it(metric, file, text):
    root = Path(importlib.util.find_spec("verl").submodule_search_locations[0])
    assert text in (root / file).read_text(encoding="utf-8"), f"{metric} is not logged by {file}"


def test_the_table_holds_what_is_drawn():
    names = {row[0] for row in LOGGED}
    assert {key for key, *_ in MISMATCH} <= names
    assert {key for key, *_ in KL} <= names
    assert ACCURACY.fullmatch("val-core/openai/gsm8k/acc/mean@1")["source"] == "openai/gsm8k"
