"""`python -m eval.calibrate EVALUATION [model=NAME] [judge…]`: do we measure what others measured?

In: an evaluation folder or a records file of a model whose accuracy is published (`model=` names it
where the records do not). Out: calibration.json and a table on stdout: measured against published,
with the interval and the gap that could have been seen, and the likely causes of a gap, each with
the points it may explain at most. Causes come from the classes of the failures
(`eval.failures.classify`) and the sampling; that one is likely is a hypothesis to test, no proof.
Measures nothing anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from conf.atomic import write_json
from conf.errors import ConfigError, boundary
from eval.failures.classify import Failure
from eval.failures.rates import failures
from eval.folder import Evaluation, read_evaluation
from eval.pages.text import percent
from eval.published import SIZES, Published, known_model, models, published
from eval.words import split_words

USAGE: Final = "python -m eval.calibrate EVALUATION [model=NAME] [out=FILE]"
ROUNDED: Final = 0.0005  # published numbers have one decimal of a percent
SEEN: Final = 2.8016 / 1.9600  # half widths of an interval that hold (z_0.975 + z_0.8)·SE
SMALL: Final = 0.005  # a cause of fewer points is not named
# Where a response goes on into a turn that is not its own.
_RUN_ON = re.compile(
    r"<\|(?:im_start|im_end|user|eot_id|start_header_id)\|>|\n\s*(?:Question|Human|User|Problem"
    r"|Instruction|Q)\s*:|\[/?INST\]"
)


@dataclass(frozen=True, slots=True)
class Cause:
    """What may explain a gap: its name, the evidence, and the points (share of 1) at most."""

    name: str
    evidence: str
    points: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A measured accuracy beside a published one.

    `state` is `agrees` when the published number lies in our 95% interval, else `below` or `above`.
    `detectable` is the smallest gap that would not have agreed with 80% power.
    """

    task: str
    measured: float
    ci95: tuple[float, float]
    n: int
    published: float
    source: str
    how: str
    state: str
    difference: float
    detectable: float
    causes: tuple[Cause, ...]

    @property
    def line(self) -> str:
        """The finding in one sentence."""
        low, high = self.ci95
        text = (
            f"{percent(self.measured)} [{percent(low)}, {percent(high)}], n = {self.n:,}; "
            f"published {percent(self.published)}; could have seen ≥ "
            f"{100 * self.detectable:.1f} points"
        )
        if self.state == "agrees":
            return f"agrees: {text}"
        first = f" Likely: {self.causes[0].name}." if self.causes else " No cause is evident."
        return f"{100 * self.difference:+.1f} points, {self.state} the published: {text}.{first}"


def calibrate(
    evaluation: Evaluation,
    classes: Mapping[str, Sequence[Failure | None]] | None = None,
    model: str | None = None,
) -> list[Gap]:
    """The gaps of all tasks for which something is published; [] for an unknown model.

    Args:
        evaluation: what was measured.
        classes: the class of each record, where they are known already.
        model: a name of `eval.published`; None: found out from the model's name.
    """
    name = model or known_model(evaluation.name) or known_model(evaluation.label)
    found = []
    for task, records in evaluation.tasks.items():
        entry = published(name, task) if name else None
        if entry is None:
            continue
        seen = classes[task] if classes is not None else failures(records)
        found.append(_gap(task, evaluation.results[task], records, seen, entry))
    return found


def _gap(
    task: str,
    result: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    classes: Sequence[Failure | None],
    entry: Published,
) -> Gap:
    low, high = result["ci95"]
    inside = low - ROUNDED <= entry.accuracy <= high + ROUNDED
    difference = float(result["accuracy"]) - entry.accuracy
    state = "agrees" if inside else "below" if difference < 0 else "above"
    causes = [] if inside else _causes(task, records, classes, below=difference < 0)
    return Gap(
        task=task,
        measured=float(result["accuracy"]),
        ci95=(float(low), float(high)),
        n=int(result.get("n_items", result.get("n", len(records)))),
        published=entry.accuracy,
        source=entry.source,
        how=entry.how,
        state=state,
        difference=difference,
        detectable=SEEN * (high - low) / 2,
        causes=tuple(causes),
    )


