"""Batch arithmetic of verl's RL trainer, each violation with the nearest legal values.

In: `Settings` of a grpo or ppo tree, and the rows of the data files where they are known. Out:
lines. The rules are those of verl 0.9.1: `utils/config.py:validate_config`, `ActorConfig`,
`trainer/ppo/v1/trainer_base.py` and `workers/engine_workers.py:train_mini_batch`. Only the FSDP
strategies are known here. Token budgets are in `checks_tokens`, steps and rows in `checks_steps`.

Two units that are confused for ever: `ppo_mini_batch_size` counts prompts over all GPUs, while
`*_per_gpu` counts sequences (prompts × rollout.n) on one GPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from launch.preflight.arithmetic import (
    nearest_divisors,
    nearest_legal,
    nearest_multiples,
    round_up,
    step_for,
)
from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import ACTOR, FSDP, ROLLOUT, Settings

UNITS = "(it counts prompts over all GPUs; *_per_gpu counts sequences on one GPU)"
GROUPS = (
    "grpo",
    "grpo_vectorized",
    "grpo_passk",
    "gdpo",
    "rloo",
    "rloo_vectorized",
    "reinforce_plus_plus_baseline",
    "opo",
    "gpg",
)  # estimators whose baseline is the prompt's group
BATCH = "data.train_batch_size"
MINI = f"{ACTOR}.ppo_mini_batch_size"
GROUP = f"{ROLLOUT}.n"
SP = f"{ACTOR}.ulysses_sequence_parallel_size"


@dataclass(frozen=True)
class Batch:
    """The numbers that the rules speak of.

    Attributes:
        prompts: `data.train_batch_size`.
        group: `rollout.n`, responses to a prompt.
        mini: `ppo_mini_batch_size`, prompts of one optimiser step over all GPUs.
        world: training ranks over all nodes.
        dp: data-parallel ranks, `world` over the sequence-parallel size.
    """

    prompts: int
    group: int
    mini: int
    world: int
    dp: int

    @property
    def sequences(self) -> int:
        """Sequences of a step."""
        return self.prompts * self.group

    @property
    def mini_sequences(self) -> int:
        """Sequences of one optimiser step over all GPUs."""
        return self.mini * self.group


def check_batch(settings: Settings) -> list[Line]:
    """All rules on batch sizes.

    Raises:
        ConfigError: a size is no whole number of at least 1.
    """
    sp = settings.positive(SP)
    world = settings.world
    if world % sp:
        fixes = tuple(f"{SP}={value}" for value in nearest_divisors(sp, world))
        got = f"sequence parallel size {sp} over {world} ranks"
        return [failed("batch", got, "a divisor of the ranks", *fixes)]
    batch = Batch(
        prompts=settings.positive(BATCH),
        group=settings.positive(GROUP),
        mini=settings.positive(MINI),
        world=world,
        dp=world // sp,
    )
    lines = [*_group_size(settings, batch), *_whole_batch(settings, batch)]
    if settings[f"{ACTOR}.strategy"] not in FSDP:
        strategy = settings[f"{ACTOR}.strategy"]
        got = f"micro-batch rules not checked for strategy={strategy}"
        return [*lines, warned("batch", got, "fsdp or fsdp2 to check them")]
    lines += _mini_batch(settings, batch)
    lines += _micro_batches(settings, batch)
    if settings.uses_critic:
        lines += _critic(settings, batch)
    if lines:
        return lines
    text = (
        f"{batch.prompts} prompts × {batch.group} = {batch.sequences} sequences on "
        f"{batch.world} rank{'s' * (batch.world != 1)}, "
        f"{math.ceil(batch.prompts / batch.mini)} optimiser step(s) of {batch.mini} prompts"
    )
    return [passed("batch", text)]


def _group_size(settings: Settings, batch: Batch) -> list[Line]:
    estimator = str(settings["algorithm.adv_estimator"])
    if estimator not in GROUPS or batch.group > 1:
        return []
    return [
        failed(
            "group size",
            f"{GROUP}=1 with adv_estimator={estimator}: a group of one has no baseline",
            "at least 2 responses to a prompt",
            f"{GROUP}=8",
            f"{GROUP}=2",
        )
    ]


def _whole_batch(settings: Settings, batch: Batch) -> list[Line]:
    """The rules on `train_batch_size` that hold for every strategy."""
    lines: list[Line] = []
    dynamic = bool(settings[f"{ACTOR}.use_dynamic_bsz"])
    step = step_for(batch.world, batch.group)
    legal_step = math.lcm(step, batch.mini) if batch.mini % step == 0 else step
    if batch.prompts % step and not dynamic:
        lines.append(
            failed(
                "train batch",
                f"{batch.prompts} prompts × {batch.group} = {batch.sequences} sequences, "
                f"not divisible by {batch.world} ranks",
                f"{BATCH} a multiple of {step}",
                *_set(BATCH, nearest_multiples(batch.prompts, legal_step)),
            )
        )
    if batch.prompts < batch.mini:
        # verl refuses this; with dynamic micro-batches it would fill up with empty sequences.
        lines.append(
            (warned if dynamic else failed)(
                "train batch",
                f"{BATCH}={batch.prompts} is below ppo_mini_batch_size={batch.mini}",
                f"at least one mini-batch of prompts {UNITS}",
                f"{MINI}={_largest_mini(batch)}",
                f"{BATCH}={round_up(batch.mini, step)}",
            )
        )
    lines += _local_updates(settings, batch)
    if batch.prompts > batch.mini and batch.prompts % batch.mini:
        padded = round_up(batch.prompts, batch.mini)
        empty = (padded - batch.prompts) * batch.group
        lines.append(
            warned(
                "train batch",
                f"{batch.prompts} prompts are not whole mini-batches of {batch.mini}: verl adds "
                f"{empty} empty sequences to each step",
                f"{BATCH} a multiple of {batch.mini}",
                *_set(BATCH, nearest_multiples(batch.prompts, math.lcm(step, batch.mini))),
            )
        )
    return lines


def _local_updates(settings: Settings, batch: Batch) -> list[Line]:
    """The asynchronous trainer splits a batch into `parameter_sync_step` local updates."""
    mode = settings["trainer.v1.trainer_mode"]
    steps = settings.optional_whole(f"trainer.v1.{mode}.parameter_sync_step")
    if steps is None or batch.prompts % steps == 0:
        return []
    return [
        failed(
            "train batch",
            f"{batch.prompts} prompts in {steps} local updates (parameter_sync_step)",
            f"{BATCH} a multiple of {steps}",
            *_set(BATCH, nearest_multiples(batch.prompts, steps)),
        )
    ]


def _largest_mini(batch: Batch) -> int:
    """The largest mini-batch that divides the batch and that the ranks can share."""

    def legal(mini: int) -> bool:
        return batch.prompts % mini == 0 and mini * batch.group % batch.dp == 0

    found = nearest_legal(batch.prompts, legal, low=1, high=batch.prompts)
    return found[0] if found else batch.prompts


def _mini_batch(settings: Settings, batch: Batch) -> list[Line]:
    step = step_for(batch.dp, batch.group)
    if batch.mini % step == 0:
        return []
    return [
        failed(
            "mini-batch",
            f"ppo_mini_batch_size {batch.mini} × {batch.group} = {batch.mini_sequences} sequences, "
            f"not divisible by {batch.dp} data-parallel ranks",
            f"a multiple of {step} prompts {UNITS}",
            *_set(MINI, _legal_minis(settings, batch)),
        )
    ]


def _legal_minis(settings: Settings, batch: Batch) -> tuple[int, ...]:
    """Mini-batches next to the present one that satisfy every rule on them at once, if any do."""
    micro = settings.optional_whole(f"{ACTOR}.ppo_micro_batch_size_per_gpu")
    per_rank = micro if micro and not settings[f"{ACTOR}.use_dynamic_bsz"] else 1

    def shared(mini: int) -> bool:
        return mini * batch.group % batch.dp == 0

    def whole(mini: int) -> bool:
        return mini * batch.group % (batch.dp * per_rank) == 0 and batch.prompts % mini == 0

    return nearest_legal(batch.mini, whole, low=1, high=batch.prompts) or nearest_legal(
        batch.mini, shared, low=1, high=max(batch.prompts, batch.mini + batch.dp)
    )


def _micro_batches(settings: Settings, batch: Batch) -> list[Line]:
    """The `*_per_gpu` sizes: set where needed, and dividing what one GPU gets."""
    dynamic = bool(settings[f"{ACTOR}.use_dynamic_bsz"])
    lines: list[Line] = []
    if dynamic != bool(settings[f"{ROLLOUT}.log_prob_use_dynamic_bsz"]):
        lines.append(
            failed(
                "micro-batch",
                f"{ACTOR}.use_dynamic_bsz={dynamic}, {ROLLOUT}.log_prob_use_dynamic_bsz="
                f"{not dynamic}",
                "the same for both",
                f"{ROLLOUT}.log_prob_use_dynamic_bsz={str(dynamic).lower()}",
            )
        )
    per_step = round_up(batch.sequences, math.lcm(batch.dp, _padding(settings, batch))) // batch.dp
    whole_mini = batch.mini_sequences % batch.dp == 0
    wanted = [
        (ACTOR, "ppo_micro_batch_size", batch.mini_sequences // batch.dp, "mini-batch", whole_mini),
        (ROLLOUT, "log_prob_micro_batch_size", per_step, "step", whole_mini),
    ]
    if settings.uses_reference and not _reference_in_actor(settings):
        wanted.append(
            ("actor_rollout_ref.ref", "log_prob_micro_batch_size", per_step, "step", whole_mini)
        )
    for node, key, share, of, known in wanted:
        own = f"{node}.log_prob_use_dynamic_bsz"
        if settings[own] if node.endswith(".ref") else dynamic:
            continue
        lines += _micro_batch(settings, f"{node}.{key}", share, of, known)
    return lines


def _micro_batch(settings: Settings, key: str, share: int, of: str, known: bool) -> list[Line]:
    """One micro-batch size.

    Args:
        settings: the composed configuration.
        key: verl's deprecated key of it, without `_per_gpu`.
        share: sequences that one GPU gets of a mini-batch or a step.
        of: what `share` is of.
        known: whether `share` is whole, so that divisors of it mean anything.
    """
    per_gpu = f"{key}_per_gpu"
    short = key.removeprefix("actor_rollout_ref.")
    if settings.optional(key) is not None:
        old = settings.positive(key)
        got = f"{short}={old}, which verl no longer reads (it has no _per_gpu)"
        return [failed("micro-batch", got, f"{per_gpu} alone", f"{key}=null")]
    micro = settings.optional_whole(per_gpu)
    if micro is None:
        got = f"{short}_per_gpu is not set, and use_dynamic_bsz is off"
        fix = f"{per_gpu}={_default_micro(share) if known else 1}"
        dynamic = f"{ACTOR}.use_dynamic_bsz=true"
        return [failed("micro-batch", got, "sequences that one GPU takes at a time", fix, dynamic)]
    if not known or share % micro == 0:
        return []
    return [
        failed(
            "micro-batch",
            f"{short}_per_gpu={micro} does not divide the {share} sequences that a GPU gets of a "
            f"{of}",
            f"a divisor of {share} (it counts sequences on one GPU, not prompts)",
            *_set(per_gpu, nearest_divisors(micro, share)),
        )
    ]


def _padding(settings: Settings, batch: Batch) -> int:
    """What verl fills a step's sequences up to a multiple of, beside the ranks."""
    multiple = batch.mini_sequences
    if settings.uses_critic:
        multiple = math.lcm(multiple, settings.positive("critic.ppo_mini_batch_size") * batch.group)
    return multiple


