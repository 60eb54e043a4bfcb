"""The one function that verl's reward manager calls, for every data source.

In: verl's call by keyword, `reward_kwargs` of the configuration among them: `reward` (the spec)
and `options` of that reward (or its options beside `reward`). Out: a flat dict with the same
scalar keys for each sample. Name it in verl's tree as
`reward.custom_reward_function.path=pkg://rewards.verl_entry`, which Python's import system
resolves on each node, whatever the working folder. Runs in any thread, needs neither signals nor
torch, verl or Ray. A broken verdict raises: verl then drops the sample, and nothing trains on a
made-up 0.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from conf.errors import RewardError
from rewards.control import controlled
from rewards.registry import Reward, load_reward

# What verl passes by itself when a reward model is on; no reward of ours reads it.
_VERL_ONLY = frozenset({"reward_router_address", "reward_model_tokenizer"})

_lock = threading.Lock()
_loaded: dict[str, tuple[Reward, list[frozenset[str]]]] = {}


def _resolve(spec: str, options: Mapping[str, Any]) -> tuple[Reward, list[frozenset[str]]]:
    """Load once per process; beside the reward, the keys that its first verdict had."""
    key = repr((spec, sorted(options.items())))
    known = _loaded.get(key)
    if known is None:
        with _lock:
            known = _loaded.get(key)
            if known is None:
                known = _loaded[key] = (load_reward(spec, options), [])
    return known


def _plain(value: Any) -> Any:
    """OmegaConf's containers as plain ones: a reward function should see dicts and lists."""
    if isinstance(value, Mapping):
        return {str(k): _plain(value[k]) for k in value}
    if isinstance(value, (list, tuple)) or type(value).__name__ == "ListConfig":
        return [_plain(item) for item in value]
    return value


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    **reward_kwargs: Any,
) -> dict[str, float | str]:
    """Judge one response for verl.

    Args:
        data_source: the row's source.
        solution_str: the response, special tokens removed.
        ground_truth: the row's gold answer.
        extra_info: the row's other fields; `id`, else `index`, names the sample in messages.
        reward_kwargs: `reward`, that reward's options, in a mapping `options` or by name, and
            `control`: None, or a control arm whose score replaces the reward's.

    Returns:
        `score`, `acc`, `pred`, `status`, `detail`, and `component_<name>` for each component.

    Raises:
        RewardError: the reward does not load, or its verdict on this sample is broken.
    """
    options = {k: _plain(v) for k, v in reward_kwargs.items() if k not in _VERL_ONLY}
    if "reward" not in options:
        raise RewardError(
            "verl_entry was called without a reward",
            fix="+reward.custom_reward_function.reward_kwargs.reward=math",
        )
    spec = options.pop("reward")
    control = options.pop("control", None)
    nested = options.pop("options", None) or {}
    reward, seen = _resolve(spec, {**options, **nested})
    row = {**(extra_info or {}), "data_source": data_source}
    sample = row.get("id") or row.get("index")
    verdict = reward.judge(solution_str, ground_truth, row)
    if verdict.broken:
        raise RewardError(
            f"sample {sample!r} of {data_source!r}: {verdict.status}: {verdict.detail}",
            fix="this sample is dropped; python -m rewards.check tries the reward alone",
        )
    if control is not None:
        verdict = controlled(verdict, str(control), solution_str, row)
    flat = verdict.to_verl()
    keys = frozenset(flat)
    if not seen:
        seen.append(keys)
    if keys != seen[0]:
        raise RewardError(
            f"sample {sample!r}: {reward.spec} gave components {sorted(keys - seen[0])} anew and "
            f"left out {sorted(seen[0] - keys)} ({reward.where})",
            fix="return the same component names for each sample",
        )
    return flat
