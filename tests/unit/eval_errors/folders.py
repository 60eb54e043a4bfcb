"""Evaluation and comparison folders as `eval.run` and `eval.compare` leave them, made of records.

In: records, or a number of synthetic ones. Out: folders. All from a seed.
"""

import json
import random
from pathlib import Path

from eval.score import summarise

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
)


def write(file: Path, lines: list) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))


def evaluation(folder: Path, tasks: dict[str, list], name: str = "models/tiny") -> Path:
    """An evaluation folder of these records."""
    results = {}
    for task, records in tasks.items():
        write(folder / "tasks" / task / "records.jsonl", records)
        one = summarise("tiny", name, "f" * 64, records)
        results[task] = {
            **one, "metric": "accuracy", "n_items": one["n"], "samples": 1, "pass_at_k": {},
            "maj_at_k": {}, "strata": {}, "clusters": None,
            "mde": {"paired": 0.056, "unpaired": 0.08, "discordance": 0.2, "power": 0.8},
            "warnings": ["n = 164 is below 200: the interval is wide"] if one["n"] < 200 else [],
        }  # fmt: skip
    model = {"label": "tiny", "name": name, "fingerprint": "f" * 64}
    whole = {"schema": 1, "model": model, "tasks": results, "versions": {"vllm": "0.13"}}
    (folder / "results.json").write_text(json.dumps(whole), encoding="utf-8")
    (folder / "evaluation.json").write_text(json.dumps({"model": name}), encoding="utf-8")
    return folder


def made(n: int, task: str = "gsm8k", seed: int = 1) -> list[dict]:
    """Records of sums in words, of typical length, most right; without grading."""
    draw = random.Random(seed)
    found = []
    for i in range(n):
        a, b, c = (draw.randrange(2, 99) for _ in range(3))
        right = draw.random() < 0.6
        said = a * b + c if right else a * b + c + draw.choice((1, 10, -7))
        cut = not right and draw.random() < 0.2
        lines = [
            f"First, we find what {a} boxes of {b} apples hold: ${a} \\times {b} = {a * b}$.",
            f"Then we add the {c} apples that were there before: {a * b} + {c} = {said}.",
            "We check each step once more to be sure that nothing was counted twice. " * 3,
            f"So there are \\boxed{{{said}}} apples in all.\n#### {said}",
        ]
        status = "correct" if right else "unparseable" if cut else "wrong"
        found.append(
            {
                "key": f"{task}-{i}", "task": task, "label": "tiny", "index": i,
                "id": f"{task}/{i}", "sample": 0, "data_source": task,
                "ground_truth": str(a * b + c),
                "prompt": [{"role": "user", "content": f"There are {a} boxes of {b} apples each, "
                            f"and {c} apples beside them. How many apples are there? Let's think "
                            'step by step and give the final answer after "####".'}],
                "response": "\n".join(lines[: 2 if cut else 4]), "tokens": 512 if cut else 90 + a,
                "prompt_tokens": 60, "finish_reason": "length" if cut else "stop",
                "seconds": 0.01, "sampling": {"temperature": 0.0, "max_tokens": 512},
                "reward": {"name": "math"}, "extra": {"level": str(1 + i % 5)},
                "verdict": {"status": status, "score": float(right), "acc": float(right),
                            "pred": "" if cut else str(said), "detail": "", "components": {}},
            }
        )  # fmt: skip
    return found


def hostile(n: int = 30) -> list[dict]:
    """Records in which every text tries to become markup, or cannot be encoded."""
    found = made(n)
    for record in found:
        record["response"] += f"\n{HOSTILE}\n$\\text{{{HOSTILE}}}$ `{HOSTILE}`\n```\n{HOSTILE}\n```"
        record["response"] += "\n<!--<script> ]]> \u2028 \ud800 \u202e \x00 & &lt;"
        record["prompt"][0]["content"] += HOSTILE
        record["ground_truth"] += HOSTILE
        record["verdict"]["pred"] += HOSTILE
        record["verdict"]["detail"] = HOSTILE
        record["id"] += HOSTILE
        record["extra"] = {HOSTILE: record["extra"]["level"] + HOSTILE[:20]}
        record["stratum"] = HOSTILE[:40]
    return found


