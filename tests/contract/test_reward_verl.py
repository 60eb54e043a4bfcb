"""Our rewards inside the installed verl: its loader, its data, its metrics, its estimators.

1. verl's own loader finds our manager by `importlib`, and our function by `pkg://`.
2. The manager counts tokens, tells a cut-off response from an ended one, gives up on a verdict that
   does not come, and hands the reward what verl's own manager would.
3. What it returns serves `maj@N`, the group filter and GDPO, as verl computes them.
4. The isolation tier that judged a response is in the step's metrics, by our trainer's own way.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from tensordict import TensorDict
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast
from verl import DataProto
from verl.trainer.ppo.metric_utils import process_validation_metrics
from verl.trainer.ppo.reward import load_reward_manager, resolve_reward_manager_cls
from verl.trainer.ppo.v1 import trainer_base
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from conf.errors import RewardError
from launch.bridge.reward_metrics import Row
from launch.bridge.reward_rows import components_for_gdpo, group_scores
from launch.bridge.reward_watch import RewardWatch
from launch.bridge.trainer import GuardedTrainer
from rewards.breaker import LEDGER
from rewards.code.grade import active_tier
from rewards.group import load_group
from rewards.sandbox import tiers
from rewards.verl_entry import compute_score, drain

CAP = 24
MINE = """
import threading
ALL = threading.Barrier(8)
def seen(response, gold, **row):
    import json
    keys = ("response_tokens", "truncated", "max_response_tokens", "prompt", "num_turns", "id")
    from rewards.verdict import Verdict
    return Verdict(0.0, 0.0, "wrong", json.dumps([row[key] for key in keys]), {"a": 0.5})
def together(response, gold):
    ALL.wait(50)  # raises unless eight are here at once
    return 1.0
def never(response, gold):
    threading.Event().wait()
def leaves(response, gold, **row):
    raise SystemExit(2)
"""
OWN = """
async def compute_score(data_source, solution_str, ground_truth, extra_info, **kwargs):
    return float(solution_str == ground_truth)
def leaves(data_source, solution_str, ground_truth, extra_info, **kwargs):
    raise SystemExit(2)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a byte-level tokenizer and a generation config with an end token of its own."""
    folder = tmp_path_factory.mktemp("model")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, "<end>", "<turn>"]
    raw = Tokenizer(models.BPE(vocab={w: n for n, w in enumerate(words)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(["<end>", "<turn>"])
    made = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", pad_token="<end>")
    made.save_pretrained(folder)
    turn = made.convert_tokens_to_ids("<turn>")
    GenerationConfig(eos_token_id=[made.eos_token_id, turn]).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Any:
    return PreTrainedTokenizerFast.from_pretrained(model)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mine") / "mine.py"
    file.write_text(MINE)
    file.with_name("own.py").write_text(OWN)
    return file


def manager(model: Path, tokenizer: Any, reward: str, **changes: Any) -> Any:
    """Our manager, made as verl's reward workers make theirs."""
    config = OmegaConf.create(
        {
            "reward": {
                "custom_reward_function": {
                    "path": "pkg://rewards.verl_entry",
                    "name": "compute_score",
                    "reward_kwargs": {"reward": reward, "options": {}, "control": None},
                },
                "reward_manager": {
                    "source": "importlib",
                    "name": "VerdictManager",
                    "module": {"path": "pkg://rewards.verl_manager"},
                },
                "sandbox_fusion": None,
            },
            "reward_fn": {"deadline": 30},
            "actor_rollout_ref": {
                "model": {"path": str(model)},
                "rollout": {"response_length": CAP, "max_model_len": None},
            },
        }
    )
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value)
    assert isinstance(config, DictConfig)
    assert resolve_reward_manager_cls(config).__name__ == "VerdictManager"
    return load_reward_manager(config, tokenizer)


def rollout(tokenizer: Any, response: str, gold: str = "42", *, pad: int = 0) -> DataProto:
    """One rollout as verl's agent loop hands it over."""
    prompt = tokenizer.encode("2+40=", add_special_tokens=False)
    ids = tokenizer.encode(response, add_special_tokens=False)
    responses = torch.tensor([ids + [0] * pad])
    prompts = torch.tensor([prompt])
    mask = torch.tensor([[1] * len(prompt + ids) + [0] * pad])
    batch = {"prompts": prompts, "responses": responses, "attention_mask": mask}
    info = {"id": "sums/1", "index": "1", "split": "train"}
    message = np.empty(1, dtype=object)
    message[0] = [{"role": "user", "content": "2+40="}]
    return DataProto(
        batch=TensorDict(batch, batch_size=1),
        non_tensor_batch={
            "data_source": np.array(["sums"]),
            "reward_model": np.array([{"ground_truth": gold}]),
            "extra_info": np.array([info]),
            "raw_prompt": message,
            "__num_turns__": np.array([2]),
            "tool_extra_fields": np.array([{}]),
            "prompt_len": np.array([len(prompt)]),
            "response_len": np.array([len(ids)]),
        },
    )


