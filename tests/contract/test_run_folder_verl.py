"""What resume and redaction assume of the installed verl.

1. the files that its FSDP checkpoint manager writes are those that `launch.resume` asks for (a real
   save of a real model on one CPU rank), and torch writes a zip whose directory comes last
2. the tracker's name; pruning removes the actor's folder and not the step's
3. FileLogger's lines are what `launch.run_metrics` reads
4. redaction changes nothing in verl's own trees
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conf.runs import RunFolder
from launch.redact import Redactor
from launch.resume import TRACKER, checkpoints, newest_complete_checkpoint
from launch.run_metrics import merge_metrics

ROOT = Path(__file__).resolve().parents[2]
VERL = Path(str(importlib.util.find_spec("verl").origin)).parent

# One rank, gloo, FSDP2, no Ray: the manager that every FSDP worker of verl saves with.
SAVE = """
import os, sys
import numpy, torch, torch.distributed as dist
os.environ.update(RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import Qwen2Config, Qwen2ForCausalLM
from verl.utils.checkpoint.fsdp_checkpoint_manager import FSDPCheckpointManager
from verl.utils.checkpoint.checkpoint_manager import get_checkpoint_tracker_filename
from verl.utils.tracking import FileLogger
folder, metrics = sys.argv[1], sys.argv[2]
model = Qwen2ForCausalLM(Qwen2Config(vocab_size=32, hidden_size=16, intermediate_size=16,
    num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
    architectures=["Qwen2ForCausalLM"]))
fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
optimizer = torch.optim.AdamW(model.parameters())
model(torch.arange(8)[None]).logits.sum().backward()
optimizer.step()
manager = FSDPCheckpointManager(model, optimizer, None, processing_class=None,
    checkpoint_config={"save_contents": ["model", "optimizer", "extra", "hf_model"]})
os.environ["VERL_FILE_LOGGER_PATH"] = metrics
logger = FileLogger("p", "e")
for step in (1, 2, 3):
    manager.save_checkpoint(f"{folder}/global_step_{step}/actor", None, step, max_ckpt_to_keep=2)
    torch.save({"state": torch.zeros(3)}, f"{folder}/global_step_{step}/data.pt")
    with open(get_checkpoint_tracker_filename(folder), "w") as file:
        file.write(str(step))
    logger.log({"critic/score/mean": numpy.float32(0.5), "nan": float("nan")}, step)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> RunFolder:
    root = tmp_path_factory.mktemp("runs")
    contents = {"checkpoint": {"save_contents": ["model", "optimizer", "extra", "hf_model"]}}
    config = {"job": "grpo", "actor_rollout_ref": {"actor": contents}}
    run = RunFolder.prepare(root, "r", "n", config, redact=lambda tree: tree)
    attempt = run.new_attempt(from_step=0)
    done = subprocess.run(
        [sys.executable, "-c", SAVE, str(run.checkpoints_dir), str(attempt.metrics_file)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, cwd=root,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return run


def test_a_real_checkpoint_is_complete_and_a_pruned_one_is_not(saved):
    found = checkpoints(saved, merge_metrics(saved))
    assert [one.step for one in found] == [1, 2, 3]
    assert [one.problem for one in found[1:]] == ["", ""]
    assert "fsdp_config.json" in found[0].problem
    assert (saved.checkpoints_dir / "global_step_1/data.pt").is_file()  # pruned around it
    assert (saved.checkpoints_dir / TRACKER).read_text() == "3"


def test_metrics_are_read(saved):
    report = merge_metrics(saved)
    assert (report.steps, report.gaps, report.torn) == ([1, 2, 3], [], [])
    line = json.loads(saved.metrics_file.read_text().splitlines()[0])
    assert line == {"step": 1, "data": {"critic/score/mean": 0.5, "nan": None}}


@pytest.mark.parametrize(
    "name", ["model_*", "optim_*", "extra_state_*", "huggingface/*.safetensors"]
)
def test_each_file_it_asks_for_matters(saved, name):
    """Cut in half or taken away, the newest checkpoint is not gone on from; whole again, it is."""
    (path,) = (saved.checkpoints_dir / "global_step_3/actor").glob(name)
    whole = path.read_bytes()
    if path.suffix == ".pt":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        path.unlink()
    try:
        assert checkpoints(saved, merge_metrics(saved))[-1].problem
    finally:
        path.write_bytes(whole)
    assert newest_complete_checkpoint(saved).step == 3


@pytest.mark.parametrize("tree", ["_generated_ppo_trainer.yaml", "sft_trainer_engine.yaml"])
def test_redaction_leaves_verls_trees_alone(tree):
    config = OmegaConf.to_container(OmegaConf.load(VERL / "trainer/config" / tree))
    assert Redactor({}).tree(config) == config


def test_validation_records_are_told_by_their_prefixes():
    """Verl names validation metrics by a section; a new section would read as training."""
    source = (VERL / "trainer/ppo/v1/trainer_base.py").read_text()
    assert 'metric_sec = "val-core"' in source and 'metric_sec = "val-aux"' in source
    assert '"val/loss"' in (VERL / "trainer/sft_trainer_ray.py").read_text()
