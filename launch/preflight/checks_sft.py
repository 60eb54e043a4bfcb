"""Batch arithmetic of verl's SFT trainer, each violation with the nearest legal values.

In: `Settings` of an sft tree. Out: lines. The rules are those of verl 0.9.1
(`trainer/sft_trainer_ray.py`, `trainer/sft_trainer.py`, `workers/engine/utils.py`): a global batch
that the ranks cannot share is floored without a word under torchrun and stops the run on Ray.
"""

from __future__ import annotations

from launch.preflight.arithmetic import nearest_divisors, nearest_multiples
from launch.preflight.lines import Line, failed, passed
from launch.preflight.settings import Settings

BATCH = "data.train_batch_size"
MICRO = "data.micro_batch_size_per_gpu"
SP = "engine.ulysses_sequence_parallel_size"


def check_sft_batch(settings: Settings) -> list[Line]:
    """All rules on SFT batch sizes.

    Raises:
        ConfigError: a size is no whole number of at least 1.
    """
    sp = settings.positive(SP)
    world = settings.world
    if world % sp:
        fixes = (f"{SP}={value}" for value in nearest_divisors(sp, world))
        got = f"sequence parallel size {sp} over {world} ranks"
        return [failed("batch", got, "a divisor of the ranks", *fixes)]
    dp = world // sp
    batch = settings.positive(BATCH)
    dynamic = bool(settings["data.use_dynamic_bsz"])
    micro = 1 if dynamic else settings.positive(MICRO)
    lines: list[Line] = []
    if batch % dp:
        lines.append(
            failed(
                "batch",
                f"{BATCH}={batch} rows, not divisible by {dp} data-parallel ranks",
                f"a multiple of {dp}",
                *(f"{BATCH}={value}" for value in nearest_multiples(batch, dp * micro)),
            )
        )
    elif batch // dp % micro:
        share = batch // dp
        lines.append(
            failed(
                "micro-batch",
                f"{MICRO}={micro} does not divide the {share} rows that a GPU gets of a batch",
                f"a divisor of {share} (it counts rows on one GPU)",
                *(f"{MICRO}={value}" for value in nearest_divisors(micro, share)),
                *(f"{BATCH}={value}" for value in nearest_multiples(batch, dp * micro)),
            )
        )
    if lines:
        return lines
    how = f"{batch // dp // micro} micro-batch(es) of {micro}" if not dynamic else "by tokens"
    text = f"{batch} rows on {world} rank{'s' * (world != 1)}, {how}"
    return [passed("batch", text)]
