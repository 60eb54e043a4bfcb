"""Which of verl's metrics the report draws, and how each is called in plain words.

In: a `RunRecord`. Out: `Chart`s. Names are those of verl 0.9.1 (trainer/ppo/metric_utils.py,
rollout_corr_helper.py, utils/debug/metrics.py, sft_trainer_ray.py). Draws and judges nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from eval.pages.charts import Band, Chart, Point, Series
from eval.statistics.intervals import wilson
from eval.training.data import Metrics, RunRecord, steps_in

ACCURACY: Final = re.compile(
    r"val-(?:core|aux)/(?P<source>.+)/(?P<what>acc|reward|score)/mean@(?P<n>\d+)"
)
MISMATCH: Final = (
    # metric, key of its bound, name, unit, hint
    (
        "rollout_corr/k3_kl",
        "guard.k3_kl_max",
        "Log-prob mismatch",
        "k3 KL, nats/token",
        "Rollout engine against trainer, on the same tokens. A broken weight sync shows here.",
    ),
    (
        "training/rollout_probs_diff_max",
        "guard.probs_diff_max",
        "Largest probability gap",
        "|Δ probability|",
        "The worst single token of each step, rollout engine against trainer.",
    ),
)
KL: Final = (
    ("actor/kl_loss", "KL to the reference policy", "nats/token", ""),
    (
        "actor/reward_kl_penalty",
        "KL to the reference policy",
        "nats/token",
        "Taken off the reward.",
    ),
    (
        "actor/ppo_kl",
        "KL within a step",
        "nats/token",
        "Policy of the rollouts against the policy being updated; 0 where each batch gives a "
        "single update. No KL to a reference policy was recorded.",
    ),
)


def _line(metrics: Metrics, key: str, label: str) -> Series:
    return Series(key, label, tuple(Point(s, v) for s, v in metrics.line(key)))


def _first(metrics: Metrics, *keys: str) -> str:
    """The first key that was recorded, else the first."""
    return next((key for key in keys if metrics.finite(key)), keys[0])


def accuracy_keys(metrics: Metrics) -> list[str]:
    """One validation metric for each data source: `acc` where there is one, else the reward."""
    found: dict[str, tuple[int, str]] = {}
    for key in metrics.keys("val-"):
        match = ACCURACY.fullmatch(key)
        if match and metrics.finite(key):
            rank = ("acc", "reward", "score").index(match["what"])
            found[match["source"]] = min(found.get(match["source"], (9, "")), (rank, key))
    return [key for _, key in found.values()]


def _validation_sizes(run: RunRecord) -> dict[int, int]:
    """Responses dumped at each validation; a file of another size than its step tells is absent."""
    sizes = {}
    for step, file in steps_in(run.folder / "validation").items():
        with file.open("rb") as lines:
            sizes[step] = sum(1 for line in lines if line.strip())
    return sizes


def accuracy_chart(run: RunRecord) -> Chart:
    """Validation accuracy; with 95% Wilson intervals for one source, one response a problem.

    Only then does the dump's number of lines say how many problems were asked.
    """
    keys = accuracy_keys(run.metrics)
    shown = []
    for key in keys:
        match = ACCURACY.fullmatch(key)
        shown.append(_line(run.metrics, key, match["source"] if match else key))
    hint = "No interval: the number of problems was not recorded."
    if len(keys) == 1 and keys[0].endswith("/acc/mean@1"):
        sizes = _validation_sizes(run)
        points = [(s, v) for s, v in run.metrics.finite(keys[0]) if s in sizes and 0 <= v <= 1]
        band = [_wilson_band(step, share, sizes[step]) for step, share in points]
        if band:
            shown[0] = replace(shown[0], band=tuple(band))
            sizes_seen = sorted({sizes[s] for s, _ in points})
            hint = f"With 95% Wilson interval, n = {' to '.join(map(str, _ends(sizes_seen)))}."
    values = [v for line in shown for _, v in line.finite]
    share = all(0 <= v <= 1 for v in values)
    unit = "share right" if all("/acc/" in key for key in keys) else "mean score"
    return Chart("Validation accuracy", unit, tuple(shown), hint, share=share)


def _wilson_band(step: int, share: float, n: int) -> Band:
    interval = wilson(round(share * n), n)
    return Band(step, interval.low, interval.high)


def _ends(values: list[int]) -> list[int]:
    return values if len(values) < 2 else [values[0], values[-1]]


def rl_charts(run: RunRecord) -> list[Chart]:
    """The curves of a GRPO or PPO run; the charts of a critic only where there is one."""
    m = run.metrics
    kl, kl_title, kl_unit, kl_hint = next((row for row in KL if m.finite(row[0])), KL[0])
    norms = [_line(m, "actor/grad_norm", "policy")]
    if m.finite("critic/grad_norm"):
        norms.append(_line(m, "critic/grad_norm", "critic"))
    reward = _line(m, _first(m, "critic/score/mean", "critic/rewards/mean"), "mean reward")
    charts = [
        Chart(
            "Training reward", "mean score", (reward,), "Mean over a step's rollouts.", smooth=True
        ),
        accuracy_chart(run),
        Chart(kl_title, kl_unit, (_line(m, kl, "KL"),), kl_hint),
        Chart("Entropy", "nats/token", (_line(m, "actor/entropy", "entropy"),)),
        Chart("Response length", "tokens", (_line(m, "response_length/mean", "mean length"),)),
        Chart("Gradient norm", "L2 norm", tuple(norms), "Before clipping."),
    ]
    for key, bound, title, unit, hint in MISMATCH:
        line = _line(m, key, title.lower())
        charts.append(Chart(title, unit, (line,), hint, bound=run.positive(bound), log=True))
    seconds = [
        _line(m, key, label)
        for key, label in (
            ("timing_s/step", "whole step"),
            ("timing_s/gen", "generation"),
            ("timing_s/update_actor", "policy update"),
        )
        if m.finite(key)
    ]
    charts.append(Chart("Time per step", "seconds", tuple(seconds)))
    for key, title, unit in (
        ("critic/vf_loss", "Critic's loss", "value loss"),
        ("critic/vf_explained_var", "Critic's explained variance", "share"),
    ):
        if m.finite(key):
            charts.append(Chart(title, unit, (_line(m, key, title.lower()),)))
    return [_with_resumes(chart, run) for chart in charts]


def sft_charts(run: RunRecord) -> list[Chart]:
    """The curves of an SFT run."""
    m = run.metrics
    loss = _line(m, "train/loss", "training")
    held_out = _line(m, "val/loss", "held-out")
    both = (loss, held_out) if held_out.finite else (loss,)
    charts = [
        Chart("Loss", "nats/token", both, smooth=True),
        Chart("Gradient norm", "L2 norm", (_line(m, "train/grad_norm", "gradient norm"),)),
        Chart("Learning rate", "per update", (_line(m, "train/lr", "learning rate"),)),
    ]
    return [_with_resumes(chart, run) for chart in charts]


def resumes(run: RunRecord) -> tuple[int, ...]:
    """The steps from which later attempts went on."""
    steps = {a.from_step for a in run.attempts if a.from_step is not None}
    return tuple(sorted(step for step in steps if step > 0))


def _with_resumes(chart: Chart, run: RunRecord) -> Chart:
    return replace(chart, resumes=resumes(run))


def is_sft(run: RunRecord) -> bool:
    """Whether the run's metrics are those of supervised fine-tuning."""
    return bool(run.metrics.finite("train/loss")) and not run.metrics.finite("critic/score/mean")