def _causes(
    task: str,
    records: Sequence[Mapping[str, Any]],
    classes: Sequence[Failure | None],
    *,
    below: bool,
) -> list[Cause]:
    """What the records say, the largest first; then what holds without a number."""
    n = len(records)

    def share(*kinds: str) -> float:
        return sum(one is not None and one.kind in kinds for one in classes) / n

    ran_on = [
        one is not None and _RUN_ON.search(str(record["response"])) is not None
        for record, one in zip(records, classes, strict=True)
    ]
    cut = share("truncated")
    unread = share("wrong_format", "no_answer")
    meant = sum("gold answer" in one.why for one in classes if one is not None) / n
    found = []
    if below:
        limit = max(int(record.get("tokens") or 0) for record in records)
        found = [
            Cause("token limit", f"{cut:.1%} of the responses are cut at {limit:,} tokens", cut),
            Cause(
                "extraction",
                f"no readable answer in {unread:.1%}; in {meant:.1%} the right one is there",
                unread,
            ),
            Cause(
                "template",
                f"{sum(ran_on) / n:.1%} of the responses fail and go on into another turn: the "
                "chat template or the stop strings are not the model's",
                sum(ran_on) / n,
            ),
            Cause(
                "template or decoding",
                f"{share('repetition'):.1%} run into a loop",
                share("repetition"),
            ),
            Cause(
                "language of the prompt",
                f"{share('wrong_language'):.1%} answer in another language",
                share("wrong_language"),
            ),
            Cause("system prompt", f"{share('refusal'):.1%} refuse", share("refusal")),
            Cause(
                "grader",
                f"it failed on {share('verifier_failed'):.1%}",
                share("verifier_failed"),
            ),
        ]
    found = sorted((c for c in found if c.points >= SMALL), key=lambda cause: -cause.points)
    return found + _setting(task, records, below=below)


def _setting(task: str, records: Sequence[Mapping[str, Any]], *, below: bool) -> list[Cause]:
    sampling = records[0].get("sampling") or {}
    found = []
    size = SIZES.get(task)
    items = len({record.get("index") for record in records})
    if size is not None and items != size:
        found.append(Cause("other items", f"{items:,} items, the benchmark has {size:,}", 0.0))
    if float(sampling.get("temperature") or 0) > 0:
        found.append(
            Cause("sampling", f"temperature {sampling['temperature']}; greedy is usual", 0.0)
        )
    shots = sampling.get("few_shot", records[0].get("few_shot"))
    if below:
        told = f"{shots} examples here" if shots is not None else "the records do not say how many"
        found.append(Cause("few-shot", f"published numbers may use worked examples; {told}", 0.0))
        return found
    found.append(
        Cause(
            "contamination or leniency",
            "above what its makers report: check the training data for these items, and the "
            "grader by eval.audit",
            0.0,
        )
    )
    return found


def table(gaps: Sequence[Gap]) -> str:
    """The terminal's view."""
    lines = []
    for gap in gaps:
        lines.append(f"{gap.task}: {gap.line}")
        lines += [
            f"    {f'≤ {100 * c.points:.1f} pts' if c.points else '        –':<11}"
            f"{c.name}: {c.evidence}"
            for c in gap.causes
        ]
        lines.append(f"    source: {gap.source}; {gap.how}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with boundary(debug="--debug" in words):
        if "--help" in words or "-h" in words:
            print(f"{__doc__}\n{USAGE}\nmodels: {', '.join(models())}")
            return
        paths, options = split_words(words, ("out", "model"), USAGE)
        if len(paths) != 1:
            raise ConfigError(f"got {len(paths)} evaluations, need one", USAGE)
        evaluation = read_evaluation(Path(paths[0]))
        model = options.get("model")
        if model is not None and model not in models():
            raise ConfigError(f"nothing is published here of {model!r}", ", ".join(models()))
        gaps = calibrate(evaluation, model=model)
        if not gaps:
            raise ConfigError(
                f"nothing is published here of {evaluation.name!r} on "
                f"{', '.join(evaluation.tasks)}",
                f"model=NAME, one of {', '.join(models())}",
            )
        folder = evaluation.source if evaluation.source.is_dir() else evaluation.source.parent
        out = Path(options.get("out", str(folder / "calibration.json")))
        write_json(out, {"schema": 1, "gaps": [asdict(gap) for gap in gaps]})
        print(f"{table(gaps)}\nwritten: {out}")


if __name__ == "__main__":
    main()