def _critic(settings: Settings, batch: Batch) -> list[Line]:
    """The critic's own mini-batch; its micro-batches are dynamic in verl 0.9.1 whatever is set."""
    key = "critic.ppo_mini_batch_size"
    mini = settings.positive(key)
    step = step_for(batch.dp, batch.group)
    lines: list[Line] = []

    def legal(value: int) -> bool:
        return value * batch.group % batch.dp == 0 and batch.prompts % value == 0

    if mini * batch.group % batch.dp:
        lines.append(
            failed(
                "critic batch",
                f"{key} {mini} × {batch.group} sequences, not divisible by {batch.dp} ranks",
                f"a multiple of {step} prompts {UNITS}",
                *_set(key, nearest_legal(mini, legal, low=1, high=batch.prompts)),
            )
        )
    if mini > batch.prompts:
        dynamic = bool(settings["critic.use_dynamic_bsz"])
        lines.append(
            (warned if dynamic else failed)(
                "critic batch",
                f"{key}={mini} is above {BATCH}={batch.prompts}",
                "at most the prompts of a step",
                f"{key}={_largest_mini(batch)}",
            )
        )
    elif batch.prompts % mini:
        lines.append(
            warned(
                "critic batch",
                f"{batch.prompts} prompts are not whole critic mini-batches of {mini}: verl adds "
                "empty sequences to each step",
                "a divisor of the batch",
                *_set(key, nearest_legal(mini, legal, low=1, high=batch.prompts)),
            )
        )
    if (
        not settings["critic.use_dynamic_bsz"]
        and settings.optional("critic.ppo_micro_batch_size") is None
        and settings.optional("critic.ppo_micro_batch_size_per_gpu") is None
    ):
        share = max(mini * batch.group // batch.dp, 1)
        lines.append(
            failed(
                "critic batch",
                "critic.ppo_micro_batch_size_per_gpu is not set, and critic.use_dynamic_bsz is off",
                "one of them: verl asks for it",
                f"critic.ppo_micro_batch_size_per_gpu={_default_micro(share)}",
                "critic.use_dynamic_bsz=true",
            )
        )
    return lines


def _reference_in_actor(settings: Settings) -> bool:
    """By verl's rule: under LoRA the reference is the actor without its adapter."""
    model = "actor_rollout_ref.model"
    rank = settings.optional(f"{model}.lora.rank") or settings.optional(f"{model}.lora_rank") or 0
    return rank > 0 or settings.optional(f"{model}.lora_adapter_path") is not None


def _default_micro(share: int) -> int:
    """A size that always fits as a first try: the largest divisor up to 8."""
    return max(size for size in range(1, 9) if share % size == 0)


def _set(key: str, values: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"{key}={value}" for value in values)
