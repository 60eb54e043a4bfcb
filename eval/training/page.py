"""The report's page: what the template gets, and the page it makes of it.

In: a `RunRecord`, and that of the SFT run before it. Out: one HTML text that needs no network and
runs no script but its own (its content security policy names their hashes). Every value that is
not `Markup` is made readable and escaped on its way into the page.
"""

from __future__ import annotations

from typing import Any

from eval.pages import charts, intervals, page
from eval.pages.text import MISSING, number, percent
from eval.training.curves import is_sft, resumes, rl_charts, sft_charts
from eval.training.data import RunRecord
from eval.training.health import examine
from eval.training.records import (
    attempt_row,
    changes,
    command,
    facts,
    preflight_rows,
    sections,
    title,
)
from eval.training.samples import ROLLOUT_PAIRS, VALIDATION_PAIRS, compare
from eval.training.verdict import Verdict, judge

CONFIG_CHARS = 200_000  # of a configuration shown; verl's whole tree has about 30,000


def _intervals(verdict: Verdict) -> dict[str, Any] | None:
    bars = [row.bar for row in verdict.rows]
    if not bars:
        return None
    span = intervals.span_of(bars)
    drawn = [intervals.draw_bar(bar, i, span) for i, bar in enumerate(bars)]
    return {
        "rows": list(zip(verdict.rows, drawn, strict=True)),
        "scale": intervals.draw_scale(span),
    }


def render(run: RunRecord, sft: RunRecord | None = None) -> str:
    """The whole page.

    Args:
        run: the run that the report is about.
        sft: the SFT run that made its starting model, for the loss curves.
    """
    verdict = judge(run)
    validation = compare(run.folder / "validation", VALIDATION_PAIRS)
    rollouts = compare(run.folder / "rollouts", ROLLOUT_PAIRS)
    own_sft = is_sft(run)
    text = run.config_text
    hidden = max(0, len(text) - CONFIG_CHARS) if text is not None else 0
    return page.render(
        "report.html",
        ["report.css"],
        ["report.js"],
        title=title(run),
        facts=facts(run),
        verdict=verdict,
        intervals=_intervals(verdict),
        charts=sft_charts(run) if own_sft else rl_charts(run),
        sft_charts=sft_charts(sft) if sft is not None and not own_sft else None,
        sft_title=title(sft) if sft is not None else "",
        is_sft=own_sft,
        resumes=resumes(run),
        checks=examine(run, verdict.rows, validation, rollouts),
        comparisons=[
            ("Held-out problems", "the validation's dump", validation),
            ("Training rollouts", "the rollouts' dump", rollouts),
        ],
        changes=changes(run),
        config_text=None if text is None else text[:CONFIG_CHARS],
        config_hidden=hidden,
        environment=None if run.environment is None else sections(run.environment),
        attempts=[attempt_row(attempt) for attempt in run.attempts],
        preflight=preflight_rows(run),
        command=command(run),
        run_folder=str(run.folder),
        missing=MISSING,
        draw=charts.draw,
        number=number,
        percent=percent,
    )
