"""The page of one evaluation: verdict, intervals, why it fails, published numbers, all responses.

In: an `Evaluation`. Out: one HTML text, self-contained. The verdict of one model alone is where it
stands: its accuracies with their intervals, and whether they are what its makers publish. Better or
worse than another model is `eval.compare`'s to say. Numbers are those of results.json; only the
classes of the failures are found here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from data_prep.inspection.mathml import tables
from eval.calibrate import Gap, calibrate
from eval.failures.classify import SHORT, Failure
from eval.folder import Evaluation
from eval.pages import page
from eval.pages.draw import Plot, accuracies, rates
from eval.pages.intervals import Bar
from eval.pages.items import items
from eval.pages.text import duration, percent, plural
from eval.summary import headline

STYLES = ("report.css", "eval.css")
SCRIPTS = ("eval_text.js", "eval_list.js", "eval_items.js")
SHOWN_VALUES = 30


class Cell(NamedTuple):
    """A cell of a table: its text and its tone (better, worse, unclear or nothing)."""

    text: str
    tone: str = ""


class Table(NamedTuple):
    """A table; `words` are the columns, beside the first, that hold words and not numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: Sequence[int] = ()


class Verdict(NamedTuple):
    """What stands first: its colour, the headline, a sentence."""

    state: str
    headline: str
    sentence: str


def cells(*texts: object) -> list[Cell]:
    """A row of plain cells."""
    return [text if isinstance(text, Cell) else Cell(str(text)) for text in texts]


def render_evaluation(
    evaluation: Evaluation,
    found: Mapping[str, Sequence[Failure | None]],
    analysed: Mapping[str, Any],
) -> str:
    """The whole page.

    Args:
        evaluation: what was measured.
        found: the class of each record.
        analysed: the content of errors.json.
    """
    gaps = calibrate(evaluation, found)
    marks = {gap.task: gap.published for gap in gaps}
    results = evaluation.results
    bars = [_bar(task, one) for task, one in results.items()]
    notes = [_note(one) for one in results.values()]
    verdict = _verdict(evaluation, gaps)
    return page.render(
        "evaluation.html",
        STYLES,
        SCRIPTS,
        title=evaluation.name,
        verdict=verdict,
        accuracies=accuracies(bars, notes, [marks.get(bar.label) for bar in bars]),
        accuracies_hint=_hint(results),
        has_published=bool(gaps),
        facts=_facts(evaluation),
        warnings=_warnings(evaluation),
        failures=[_failed(task, one) for task, one in analysed["tasks"].items()],
        calibration=gaps,
        numbers=_numbers(results),
        settings=_settings(evaluation),
        folder=str(evaluation.source),
        items=page.embedded("latex", tables()) + items(evaluation, found),
    )  # fmt: skip


def _bar(task: str, one: Mapping[str, Any]) -> Bar:
    """What a task reports: its accuracy, or the rate that it is about."""
    value, ends = headline(one)
    low, high = ends or (0.0, 1.0)
    return Bar(task, float(value or 0.0), float(low), float(high))


def _verdict(evaluation: Evaluation, gaps: Sequence[Gap]) -> Verdict:
    results = evaluation.results
    if len(results) == 1:
        task, one = next(iter(results.items()))
        title = f"{percent(_bar(task, one).value)} on {task}"
    else:
        mean = sum(float(one["accuracy"]) for one in results.values()) / len(results)
        title = f"{percent(mean)} right on average over {len(results)} tasks"
    off = [gap for gap in gaps if gap.state != "agrees"]
    n = sum(len(records) for records in evaluation.tasks.values())
    sentence = f"{plural(n, 'response')}."
    if gaps and not off:
        sentence += f" As published on {_names([gap.task for gap in gaps])}."
    for state, words in (("below", "below"), ("above", "above")):
        hit = [gap for gap in off if gap.state == state]
        if hit:
            told = ", ".join(f"{gap.task} {100 * gap.difference:+.1f}" for gap in hit)
            sentence += f" {words.capitalize()} the published numbers: {told} points."
    worst = _dominant(evaluation)
    state = "unclear" if off else "better" if gaps else "none"
    return Verdict(state, title, f"{sentence}{worst}")


def _dominant(evaluation: Evaluation) -> str:
    """What no number may hide: many cut or broken responses."""
    told = []
    for task, one in evaluation.results.items():
        if float(one.get("truncation_share") or 0) > 0.1:
            told.append(f"{percent(one['truncation_share'])} of {task} cut at the token limit")
        if one.get("broken"):
            told.append(f"the grader failed on {plural(int(one['broken']), 'response')} of {task}")
    return f" Careful: {'; '.join(told)}." if told else ""


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _note(one: Mapping[str, Any]) -> str:
    n = int(one.get("n_items", one.get("n", 0)))
    samples = int(one.get("samples") or 1)
    metric = str(one.get("metric") or "accuracy").replace("_", " ")
    many = f" × {samples} samples" if samples > 1 else ""
    effect = (one.get("mde") or {}).get("paired")
    seen = "" if effect is None else f", can see ≥ {100 * effect:.1f} points"
    return f"{'' if metric == 'accuracy' else metric + ', '}{plural(n, 'item')}{many}{seen}"


