"""The one function that verl's reward managers call, for every data source.

In: verl's call by keyword, `reward_kwargs` of the configuration among them: `reward` (the spec)
and `options` of that reward (or its options beside `reward`). Out: a flat dict with the same
scalar keys for each sample, so that verl's `maj@N`, group filter and GDPO find theirs. Name it in
verl's tree as `reward.custom_reward_function.path=pkg://rewards.verl_entry`, which Python's import
system resolves on each node, whatever the working folder. Runs in any thread, needs neither signals
nor torch, verl or Ray.

A broken verdict is asked for once more; if it is broken again it raises, verl drops the sample, and
nothing trains on a made-up 0. Every verdict is counted in this process's ledger, which the trainer
drains: `drain`, `Breaker` and `load_group` are here because the trainer, which may not import this
package, reaches it by the path that the configuration names.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from conf.errors import RewardError
from rewards.breaker import LEDGER, Breaker
from rewards.control import Arm
from rewards.group import load_group
from rewards.registry import Reward, load_reward, row_name
from rewards.verdict import Verdict, verifier_error

__all__ = ["Breaker", "acompute_score", "compute_score", "drain", "load_group"]

# What verl passes when a reward model is on: fields of the row, not options of the reward.
_FROM_VERL = frozenset({"reward_router_address", "reward_model_tokenizer"})
Judge = Callable[[str, Any, Mapping[str, Any]], Verdict]

_lock = threading.Lock()
_loaded: dict[str, _Loaded] = {}


class _Loaded:
    """A reward of this process, its judge (a control arm on top, or not), and its keys."""

    def __init__(self, reward: Reward, control: str | None, files: tuple[str, ...]) -> None:
        """Put the arm on top, where there is one."""
        self.reward = reward
        self.judge: Judge = Arm(control, reward.judge, files) if control else reward.judge
        self.keys: frozenset[str] | None = None  # the first verdict's components


def drain() -> dict[str, list[Any]]:
    """This process's verdicts since the last call: `events` and `samples` of broken ones."""
    return LEDGER.drain()


def _resolve(
    spec: str, options: Mapping[str, Any], control: str | None, files: tuple[str, ...]
) -> _Loaded:
    """Load once per process."""
    key = repr((spec, sorted(options.items()), control, files))
    known = _loaded.get(key)
    if known is None:
        with _lock:
            known = _loaded.get(key)
            if known is None:
                known = _loaded[key] = _Loaded(load_reward(spec, options), control, files)
    return known


def _plain(value: Any) -> Any:
    """OmegaConf's containers as plain ones: a reward function should see dicts and lists."""
    if isinstance(value, Mapping):
        return {str(k): _plain(value[k]) for k in value}
    if isinstance(value, (list, tuple)) or type(value).__name__ == "ListConfig":
        return [_plain(item) for item in value]
    return value


def judge_twice(
    judge: Judge, response: str, gold: Any, row: Mapping[str, Any]
) -> tuple[Verdict, bool]:
    """A verdict, and whether it took a second try; a broken one gets exactly one."""
    verdict = judge(response, gold, row)
    if not verdict.broken:
        return verdict, False
    return judge(response, gold, row), True


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
        reward_kwargs: `reward`, that reward's options, in a mapping `options` or by name,
            `control`: None, or a control arm whose score replaces the reward's, and
            `control_files`: Parquet files with the gold answers that `shuffled_gold` draws from.

    Returns:
        `score`, `acc`, `pred`, `status`, `detail`, and `component_<name>` for each component.

    Raises:
        RewardError: the reward does not load, or its verdict on this sample is broken.
    """
    given = {key: reward_kwargs.pop(key) for key in _FROM_VERL & reward_kwargs.keys()}
    options = {key: _plain(value) for key, value in reward_kwargs.items()}
    if "reward" not in options:
        raise RewardError(
            "verl_entry was called without a reward",
            fix="+reward.custom_reward_function.reward_kwargs.reward=math",
        )
    spec = options.pop("reward")
    control = options.pop("control", None)
    files = options.pop("control_files", None) or ()
    files = tuple(map(str, [files] if isinstance(files, str) else files))
    nested = options.pop("options", None) or {}
    loaded = _resolve(
        spec, {**options, **nested}, control, files if control == "shuffled_gold" else ()
    )
    row = {**(extra_info or {}), **given, "data_source": data_source}
    name = row_name(row)
    begun = time.perf_counter()
    verdict, retried = judge_twice(loaded.judge, solution_str, ground_truth, row)
    verdict = _with_fixed_keys(verdict, loaded)
    sample = {"id": name, "data_source": data_source, "gold": ground_truth}
    LEDGER.record(
        verdict,
        time.perf_counter() - begun,
        retried=retried,
        sample={**sample, "response": solution_str},
    )
    if verdict.broken:
        raise RewardError(
            f"sample {name!r} of {data_source!r}: {verdict.status}: {verdict.detail}",
            fix="this sample is dropped; python -m rewards.doctor tries the reward alone",
        )
    return verdict.to_verl()


def _with_fixed_keys(verdict: Verdict, loaded: _Loaded) -> Verdict:
    """The verdict, if it has the components that this run's first one had; else a broken one."""
    if verdict.broken:
        return verdict
    keys = frozenset(verdict.components)
    if loaded.keys is None:
        loaded.keys = keys
    if keys == loaded.keys:
        return verdict
    return verifier_error(
        f"{loaded.reward.spec} gave components {sorted(keys - loaded.keys)} anew and left out "
        f"{sorted(loaded.keys - keys)}; each verdict needs the same ({loaded.reward.where})"
    )


async def acompute_score(*args: Any, **kwargs: Any) -> dict[str, float | str]:
    """`compute_score` in a thread, for a caller that awaits."""
    return await asyncio.to_thread(compute_score, *args, **kwargs)
