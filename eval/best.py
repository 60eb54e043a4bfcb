"""`python -m eval.best RUN`: which checkpoint of a run is the best, by what, and how sure that is.

In: RUN/best/{considered.json, global_step_N/validated.json}, as the trainer left them. Out:
RUN/best/best.json, which the report reads, and one line. The choice itself is the trainer's; this
adds the interval, and says that the best of several estimates is too good on average.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conf.atomic import write_json, writing
from conf.errors import ConfigError, EvaluationError, boundary
from eval.pages.text import percent

USAGE = "usage: python -m eval.best RUN"


def best_of(run: Path) -> dict[str, Any]:
    """The best checkpoint of a run, with its interval.

    Returns:
        `step`, `metric`, `mode`, `value`, `considered` (the steps that it is the best of),
        `folder`; `ci95`, `method` and `items` where verdicts of single items are known.

    Raises:
        EvaluationError: the run kept no checkpoint as its best.
    """
    found = [json.loads(file.read_text()) for file in run.glob("best/global_step_*/validated.json")]
    if not found:
        raise EvaluationError(
            f"{run} kept no checkpoint as its best: none was validated at the step at which it was "
            "saved, under selection.checkpoint=best",
            "selection.checkpoint=last",
        )
    sign = 1.0 if found[0]["mode"] == "min" else -1.0
    facts = min(found, key=lambda one: (sign * one["value"], one["step"]))
    interval = _interval(facts.pop("shares", None), facts.pop("draws", None))
    values = json.loads((run / "best" / "considered.json").read_text())["values"]
    folder = f"best/global_step_{facts['step']}/huggingface"
    return {**facts, **interval, "considered": sorted(map(int, values)), "folder": folder}


def _interval(shares: list[float] | None, draws: int | None) -> dict[str, Any]:
    """A 95% interval over items: of a proportion, or of any mean."""
    from eval.statistics.mean import mean_t, proportion

    if not shares or len(shares) < 2:
        return {}
    bounded = all(0 <= share <= 1 for share in shares)
    estimate = proportion(shares, draws=draws) if bounded else mean_t(shares)
    interval = estimate.interval
    ci95 = [interval.low, interval.high]
    return {"ci95": ci95, "method": estimate.method, "items": len(shares)}


def line(best: dict[str, Any]) -> str:
    """The outcome in one line."""
    many = len(best["considered"])
    of = f"of {many} considered" + ("; the best of several looks too good" if many > 1 else "")
    said = f"best checkpoint: step {best['step']}, "
    if "ci95" not in best:
        return f"{said}{best['metric']} {best['value']:.4g}, {of}"
    low, high = best["ci95"]
    value = f"{percent(best['value'])} [{100 * low:.1f}, {100 * high:.1f}]"
    if not 0 <= low <= high <= 1:
        value = f"{best['value']:.4g} [{low:.4g}, {high:.4g}]"
    return f"{said}held-out {best['metric']} {value}, n = {best['items']:,}, {of}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, write, say."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with boundary(debug="--debug" in words):
        words = [word for word in words if word != "--debug"]
        if "-h" in words or "--help" in words:
            print(USAGE)
            return
        if len(words) != 1:
            raise ConfigError(f"got {len(words)} words, need one run folder", USAGE)
        run = Path(words[0])
        found = best_of(run)
        with writing(run / "best"):
            write_json(run / "best" / "best.json", found)
        print(line(found))


if __name__ == "__main__":
    main()