def _hint(results: Mapping[str, Mapping[str, Any]]) -> str:
    methods = dict.fromkeys(str(one.get("method") or "wilson") for one in results.values())
    return f"Share right, with 95% intervals ({', '.join(methods)})."


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    records = evaluation.records
    seconds = sum(float(record.get("seconds") or 0) for record in records)
    tokens = sum(int(record.get("tokens") or 0) for record in records)
    facts = [("Model", evaluation.label), ("Responses", f"{len(records):,}")]
    facts += [("Tokens", f"{tokens:,}"), ("Generation", duration(seconds))]
    if seconds > 0:
        facts.append(("Speed", f"{tokens / seconds:,.0f} tokens/s"))
    return facts


def _warnings(evaluation: Evaluation) -> list[str]:
    found = [str(text) for text in evaluation.whole.get("warnings") or []]
    for task, one in evaluation.results.items():
        found += [f"{task}: {text}" for text in one.get("warnings") or []]
    return found


def _failed(task: str, one: Mapping[str, Any]) -> dict[str, Any]:
    """One task's card in the section on failures."""
    kinds = one["kinds"]
    bars = [Bar(kind["title"], kind["share"], *kind["ci95"]) for kind in kinds.values()]
    notes = [f"{kind['count']:,} of {one['n']:,}" for kind in kinds.values()]
    plot: Plot | None = rates(bars, notes) if bars else None
    sorts = ", ".join(f"{sort['count']:,} {name}" for name, sort in one["sorts"].items())
    summary = f"{one['failures']:,} of {one['n']:,} are not right"
    return {
        "task": task,
        "key": task,
        "summary": f"{summary}; wrong answers: {sorts}" if sorts else summary,
        "plot": plot,
        "links": [(kind, found["title"], found["count"]) for kind, found in kinds.items()],
        "advice": [
            (entry["title"], percent(entry["share_of_failures"]), entry["text"])
            for entry in one["suggestions"]
        ],
        "breakdowns": [
            (name, _breakdown(rows, list(kinds))) for name, rows in one["by"].items() if rows
        ],
    }


def _breakdown(rows: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> Table:
    head = ["", "responses", "not right", "95% interval", *(SHORT[kind] for kind in kinds)]
    made = [
        cells(
            row["value"],
            f"{row['n']:,}",
            percent(row["share"]),
            f"[{percent(row['ci95'][0])}, {percent(row['ci95'][1])}]",
            *(f"{row['kinds'][kind]:,}" if kind in row["kinds"] else "–" for kind in kinds),
        )
        for row in rows[:SHOWN_VALUES]
    ]
    return Table(head, made)


def _numbers(results: Mapping[str, Mapping[str, Any]]) -> Table:
    """Everything that results.json holds of each task."""
    ks = list(dict.fromkeys(k for one in results.values() for k in one.get("pass_at_k") or {}))
    majorities = list(
        dict.fromkeys(k for one in results.values() for k in one.get("maj_at_k") or {})
    )
    head = ["task", "accuracy", "95% interval", "items", "cut", "mean tokens", "grader failed"]
    head += [f"pass@{k}" for k in ks] + [f"maj@{k}" for k in majorities] + ["detectable"]
    rows = []
    for task, one in results.items():
        low, high = one["ci95"]
        effect = (one.get("mde") or {}).get("paired")
        rows.append(
            cells(
                task,
                percent(one["accuracy"]),
                f"[{percent(low)}, {percent(high)}]",
                f"{int(one.get('n_items', one.get('n', 0))):,}",
                percent(float(one.get("truncation_share") or 0)),
                f"{float(one.get('mean_tokens') or 0):,.0f}",
                f"{int(one.get('broken') or 0):,}",
                *(_at_k((one.get("pass_at_k") or {}).get(k)) for k in ks),
                *(_at_k((one.get("maj_at_k") or {}).get(k)) for k in majorities),
                "–" if effect is None else f"≥ {100 * effect:.1f} points",
            )
        )
    return Table(head, rows)


def _at_k(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "–"
    low, high = entry["ci95"]
    return f"{percent(entry['value'])} [{percent(low)}, {percent(high)}]"


def _settings(evaluation: Evaluation) -> list[tuple[str, str]]:
    rows = [("model", evaluation.name)]
    for task, records in evaluation.tasks.items():
        sampling = records[0].get("sampling") or {}
        told = ", ".join(f"{key} {value}" for key, value in sampling.items())
        reward = records[0].get("reward") or {}
        rows.append((task, f"{told}; graded by {reward.get('name', 'not recorded')}"))
    model = evaluation.whole.get("model")
    if isinstance(model, Mapping) and model.get("fingerprint"):
        rows.append(("fingerprint", str(model["fingerprint"])))
    versions = evaluation.whole.get("versions") or evaluation.info.get("versions") or {}
    if isinstance(versions, Mapping):
        rows += [(str(name), str(version)) for name, version in versions.items()]
    return rows