def _task(n: int, base: int, other: int, gained: int, lost: int, trained: bool, verdict: str):
    difference = (other - base) / n
    half = 1.96 * ((gained + lost) ** 0.5) / n
    both = base - lost
    return {
        "trained": trained, "n": n, "clusters": None, "samples": [1, 1],
        "accuracy": {"base": base / n, "other": other / n},
        "ci95": {"base": [base / n - 0.03, base / n + 0.03],
                 "other": [other / n - 0.03, other / n + 0.03]},
        "table": {"both_right": both, "only_base": lost, "only_other": gained,
                  "both_wrong": n - both - lost - gained},
        "gained": gained, "lost": lost, "difference": difference,
        "difference_ci95": [difference - half, difference + half],
        "difference_method": "newcombe-10",
        "bootstrap_ci95": [difference - half, difference + half],
        "test": "mcnemar-exact", "p_value": 2e-8 if verdict == "improved" else 0.4,
        "p_adjusted": 1e-7 if verdict == "improved" else 0.6, "level": 0.0167, "verdict": verdict,
        "line": f"{verdict}: {100 * difference:+.1f} points", "detectable": 0.045,
        "intervals_overlap": False,
        "left_out": {"only_base": 0, "only_other": 2, "broken": 0, "changed": 0},
        "strata": [{"name": "short", "n": n // 2, "base": 0.5, "other": 0.6, "difference": 0.1,
                    "ci95": [0.05, 0.15], "gained": gained // 2, "lost": lost // 2}],
        "clean": None, "warnings": ["n is below 200: the interval is wide"] if n < 200 else [],
    }  # fmt: skip


def comparison(folder: Path, flips: int = 282, name: str = "tuned", evil: bool = False) -> Path:
    """A comparison folder: a base, a tuned model and a control arm."""
    labels = {"start": "base", name: "tuned", "control": "control"}
    tasks = {
        "gsm8k": _task(1319, 654, 748, 188, 94, True, "improved"),
        "humaneval": _task(164, 58, 56, 6, 8, False, "no detectable change"),
        "ifeval": _task(541, 151, 122, 11, 40, False, "regressed"),
    }
    result = {"metric": "accuracy", "n_items": 1319, "samples": 1, "accuracy": 0.4958,
              "ci95": [0.469, 0.523]}  # fmt: skip
    row = {"task": "humaneval", "base": 0.354, "tuned": 0.3415, "difference": -0.0122,
           "ci95": [-0.059, 0.035], "p_adjusted": 0.95, "verdict": "no detectable change",
           "detectable": 0.079, "worst_loss": -0.059}  # fmt: skip
    cost = {"tokens": 239_000, "prompt_tokens": 120_000, "seconds": 583.0, "correct": 712,
            "tokens_per_correct": 335.7, "tasks": {}}  # fmt: skip
    whole = {
        "schema": 1, "alpha": 0.05, "power": 0.8, "seed": 1, "resamples": 10000,
        "models": [{"label": label, "name": f"models/{label}", "fingerprint": "0" * 64,
                    "role": role, "source": f"runs/{label}", "tasks": list(tasks)}
                   for label, role in labels.items()],
        "trained": ["gsm8k"],
        "verdict": {"state": "mixed", "headline": "Improved on gsm8k: 49.6% → 56.7%",
                    "sentence": "+7.1 points [+4.7, +9.6] (p = 1.3e-07, corrected for 6 "
                    "comparisons). Of 2 tasks that were not trained ifeval regressed."},
        "results": {label: {task: result for task in tasks} for label in labels},
        "pairs": [{"base": "start", "other": name, "purpose": "change", "tasks": tasks,
                   "overall": {"n_tasks": 3, "difference": 0.007, "ci95": [-0.02, 0.04],
                               "method": "paired-cluster-bootstrap"}},
                  {"base": "start", "other": "control", "purpose": "control", "tasks": tasks,
                   "overall": None}],
        "forgetting": {name: {"rows": [row], "sentence": "1 task was not trained: ifeval fell."}},
        "contamination": {"file": "overlap.json", "unmatched": 0, "tasks": {"gsm8k": {
            "found": 3, "kept": 3, "dropped": 0, "items": ["gsm8k/1"]}}},
        "cost": {label: cost for label in labels}, "warnings": ["control: one seed alone"],
        "versions": {},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "comparison.json").write_text(json.dumps(whole), encoding="utf-8")
    lines = []
    for i, record in enumerate(hostile(flips) if evil else made(flips)):
        gained = i % 3 != 0
        wrong = record["response"].replace("in all", "altogether, I think")
        sides = {"share": 1.0, "response": record["response"], "status": "correct", "detail": "",
                 "pred": record["verdict"]["pred"], "finish_reason": "stop",
                 "tokens": 120}  # fmt: skip
        other = {**sides, "share": 0.0, "response": wrong, "status": "wrong", "pred": "12"}
        lines.append(
            {
                "pair": ["start", name if i % 4 else "control"],
                "task": "gsm8k" if i % 5 else "ifeval",
                "direction": "gained" if gained else "lost",
                **{key: record.get(key) for key in ("index", "id", "prompt", "ground_truth")},
                "stratum": record.get("stratum"), "cluster": None, "extra": record["extra"],
                "contaminated": i == 5,
                "base": other if gained else sides, "other": sides if gained else other,
            }
        )  # fmt: skip
    write(folder / "flips.jsonl", lines)
    return folder