def judged(made: Any, data: DataProto) -> dict[str, Any]:
    result: dict[str, Any] = asyncio.run(made.run_single(data))
    return result


def test_scores_and_counts(model: Path, tokenizer: Any) -> None:
    made = manager(model, tokenizer, "math")
    result = judged(made, rollout(tokenizer, "#### 42<end>", pad=5))
    info = result["reward_extra_info"]
    assert result["reward_score"] == info["score"] == info["acc"] == 1.0
    assert info["pred"] == "42" and info["status"] == "correct"
    assert info["id"] == "sums/1" and info["data_source"] == "sums"
    assert (info["response_tokens"], info["truncated"]) == (8.0, 0.0)
    assert judged(made, rollout(tokenizer, "#### 41<end>"))["reward_score"] == 0.0


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("x" * CAP, True),
        ("x" * (CAP - 1) + "<end>", False),
        ("x" * (CAP - 1) + "<turn>", False),  # the model's generation config ends here too
        ("x" * (CAP - 1), False),
        ("<end>", False),
    ],
)
def test_truncation(model: Path, tokenizer: Any, text: str, cut: bool) -> None:
    made = manager(model, tokenizer, "math")
    info = judged(made, rollout(tokenizer, text))["reward_extra_info"]
    assert info["truncated"] == float(cut)


def test_a_context_that_is_full_cuts_too(model: Path, tokenizer: Any) -> None:
    changes = {"actor_rollout_ref__rollout__max_model_len": 15}  # ten past the prompt
    made = manager(model, tokenizer, "math", **changes)
    for length, cut in ((9, 0.0), (10, 1.0)):
        info = judged(made, rollout(tokenizer, "x" * length))["reward_extra_info"]
        assert info["truncated"] == cut


def test_what_the_reward_is_told(model: Path, tokenizer: Any, mine: Path) -> None:
    made = manager(model, tokenizer, f"{mine}:seen")
    info = judged(made, rollout(tokenizer, "abc<end>"))["reward_extra_info"]
    prompt = '[{"role": "user", "content": "2+40="}]'
    assert info["pred"] == f'[4, false, {CAP}, {prompt}, 2, "sums/1"]'
    assert info["component_a"] == 0.5


def test_verdicts_come_side_by_side_and_a_late_one_is_given_up(
    model: Path, tokenizer: Any, mine: Path
) -> None:
    made = manager(model, tokenizer, f"{mine}:together", reward_fn__deadline=60)

    async def many(count: int) -> list[Any]:
        calls = [made.run_single(rollout(tokenizer, "x")) for _ in range(count)]
        return await asyncio.gather(*calls, return_exceptions=True)

    assert [one["reward_score"] for one in asyncio.run(many(8))] == [1.0] * 8

    drain()
    made = manager(model, tokenizer, f"{mine}:never", reward_fn__deadline=0.1)
    begun = time.monotonic()
    (error,) = asyncio.run(many(1))
    assert time.monotonic() - begun < 30
    assert isinstance(error, TimeoutError) and "reward_fn.deadline" in str(error)
    handed = drain()
    assert [event[1] for event in handed["events"]] == ["verifier_error"]
    assert "sums/1" in handed["samples"][0]["detail"]


def test_failures_raise_and_never_end_the_worker(model: Path, tokenizer: Any, mine: Path) -> None:
    with pytest.raises(RewardError, match="gold_error"):
        judged(manager(model, tokenizer, "math"), rollout(tokenizer, "#### 42", gold=""))
    with pytest.raises(RewardError, match="SystemExit"):
        judged(manager(model, tokenizer, f"{mine}:leaves"), rollout(tokenizer, "x"))
    function = {"reward__custom_reward_function__path": str(mine.with_name("own.py"))}
    leaves = {**function, "reward__custom_reward_function__name": "leaves"}
    with pytest.raises(RuntimeError, match=r"SystemExit\(2\)"):
        judged(manager(model, tokenizer, "math", **leaves), rollout(tokenizer, "x"))


def test_an_async_function_of_the_user_s_own(model: Path, tokenizer: Any, mine: Path) -> None:
    function = {"reward__custom_reward_function__path": str(mine.with_name("own.py"))}
    made = manager(model, tokenizer, "math", **function)
    result = judged(made, rollout(tokenizer, "42<end>"))
    assert result["reward_score"] == 1.0
    assert result["reward_extra_info"]["acc"] == 1.0


def test_majority_votes_count_our_predictions(model: Path, tokenizer: Any) -> None:
    made = manager(model, tokenizer, "math")
    texts = ["#### 42", "#### 42.0", "#### 41"]  # two equal predictions, written apart
    infos = [judged(made, rollout(tokenizer, t))["reward_extra_info"] for t in texts]
    table = {key: [info[key] for info in infos] for key in infos[0]}
    metrics = process_validation_metrics(["sums"] * 3, ["u"] * 3, table)["sums"]
    assert metrics["acc"]["mean@3"] == pytest.approx(2 / 3)
    # Of three drawn with replacement, 41 leads or ties first only when it comes at least twice.
    assert metrics["acc"]["maj@3/mean"] == pytest.approx(20 / 27, abs=0.06)
    assert set(metrics) >= {"acc", "score", "response_tokens", "truncated"}


