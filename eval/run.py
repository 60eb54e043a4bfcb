"""`python -m eval.run out=DIR data=FILE.parquet models.before=A models.after=B reward=math …`.

In: a specification as `key=value` words (`--help` lists them), `--spec FILE.json`, or both. Out:
records-LABEL.jsonl, items.json and results.json in `out`, a table on stdout, progress on stderr.
The same command again generates only what is missing. The work is in `eval.evaluate`.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from conf.errors import EXIT_TERMINATED, boundary
from eval.spec import USAGE, help_text, parse


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(EXIT_TERMINATED)  # unwinds, so that vLLM's processes are stopped too


def main(arguments: list[str] | None = None) -> None:
    """Parse, evaluate, show the table."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    with boundary(debug=debug):
        words = [word for word in words if word != "--debug"]
        if not words or "-h" in words or "--help" in words:
            print(help_text() if words else f"{USAGE}\npython -m eval.run --help lists the keys")
            raise SystemExit(0 if words else 2)
        spec = parse(words)
        signal.signal(signal.SIGTERM, _terminate)
        from eval.evaluate import evaluate  # scipy and pyarrow: only once the words are good
        from eval.summary import table

        results = evaluate(spec)
        print(f"{table(results)}\n→ {spec.out}/results.json")


if __name__ == "__main__":
    main()
