"""verl's reward manager of ours: one response as token ids becomes one verdict.

In: verl's `DataProto` of one rollout; named in verl's tree as `reward.reward_manager.source=
importlib`, `.module.path=pkg://rewards.verl_manager`, `.name=VerdictManager`. Out: the score, and a
flat verdict for verl's metrics and dumps. Beyond verl's own manager it counts the response's
tokens, tells a response that was cut off (at the length cap, without an end-of-sequence token) from
one that ended, hands both to the reward, and gives up on a verdict that does not come. It alone in
this package imports verl; nothing imports it. Judges nothing itself.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase
from verl.utils.fs import copy_to_local
from verl.utils.model import get_generation_config

from rewards.breaker import LEDGER
from rewards.registry import row_name
from rewards.threads import Threads
from rewards.verdict import verifier_error

MAX_THREADS: Final = 32  # verdicts at a time, in one reward worker


class VerdictManager(RewardManagerBase):
    """Judges one rollout at a time; verl asks for many at once."""

    def __init__(
        self,
        config: Any,
        tokenizer: Any,
        compute_score: Callable[..., Any],
        reward_router_address: str | None = None,
        reward_model_tokenizer: Any = None,
    ) -> None:
        """Learn the length cap and the end-of-sequence tokens.

        Args:
            config: the run's whole configuration; `reward_fn.deadline` where it has that node.
            tokenizer: the policy's.
            compute_score: the reward function as verl loaded it, plain or async.
            reward_router_address: of verl's reward model server, where one runs.
            reward_model_tokenizer: that model's.
        """
        super().__init__(config, tokenizer, compute_score)
        self.is_async = inspect.iscoroutinefunction(compute_score)
        self.model_server = (
            {}
            if reward_router_address is None
            else {
                "reward_router_address": reward_router_address,
                "reward_model_tokenizer": reward_model_tokenizer,
            }
        )
        node = config.get("reward_fn")
        self.deadline: float | None = None if node is None else node.deadline
        rollout = config.actor_rollout_ref.rollout
        self.max_response_tokens = int(rollout.response_length)
        self.max_model_len: int | None = rollout.max_model_len
        self.ends = end_tokens(tokenizer, config.actor_rollout_ref.model.path)
        self._slots = asyncio.Semaphore(MAX_THREADS)
        self._threads = Threads()

    async def run_single(self, data: Any) -> dict[str, Any]:
        """Judge the last sequence of one rollout.

        Raises:
            Exception: what the reward function raised; verl then drops the sample.
        """
        item = data[-1:][0]  # a rollout of several sequences is judged by its last
        row = item.non_tensor_batch
        ids = self._response_ids(item)
        length = {
            "response_tokens": len(ids),
            "truncated": self._is_truncated(ids, item),
            "max_response_tokens": self.max_response_tokens,
        }
        call = {
            "data_source": str(row["data_source"]),
            "ground_truth": row["reward_model"]["ground_truth"],
            "extra_info": {**_extra_info(row), **length},
            **self.model_server,
        }
        result = await self._judged(ids, call)
        found = dict(result) if isinstance(result, Mapping) else {"score": result, "acc": result}
        # For the dumps: with these, saved responses can be scored again with their rows' fields.
        found |= {"id": str(row_name(call["extra_info"])), "data_source": call["data_source"]}
        found |= {key: float(length[key]) for key in ("response_tokens", "truncated")}
        return {"reward_score": found["score"], "reward_extra_info": found}

    def _response_ids(self, item: Any) -> list[int]:
        """The response's own tokens, without the padding that makes a rollout's parts equal."""
        padded = item.batch["responses"]
        length = item.non_tensor_batch.get("response_len")
        if length is None:
            length = item.batch["attention_mask"][-padded.shape[-1] :].sum()
        ids: list[int] = padded[: int(length)].tolist()
        return ids

    def _is_truncated(self, ids: list[int], item: Any) -> bool:
        cap = self.max_response_tokens
        prompt = item.non_tensor_batch.get("prompt_len")
        if self.max_model_len and prompt is not None:
            cap = min(cap, int(self.max_model_len) - int(prompt))
        return len(ids) >= cap and not (ids and ids[-1] in self.ends)

    async def _judged(self, ids: list[int], call: dict[str, Any]) -> Any:
        """What the reward function says of the decoded response, within the deadline."""

        def decode() -> str:
            return str(self.tokenizer.decode(ids, skip_special_tokens=True))

        async with self._slots:
            try:
                async with asyncio.timeout(self.deadline) as limit:
                    if self.is_async:
                        text = await self._threads.run(decode)
                        return await self.compute_score(solution_str=text, **call)
                    return await self._threads.run(
                        lambda: self.compute_score(solution_str=decode(), **call)
                    )
            except TimeoutError as error:
                if not limit.expired():
                    raise  # the function's own
                raise self._gave_up(call) from error

    def _gave_up(self, call: Mapping[str, Any]) -> TimeoutError:
        """Count the verdict that did not come; its thread is left behind."""
        name = row_name(call["extra_info"])
        why = f"no verdict on sample {name!r} within {self.deadline:g} s (reward_fn.deadline)"
        sample = {"id": name, "data_source": call["data_source"], "gold": call["ground_truth"]}
        LEDGER.record(verifier_error(why), self.deadline or 0.0, retried=False, sample=sample)
        return TimeoutError(why)


def end_tokens(tokenizer: Any, model: str) -> frozenset[int]:
    """The tokens that end a response: the tokenizer's, and those of the model's generation config.

    vLLM stops at both, and leaves the one it stopped at in the response.
    """
    found = {tokenizer.eos_token_id}
    generation = get_generation_config(copy_to_local(model))
    given = getattr(generation, "eos_token_id", None)
    found.update(given if isinstance(given, (list, tuple)) else [given])
    return frozenset(int(token) for token in found if token is not None)


def _extra_info(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's fields for the reward, with what verl's own manager adds, and the prompt."""
    info = dict(row.get("extra_info") or {})
    info.update(row.get("tool_extra_fields") or {})
    turns = row.get("__num_turns__")
    info["num_turns"] = None if turns is None else int(turns)  # not numpy's, for any reward to use
    info["rollout_reward_scores"] = row.get("reward_scores") or {}
    if "prompt" not in info and row.get("raw_prompt") is not None:
        info["prompt"] = [dict(message) for message in row["raw_prompt"]]
    return info
