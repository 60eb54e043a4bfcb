"""`python -m eval.report RUN_FOLDER [--sft RUN_FOLDER] [--out FILE]`: a run's report.

In: a run folder, and that of the SFT run before it. Out: one self-contained HTML page, written
whole or not at all. It measures nothing; all numbers come from the files of the run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from conf.atomic import write_text
from conf.errors import boundary
from eval.report_data import read_run


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
    from eval.report_page import render

    page = render(read_run(run), None if sft is None else read_run(sft))
    target = run / "report.html" if out is None else out
    write_text(target, page)
    return target


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m eval.report", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN_FOLDER", help="runs/<recipe>/<name>")
    parser.add_argument("--sft", type=Path, metavar="RUN_FOLDER", help="the SFT run before it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: RUN_FOLDER/report.html")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    options = parser.parse_args(arguments)
    with boundary(debug=options.debug):
        print(f"report: {write_report(options.run, options.sft, options.out)}")


if __name__ == "__main__":
    main()
