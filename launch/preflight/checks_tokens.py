"""Token budgets: what one GPU and one vLLM request must be able to hold.

In: `Settings`, and the model's context length where it is known. Out: lines. The rules are those of
verl 0.9.1 (`utils/seqlen_balancing.py:rearrange_micro_batches`, `vllm_async_server.py`) and vLLM
(`config/scheduler.py`). Whether the rows themselves are short enough is in `checks_lengths`.
"""

from __future__ import annotations

from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import ACTOR, ROLLOUT, Settings

PROMPT = "data.max_prompt_length"
RESPONSE = "data.max_response_length"
CRITIC_BUDGET = "critic.ppo_infer_max_token_len_per_gpu"
CRITIC_DEFAULT = 32768  # the dataclass's default; verl's YAML does not name the key


def check_tokens(settings: Settings, context: int | None) -> list[Line]:
    """All rules on token budgets.

    Args:
        settings: the composed configuration.
        context: `max_position_embeddings` of the model; None when it is not known.

    Raises:
        ConfigError: a length is no whole number of at least 1.
    """
    return _sft(settings, context) if settings.is_sft else _rl(settings, context)


def _sft(settings: Settings, context: int | None) -> list[Line]:
    length = settings.positive("data.max_length")
    lines: list[Line] = []
    if context is not None and length > context:
        lines.append(
            failed(
                "lengths",
                f"data.max_length={length} is above the model's context of {context}",
                "at most the context",
                f"data.max_length={context}",
            )
        )
    if settings["data.use_dynamic_bsz"]:
        budget = settings.positive("data.max_token_len_per_gpu")
        sp = settings.positive("engine.ulysses_sequence_parallel_size")
        lines += _budget("data.max_token_len_per_gpu", budget, sp, length, "data.max_length")
    return lines or [passed("lengths", f"rows of up to {length} tokens")]


def _rl(settings: Settings, context: int | None) -> list[Line]:
    whole = settings.positive(PROMPT) + settings.positive(RESPONSE)
    what = f"{PROMPT} + {RESPONSE}"
    lines = _rollout(settings, whole, what, context)
    if settings[f"{ACTOR}.use_dynamic_bsz"]:
        sp = settings.positive(f"{ACTOR}.ulysses_sequence_parallel_size")
        keys = [f"{ACTOR}.ppo_max_token_len_per_gpu", f"{ROLLOUT}.log_prob_max_token_len_per_gpu"]
        for key in keys:
            lines += _budget(key, settings.positive(key), sp, whole, what)
    if settings.uses_reference and settings["actor_rollout_ref.ref.log_prob_use_dynamic_bsz"]:
        sp = settings.positive("actor_rollout_ref.ref.ulysses_sequence_parallel_size")
        key = "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu"
        lines += _budget(key, settings.positive(key), sp, whole, what)
    if settings.uses_critic:
        budget = settings.optional_whole(CRITIC_BUDGET) or CRITIC_DEFAULT
        sp = settings.positive("critic.ulysses_sequence_parallel_size")
        named = settings.optional(CRITIC_BUDGET) is not None
        lines += _budget(CRITIC_BUDGET if named else f"+{CRITIC_BUDGET}", budget, sp, whole, what)
    return lines or [passed("lengths", f"prompt and response up to {whole} tokens together")]


def _budget(key: str, budget: int, sp: int, length: int, what: str) -> list[Line]:
    """One micro-batch of dynamic size has to hold the longest sequence.

    Args:
        key: the override that sets the budget, tokens on one GPU.
        budget: its value.
        sp: GPUs that share one sequence.
        length: tokens of the longest sequence.
        what: where `length` comes from.
    """
    if budget * sp >= length:
        return []
    need = -(-length // sp)
    return [
        failed(
            "lengths",
            f"{key.removeprefix('+')}={budget}{f' × {sp}' if sp > 1 else ''} tokens do not hold "
            f"one sequence of {length}",
            f"at least {what} = {length}",
            f"{key}={need}",
        )
    ]


def _rollout(settings: Settings, whole: int, what: str, context: int | None) -> list[Line]:
    key = f"{ROLLOUT}.max_model_len"
    limit = settings.optional_whole(key)
    lines: list[Line] = []
    if limit is not None and context is not None and limit > context:
        lines.append(
            failed(
                "lengths",
                f"rollout.max_model_len={limit} is above the model's context of {context}",
                "at most the context",
                f"{key}={context}",
            )
        )
    room = limit if limit is not None else context
    if room is not None and room < whole:
        source = "rollout.max_model_len" if limit is not None else "the model's context"
        fixes = [f"{RESPONSE}={room - settings.positive(PROMPT)}"]
        if room <= settings.positive(PROMPT):
            fixes = [f"{PROMPT}={max(room // 2, 1)} {RESPONSE}={max(room - room // 2, 1)}"]
        if limit is not None and (context is None or whole <= context):
            fixes.insert(0, f"{key}={whole}")
        lines.append(
            failed(
                "lengths",
                f"{source}={room} is below {what} = {whole}: long responses are cut short",
                f"room for {whole} tokens",
                *fixes,
            )
        )
    return lines + _scheduler(settings, room)


def _scheduler(settings: Settings, room: int | None) -> list[Line]:
    """The rules of vLLM itself on the tokens it schedules at once."""
    key = f"{ROLLOUT}.max_num_batched_tokens"
    tokens = settings.positive(key)
    seqs = settings.positive(f"{ROLLOUT}.max_num_seqs")
    lines: list[Line] = []
    if tokens < seqs:
        lines.append(
            failed(
                "lengths",
                f"rollout.max_num_batched_tokens={tokens} is below rollout.max_num_seqs={seqs}",
                "a token for each sequence",
                f"{key}={seqs}",
                f"{ROLLOUT}.max_num_seqs={tokens}",
            )
        )
    if not settings[f"{ROLLOUT}.enable_chunked_prefill"] and room is not None and tokens < room:
        lines.append(
            warned(
                "lengths",
                f"rollout.max_num_batched_tokens={tokens} without chunked prefill: verl raises it "
                f"to {room}",
                f"at least {room}",
                f"{key}={room}",
                f"{ROLLOUT}.enable_chunked_prefill=true",
            )
        )
    return lines
