"""The GPU check: preflight, SFT and GRPO of two recipes on a CUDA host, measured, as one script.

`python tests/gpu/run_gpu.py [--hardware gpu1] [--out FOLDER]`. In: the GPU stack, no network, no
weights: models are built on the spot, of the tiny shape for `arithmetic` (whose reward must rise)
and of Qwen2.5-0.5B's for `gsm8k` (whose reward stays near 0 with random weights; memory, step time
and tokens/s are what is measured there). Out: one JSON object on stdout, and exit code 0 only if
every check holds. GSM8K's rows are read from `--gsm8k`; where that is missing, a file of generated
problems in its format takes their place, and the result says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("arithmetic", "gsm8k")
K3, DIFF = "rollout_corr/k3_kl", "training/rollout_probs_diff_max"
K3_BOUND = 1e-2  # bf16 rollout against bf16 training


def launch(module: str, *arguments: str, cwd: Path) -> float:
    """Run `python -m module` and return its seconds; its output goes to stderr."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=cwd, env=environment, stdout=sys.stderr
    )
    if done.returncode:
        for log in sorted(cwd.glob("runs/*/*/attempts/*/stdout.log"))[-1:]:
            print(log.read_text(errors="replace")[-8000:], file=sys.stderr)
        raise SystemExit(f"{module} {' '.join(arguments)} exited with {done.returncode}")
    return time.monotonic() - began


def records(run: Path) -> list[dict[str, Any]]:
    """The merged metrics of a run, training steps only."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    loaded = [json.loads(line) for line in lines]
    return [one["data"] for one in loaded if "timing_s/step" in one["data"]]


def summary(run: Path, seconds: float) -> dict[str, Any]:
    """Step time, throughput, memory and mismatch of an RL run; the first step is warm-up."""
    steps = records(run)
    warm = steps[1:] or steps

    def median(key: str) -> float | None:
        values = [step[key] for step in warm if key in step]
        return round(statistics.median(values), 4) if values else None

    result: dict[str, Any] = {
        "steps": len(steps),
        "command_seconds": round(seconds, 1),
        "step_seconds": median("timing_s/step"),
        "generation_seconds": median("timing_s/gen"),
        "update_seconds": median("timing_s/update_actor"),
        "sync_seconds": median("timing_s/update_weights"),
        "tokens_per_second_per_gpu": median("perf/throughput"),
        "memory_allocated_gb": median("perf/max_memory_allocated_gb"),
        "k3_kl_max": max(step[K3] for step in steps),
        "probs_diff_max": max(step[DIFF] for step in steps),
        "reward_first": steps[0]["critic/score/mean"],
        "reward_last": steps[-1]["critic/score/mean"],
    }
    results = run / "eval" / "results.json"
    if results.is_file():
        evaluation = json.loads(results.read_text())
        for label in ("before", "after"):
            result[f"accuracy_{label}"] = [evaluation[label]["accuracy"], evaluation[label]["ci95"]]
        result["verdict"] = evaluation["verdict"]["verdict"]
    return result


def gsm8k_rows(given: Path, folder: Path) -> tuple[Path, str]:
    """The GSM8K folder to read, and what it is."""
    if (given / "test.jsonl").is_file():
        return given.resolve(), "GSM8K"
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", 7473), ("test", 1319)):
        with (folder / f"{name}.jsonl").open("w") as file:
            for i in range(count):
                question = f"A shelf holds {i % 97 + 3} books and gets {i % 89 + 5} more. " * 4
                answer = f"There are {i % 97 + i % 89 + 8}.\n#### {i % 97 + i % 89 + 8}"
                file.write(json.dumps({"question": question, "answer": answer}) + "\n")
    return folder, "generated rows in GSM8K's format"


def main() -> int:
    """Run everything, print the JSON, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hardware", default="gpu1")
    parser.add_argument("--out", type=Path, default=Path("gpu-check"))
    parser.add_argument("--gsm8k", type=Path, default=ROOT.parent / "shared" / "data" / "gsm8k")
    parser.add_argument("--shape", default="qwen2.5-0.5b", help="shape of the gsm8k model")
    parser.add_argument("--steps", type=int, default=4, help="GRPO steps of gsm8k")
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=RECIPES)
    options = parser.parse_args()
    cwd = options.out.resolve()
    cwd.mkdir(parents=True, exist_ok=True)
    hardware = f"hardware={options.hardware}"
    report: dict[str, Any] = {"hardware": options.hardware}

    if "arithmetic" in options.only:
        seconds = launch("launch.grpo", "+recipe=arithmetic", hardware, cwd=cwd)
        report["arithmetic"] = summary(cwd / "runs/arithmetic/grpo", seconds)
    if "gsm8k" in options.only:
        report |= gsm8k(options, cwd)

    checks = {
        f"{name} k3_kl": report[name]["k3_kl_max"] <= K3_BOUND for name in RECIPES if name in report
    }
    if "arithmetic" in report:
        checks["arithmetic improved"] = report["arithmetic"].get("verdict") == "improved"
    report["checks"] = checks
    print(json.dumps(report, indent=1))
    return 0 if all(checks.values()) else 1


def gsm8k(options: argparse.Namespace, cwd: Path) -> dict[str, Any]:
    """SFT and GRPO of the `gsm8k` recipe with a random model of a real one's shape."""
    report: dict[str, Any] = {}
    hardware = f"hardware={options.hardware}"
    model = cwd / "model"
    if not model.exists():
        launch("launch.bridge.tiny_policy", str(model), "1", options.shape, cwd=cwd)
    rows, report["gsm8k_rows"] = gsm8k_rows(options.gsm8k, cwd / "rows")
    shared = ["+recipe=gsm8k", hardware, f"policy.path={model}", f"data_prep.local={rows}"]
    # Of generated rows, train asks what test asks.
    shared.append("data_prep.decontaminate=false")
    report["gsm8k_sft_seconds"] = round(
        launch(
            "launch.sft", *shared, "trainer.total_training_steps=10", "trainer.save_freq=10",
            "trainer.test_freq=10", "data.max_length=2048", cwd=cwd,
        ),
        1,
    )  # fmt: skip
    seconds = launch(
        "launch.grpo", *shared, f"trainer.total_training_steps={options.steps}",
        # A token is a byte with the tokenizer built on the spot.
        "data.train_batch_size=128", "data.max_prompt_length=1280", "data.max_response_length=512",
        "actor_rollout_ref.actor.ppo_mini_batch_size=128", "data.val_max_samples=128",
        f"trainer.save_freq={options.steps}", "evaluation.enable=false", cwd=cwd,
    )  # fmt: skip
    report["gsm8k"] = summary(cwd / "runs/gsm8k/grpo", seconds)

    return report


if __name__ == "__main__":
    sys.exit(main())