def test_gdpo_normalises_each_component_in_its_group() -> None:
    components = {"p_0_0": (1.0, 0.0), "p_1_0": (0.0, 1.0), "p_2_0": (0.0, 0.0)}
    names = ["component_math", "component_format"]
    rows = [
        Row(key, "p", 9.0 * math + format_, dict(zip(names, (math, format_), strict=True)))
        for key, (math, format_) in components.items()
    ]
    keys = [*components, "pad0_0_0"]
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    batch = {"response_mask": mask, "token_level_rewards": torch.zeros(4, 2)}
    uids = np.array(["p", "p", "p", "pad0"], dtype=object)
    data = DataProto(batch=TensorDict(batch, batch_size=4), non_tensor_batch={"uid": uids})
    config = OmegaConf.create({"gdpo_reward_keys": names})
    before = trainer_base.compute_advantage_for_multi_trajectories
    with components_for_gdpo(rows, names):
        done = trainer_base.compute_advantage_for_multi_trajectories(
            data, batch_keys=keys, adv_estimator="gdpo", config=config
        )
    assert trainer_base.compute_advantage_for_multi_trajectories is before
    # Each component is (1, 0, 0) in some order: z = (2, −1, −1)/√3 with n − 1; their sum, whitened
    # over the five tokens, keeps the first two equal although math weighs nine times as much.
    z = np.array([1.0, 1.0, -2.0]) / np.sqrt(3)
    tokens = np.array([z[0], z[0], z[1], z[2], z[2]])
    white = (z - tokens.mean()) / np.sqrt(tokens.var(ddof=1))
    found = done.batch["advantages"]
    assert found[:3, 0].tolist() == pytest.approx(white.tolist(), abs=1e-3)
    assert found[3].tolist() == [0.0, 0.0] and found[1, 1] == 0.0
    unknown = pytest.raises(RewardError, match="verdicts have component_format, component_math")
    with unknown, components_for_gdpo(rows, ["component_maths"]):
        pass


def test_group_rewards_see_a_prompt_s_sessions_once() -> None:
    info = {"acc": 1.0, "response_tokens": 10.0}
    rows = [
        Row("p_0_0", "p", 1.0, info),  # an earlier output of the session below
        Row("p_0_1", "p", 1.0, info),
        Row("p_1_0", "p", 1.0, {**info, "response_tokens": 30.0}),
        Row("q_0_0", "q", 1.0, info),
    ]
    scores = group_scores(rows, load_group("kimi_length"))
    assert scores == {"p_0": 1.5, "p_1": 0.5, "q_0": 1.0}


class _Worker:
    """verl's reward worker as Ray's handle shows it, in this process."""

    class __ray_call__:
        @staticmethod
        def remote(function: Any, *arguments: Any) -> Any:
            return function(None, *arguments)


@pytest.mark.skipif(
    all(tiers.probe(tier, tiers.Setting()) for tier in tiers.TIERS[:3]),
    reason="this machine has no isolation tier",
)
def test_the_sandbox_s_tier_is_in_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LEDGER, "_facts", set())
    monkeypatch.setattr("ray.get", list)
    monkeypatch.setattr(PPOTrainerSync, "_compute_metrics", lambda *a, **k: None)
    config = OmegaConf.create(
        {
            "run": {"dir": str(tmp_path)},
            "reward": {"custom_reward_function": {"path": "pkg://rewards.verl_entry"}},
            "reward_fn": {
                "breaker": {"share": 0.02, "window": 512},
                "on_error": "drop",
                "group": {"name": None, "options": {}},
            },
        }
    )
    trainer = GuardedTrainer.__new__(GuardedTrainer)
    trainer.watch, trainer.verdicts = RewardWatch(config, [_Worker()]), []

    def metrics() -> dict[str, Any]:
        trainer.verdicts = trainer.watch.collect(1)
        found: dict[str, Any] = {}
        trainer._compute_metrics(None, found)
        return {key: value for key, value in found.items() if "sandbox" in key}

    drain()
    compute_score("sums", "#### 4", "4", {"id": "s/1"}, reward="math")
    assert metrics() == {}  # mathematics needs none
    answer, tests = "```python\ndef f(x): return x + 1\n```", '{"tests": ["assert f(1) == 2"]}'
    assert compute_score("sums", answer, tests, {"id": "s/2"}, reward="code")["score"] == 1.0
    assert metrics() == {f"reward/sandbox/{active_tier()}": 1.0}
    assert active_tier() in tiers.TIERS[:3]
    assert metrics() == {f"reward/sandbox/{active_tier()}": 1.0}  # at every step, once it is known
