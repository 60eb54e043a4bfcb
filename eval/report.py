"""`python -m eval.report FOLDER [--sft RUN_FOLDER] [--out FILE]`: the page of what a folder holds.

In: a run folder (and that of the SFT run before it), the folder of an evaluation or a comparison,
or a records file. Out: one self-contained HTML page, written whole or not at all. It measures
nothing; all numbers come from the files of the folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from conf.atomic import write_json, write_text
from conf.errors import boundary
from eval.training.data import read_run

if TYPE_CHECKING:
    from eval.failures.classify import Failure


def write_report(run: Path, sft: Path | None = None, out: Path | None = None) -> Path:
    """Write the report of a run and return its path.

    Args:
        run: the run's folder.
        sft: the folder of the SFT run that made its starting model.
        out: the file to write; None: report.html in the run's folder.

    Raises:
        EvaluationError: a folder is missing or has no metrics.
        RunFolderError: the file cannot be written.
    """
    from eval.training.page import render

    page = render(read_run(run), None if sft is None else read_run(sft))
    target = run / "report.html" if out is None else out
    write_text(target, page)
    return target


def write_evaluation(
    source: Path,
    out: Path | None = None,
    classes: Mapping[str, Sequence[Failure | None]] | None = None,
) -> Path:
    """Write errors.json and the page of an evaluation; returns the page's path.

    Args:
        source: the evaluation's folder, or one records file.
        out: the file to write; None: report.html in the folder.
        classes: the class of each record, where they are known.

    Raises:
        EvaluationError: there is no such evaluation, or it is damaged.
    """
    from eval.errors import analysis, classify_all
    from eval.folder import read_evaluation
    from eval.pages.evaluation import render_evaluation

    evaluation = read_evaluation(source)
    folder = source if source.is_dir() else source.parent
    seen = classes or classify_all(evaluation)
    found = analysis(evaluation, seen)
    write_json(folder / "errors.json", found)
    target = out or folder / "report.html"
    write_text(target, render_evaluation(evaluation, seen, found))
    return target


def write_comparison(folder: Path, out: Path | None = None) -> Path:
    """Write the page of the comparison that a folder holds and return its path.

    Raises:
        EvaluationError: there is no comparison.json, or it is damaged.
    """
    from eval.pages.comparison import read_comparison, render_comparison

    target = out or folder / "report.html"
    write_text(target, render_comparison(*read_comparison(folder)))
    return target


def write_page(folder: Path, sft: Path | None = None, out: Path | None = None) -> Path:
    """Write the page of whatever a path holds: a comparison, an evaluation, else a run."""
    if (folder / "comparison.json").is_file():
        return write_comparison(folder, out)
    if folder.is_file() or (folder / "tasks").is_dir():
        return write_evaluation(folder, out)
    return write_report(folder, sft, out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m eval.report", description=__doc__)
    parser.add_argument(
        "run", type=Path, metavar="FOLDER", help="of a run, an evaluation or a comparison"
    )
    parser.add_argument("--sft", type=Path, metavar="RUN_FOLDER", help="the SFT run before it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: FOLDER/report.html")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    options = parser.parse_args(arguments)
    with boundary(debug=options.debug):
        print(f"report: {write_page(options.run, options.sft, options.out)}")


if __name__ == "__main__":
    main()
