"""`python -m eval.run model=PATH_OR_HUB 'suite=[gsm8k,math500]' …`, or two models on one file.

In: a specification as `key=value` words (`--help` lists them), `--spec FILE.json`, or both. With
`suite`: a model on declared tasks (see `eval.suite.flow`). With `data=FILE.parquet models.before=A
models.after=B reward=math`: one or two models on one file of rows (see `eval.evaluate`). Out:
records, items.json and results.json in `out`, a table on stdout, progress on stderr. The same
command again generates only what is missing.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from conf.errors import EXIT_TERMINATED, boundary
from eval.spec import USAGE, help_text, parse
from eval.suite import spec as suite_spec


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(EXIT_TERMINATED)  # unwinds, so that vLLM's processes are stopped too


def _help(*, whole: bool) -> None:
    if not whole:
        print(f"{suite_spec.USAGE}\n{USAGE}\npython -m eval.run --help lists the keys and tasks")
        raise SystemExit(2)
    print(help_text(suite_spec.SuiteSpec, suite_spec.USAGE))
    print(f"\ntasks: {', '.join(suite_spec.names())}\n\n{help_text()}")
    raise SystemExit(0)


def main(arguments: list[str] | None = None) -> None:
    """Parse, evaluate, show the table."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    with boundary(debug=debug):
        words = [word for word in words if word != "--debug"]
        if not words or "-h" in words or "--help" in words:
            _help(whole=bool(words))
        signal.signal(signal.SIGTERM, _terminate)
        if suite_spec.is_suite(words):
            suite = suite_spec.parse_suite(words)
            from eval.suite.flow import evaluate_suite  # only once the words are good
            from eval.summary import suite_table

            print(f"{suite_table(evaluate_suite(suite))}\n→ {suite.folder}/results.json")
            return
        spec = parse(words)
        from eval.evaluate import evaluate  # scipy and pyarrow: only once the words are good
        from eval.summary import table

        print(f"{table(evaluate(spec))}\n→ {spec.out}/results.json")


if __name__ == "__main__":
    main()
