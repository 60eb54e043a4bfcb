"""The page of a comparison: verdict, differences, what was forgotten, flips side by side.

In: `comparison.json` and `flips.jsonl` as `eval.compare` writes them. Out: one HTML text,
self-contained. All numbers and verdicts are that file's; only the classes of the flips' failing
sides are found here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from conf.errors import EvaluationError
from data_prep.inspection.mathml import tables
from eval.failures.classify import TITLES, classify
from eval.pages import page
from eval.pages.draw import accuracies, differences, points
from eval.pages.evaluation import STYLES, Cell, Table, Verdict, cells
from eval.pages.intervals import Bar
from eval.pages.items import (
    CHUNK,
    GOLD_CHARS,
    chunks,
    cut,
    facets,
    gold_text,
    limit_for,
    prompt_text,
    value_of,
)
from eval.pages.text import duration, percent, plural
from eval.records import read_records
from eval.stored import read_json

SCRIPTS: Final = ("eval_text.js", "eval_list.js", "eval_flips.js")
Json = dict[str, Any]
DIRECTIONS: Final = {"gained": "wrong → right", "lost": "right → wrong"}
PURPOSES: Final = {
    "change": "the change in question",
    "control": "what the control arm gained",
    "beyond_control": "beyond the control arm",
    "models": "",
}
TONES: Final = {"improved": "better", "regressed": "worse"}
STATES: Final = {"improved": "better", "regressed": "worse", "mixed": "mixed"}


def read_comparison(folder: Path) -> tuple[Json, list[Json]]:
    """The comparison of a folder and its flips.

    Raises:
        EvaluationError: there is none.
    """
    found = read_json(folder / "comparison.json")
    if not found.get("pairs"):
        raise EvaluationError(
            f"{folder} holds no comparison.json with pairs", "python -m eval.compare BASE TUNED"
        )
    return found, read_records(folder / "flips.jsonl")


def render_comparison(found: Mapping[str, Any], flips: Sequence[Mapping[str, Any]]) -> str:
    """The whole page.

    Args:
        found: the content of comparison.json.
        flips: the lines of flips.jsonl.
    """
    first = found["pairs"][0]
    told = found["verdict"]
    counts = {way: sum(flip["direction"] == way for flip in flips) for way in DIRECTIONS}
    return page.render(
        "comparison.html",
        STYLES,
        SCRIPTS,
        title=" → ".join(model["label"] for model in found["models"] if model["role"] != "control"),
        verdict=Verdict(
            STATES.get(told["state"], "unclear"), told["headline"], told["sentence"]
        ),
        difference=differences(
            [(task, _difference_note(one), one) for task, one in first["tasks"].items()]
        ),
        pair_name=f"{first['base']} → {first['other']}",
        facts=_facts(found, first),
        warnings=list(found.get("warnings") or []),
        pairs=[_pair(pair) for pair in found["pairs"]],
        forgetting=[_forgotten(label, one) for label, one in
                    (found.get("forgetting") or {}).items() if one["rows"]],
        contamination=_contamination(found.get("contamination")),
        models=_models(found),
        accuracies=_accuracies(found),
        flips_note=f"{counts['gained']:,} wrong → right, {counts['lost']:,} right → wrong",
        items=page.embedded("latex", tables()) + flip_items(found, flips),
    )  # fmt: skip


def _difference_note(one: Mapping[str, Any]) -> str:
    base, other = one["accuracy"]["base"], one["accuracy"]["other"]
    effect = one.get("detectable")
    seen = "" if effect is None else f", can see ≥ {100 * effect:.1f} points"
    kind = {True: ", trained", False: ", not trained", None: ""}[one.get("trained")]
    return f"{percent(base)} → {percent(other)}, n = {one['n']:,}{kind}{seen}"


def _facts(found: Mapping[str, Any], first: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("Models", str(len(found["models"]))), ("Tasks", str(len(first["tasks"])))]
    overall = first.get("overall")
    if overall:
        low, high = overall["ci95"]
        facts.append(
            ("Mean over tasks", f"{points(overall['difference'])} [{points(low)}, {points(high)}]")
        )
    trained = found.get("trained")
    if trained is not None:
        facts.append(("Trained on", ", ".join(trained) or "none of these tasks"))
    facts.append(("Level", f"{100 * float(found['alpha']):g}%, corrected over all comparisons"))
    return facts


def _pair(pair: Mapping[str, Any]) -> Json:
    head = ["task", pair["base"], pair["other"], "difference", "95% interval", "p", "p corrected",
            "gained", "lost", "verdict"]  # fmt: skip
    rows = []
    for task, one in pair["tasks"].items():
        low, high = one["difference_ci95"]
        rows.append(
            cells(
                task,
                percent(one["accuracy"]["base"]),
                percent(one["accuracy"]["other"]),
                points(one["difference"]),
                f"[{points(low)}, {points(high)}]",
                _p(one["p_value"]),
                _p(one["p_adjusted"]),
                f"{one['gained']:,}",
                f"{one['lost']:,}",
                Cell(one["verdict"], TONES.get(one["verdict"], "unclear")),
            )
        )
    warnings = [f"{task}: {text}" for task, one in pair["tasks"].items() for text in
                [*one.get("warnings", []), *_left_out(one)]]  # fmt: skip
    return {
        "name": f"{pair['base']} → {pair['other']}",
        "purpose": PURPOSES.get(pair["purpose"], ""),
        "table": Table(head, rows, words=(9,)),
        "lines": [(task, one["line"]) for task, one in pair["tasks"].items()],
        "strata": [
            (task, _strata(one["strata"])) for task, one in pair["tasks"].items() if one["strata"]
        ],
        "warnings": warnings,
    }


def _left_out(one: Mapping[str, Any]) -> list[str]:
    left = {name: count for name, count in (one.get("left_out") or {}).items() if count}
    if not left:
        return []
    words = {"only_base": "only the first model has", "only_other": "only the second model has",
             "broken": "whose grading failed", "changed": "whose question changed"}  # fmt: skip
    told = ", ".join(f"{count:,} {words.get(name, name)}" for name, count in left.items())
    return [f"items left out: {told}"]


def _strata(strata: Sequence[Mapping[str, Any]]) -> Table:
    head = ["stratum", "n", "before", "after", "difference", "95% interval", "gained", "lost"]
    return Table(
        head,
        [
            cells(one["name"], f"{one['n']:,}", percent(one["base"]), percent(one["other"]),
                  points(one["difference"]), _range(one["ci95"]),
                  f"{one['gained']:,}", f"{one['lost']:,}")
            for one in strata
        ],
    )  # fmt: skip


def _range(ends: Sequence[float]) -> str:
    return f"[{points(ends[0])}, {points(ends[1])}]"


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def _forgotten(label: str, one: Mapping[str, Any]) -> Json:
    head = ["task", "before", "after", "difference", "95% interval", "p corrected",
            "could have seen", "worst loss inside the interval", "verdict"]  # fmt: skip
    rows = [
        cells(
            row["task"], percent(row["base"]), percent(row["tuned"]), points(row["difference"]),
            _range(row["ci95"]), _p(row["p_adjusted"]),
            "–" if row.get("detectable") is None else f"≥ {100 * row['detectable']:.1f} points",
            f"{100 * abs(row['worst_loss']):.1f} points",
            Cell(row["verdict"], TONES.get(row["verdict"], "unclear")),
        )
        for row in one["rows"]
    ]  # fmt: skip
    return {"label": label, "sentence": one["sentence"], "table": Table(head, rows, words=(8,))}


def _contamination(given: Mapping[str, Any] | None) -> Json | None:
    if not given:
        return None
    rows = [
        cells(task, f"{one['found']:,}", f"{one['kept']:,}", f"{one['dropped']:,}")
        for task, one in given["tasks"].items()
    ]
    head = ["task", "items found in the training data", "left in it", "dropped from it"]
    return {"file": given.get("file", ""), "table": Table(head, rows)}


def _models(found: Mapping[str, Any]) -> Table:
    head = ["model", "role", "name", "tokens", "generation", "right", "tokens per right answer"]
    rows = []
    for model in found["models"]:
        cost = (found.get("cost") or {}).get(model["label"]) or {}
        each = cost.get("tokens_per_correct")
        rows.append(
            cells(
                model["label"],
                model["role"],
                # A path may break after each part, so that the table keeps to the page.
                Cell(Markup("/<wbr>").join(str(model["name"]).split("/"))),
                f"{int(cost.get('tokens') or 0):,}",
                duration(float(cost.get("seconds") or 0)),
                f"{int(cost.get('correct') or 0):,}",
                "–" if each is None else f"{each:,.0f}",
            )
        )
    return Table(head, rows, words=(1, 2))


def _accuracies(found: Mapping[str, Any]) -> Any:
    bars, notes = [], []
    for model in found["models"]:
        for task, one in (found["results"].get(model["label"]) or {}).items():
            bars.append(Bar(f"{task} · {model['label']}", one["accuracy"], *one["ci95"]))
            notes.append(plural(int(one["n_items"]), "item"))
    order = sorted(range(len(bars)), key=lambda i: bars[i].label.partition(" · ")[0])
    return accuracies([bars[i] for i in order], [notes[i] for i in order])


def flip_items(found: Mapping[str, Any], flips: Sequence[Mapping[str, Any]]) -> Markup:
    """The flips as data for the page's list."""
    pairs = [(pair["base"], pair["other"]) for pair in found["pairs"]]
    tasks = list(dict.fromkeys(flip["task"] for flip in flips))
    names = facets(flips)
    sides = ("base", "other")
    limit = limit_for(len(str(flip[side]["response"])) for flip in flips for side in sides)
    rows: list[list[Any]] = []
    texts: list[Json] = []
    prompts: dict[str, int] = {}
    for at, flip in enumerate(flips):
        kinds = [_failing(flip, side) for side in sides]
        extra = flip.get("extra") or {}
        rows.append(
            [pairs.index((flip["pair"][0], flip["pair"][1])), tasks.index(flip["task"]),
             flip["direction"], str(flip.get("id")), *kinds, bool(flip.get("contaminated")),
             *(value_of(flip, extra, name) for name in names)]
        )  # fmt: skip
        prompt = prompt_text(flip.get("prompt"))
        first = prompts.setdefault(prompt, at)
        texts.append(
            {
                "prompt": first if first != at else cut(prompt, limit),
                "gold": cut(gold_text(flip.get("ground_truth")), GOLD_CHARS),
                **{side: _side(flip[side], limit) for side in sides},
            }
        )
    index = {
        "pairs": pairs,
        "tasks": tasks,
        "directions": DIRECTIONS,
        "titles": TITLES,
        "facets": names,
        "chunk": CHUNK,
        "rows": rows,
    }
    return page.embedded("index", index) + chunks(texts)


def _side(side: Mapping[str, Any], limit: int) -> Json:
    return {
        "share": side.get("share"),
        "response": cut(str(side.get("response") or ""), limit),
        "pred": str(side.get("pred") or "")[:GOLD_CHARS],
        "tokens": int(side.get("tokens") or 0),
    }


def _failing(flip: Mapping[str, Any], side: str) -> str:
    """The class of a side that is not right, "" of one that is."""
    one = flip[side]
    failure = classify({**flip, **one, "verdict": one, "reward": flip.get("reward") or {}})
    return failure.kind if failure else ""
