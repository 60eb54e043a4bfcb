"""`python -m eval.export EVALUATION format=lm_eval|inspect [out=FOLDER]`: for other tools' viewers.

In: an evaluation folder or a records file. Out: files in lm-eval's layout, or logs that
`inspect view` opens, in `out` (default: `export/FORMAT` beside the records). Grades and computes
nothing beyond the standard errors that those formats want.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from conf.errors import ConfigError, boundary
from eval.errors import classify_all
from eval.exporters import inspect_log, lm_eval
from eval.folder import Evaluation, read_evaluation
from eval.words import split_words

FORMATS: Final = ("lm_eval", "inspect")
USAGE: Final = "python -m eval.export EVALUATION format=lm_eval|inspect [out=FOLDER]"


def export(evaluation: Evaluation, form: str, out: Path) -> list[Path]:
    """Write an evaluation in another tool's format; the time is that of the records' last change.

    Raises:
        ConfigError: there is no such format.
    """
    if form not in FORMATS:
        raise ConfigError(f"format={form!r}, need one of {', '.join(FORMATS)}", USAGE)
    files = sorted(evaluation.source.glob("**/records*.jsonl")) or [evaluation.source]
    when = datetime.fromtimestamp(max(file.stat().st_mtime for file in files), UTC)
    if form == "lm_eval":
        return lm_eval.export(evaluation, out, when)
    return inspect_log.export(evaluation, out, when, classify_all(evaluation))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with boundary(debug="--debug" in words):
        if "--help" in words or "-h" in words:
            print(f"{__doc__}\n{USAGE}")
            return
        paths, options = split_words(words, ("out", "format"), USAGE)
        if len(paths) != 1 or "format" not in options:
            raise ConfigError("need one evaluation and a format", USAGE)
        evaluation = read_evaluation(Path(paths[0]))
        folder = evaluation.source if evaluation.source.is_dir() else evaluation.source.parent
        out = Path(options.get("out", str(folder / "export" / options["format"])))
        for path in export(evaluation, options["format"], out):
            print(f"written: {path}")


if __name__ == "__main__":
    main()
