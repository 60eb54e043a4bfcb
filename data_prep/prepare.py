"""`python -m data_prep.prepare source=NAME out=DIR seed=1 …`: sources become training files.

In: a specification, as `key=value` words (`mix.ratio.gsm8k=0.3` reaches into a mapping; `data` is
the same word as `source`, and a leading `+` is allowed), `--spec FILE.json`, or both (the words
win). Out: a folder with `train.parquet` and `test.parquet` (RL), `sft_train.parquet`,
`preference_train.parquet` and so on, `manifest.json`, and one line on stdout. The work is in
`data_prep.build`; here is only the command line. `prepare(spec)` is the same as a function.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from conf.errors import ConfigError, boundary
from data_prep.build import prepare
from data_prep.catalog import known_sources
from data_prep.curate import DRY_SUFFIX
from data_prep.intake import stem
from data_prep.manifest import Manifest
from data_prep.record import SPLITS
from data_prep.rows_schema import KINDS

__all__ = ["main", "prepare"]

USAGE: Final = """\
usage: python -m data_prep.prepare [--spec FILE.json] source=NAME out=DIR [key=value …]
several sources: source=a,b local.a=DIR; then also
  filters=NAME,… | filters.NAME.option=…   decontaminate=false   eval_sets=DIR   kinds=rl,sft
  mix.preset=post_training | mix.ratio.NAME=0.3   mix.temperature=2   mix.total=10000
  mix.caps.NAME=500   mix.epochs.NAME=2   mix.replay.share=0.03   mix.curriculum=difficulty
  --commercial   --jsonl   --dry-run [dry_run=64]   engine=ray   shard_rows=131072
sources: """
FLAGS: Final = {
    "--jsonl": "jsonl=true",
    "--commercial": "commercial=true",
    "--dry-run": "dry_run=64",
}


def _put(spec: dict[str, Any], key: str, value: Any) -> None:
    """`a.b=1` as `{"a": {"b": 1}}`, beside what is there."""
    *path, last = key.split(".")
    inner = spec
    for name in path:
        if not isinstance(inner.get(name), dict):
            inner[name] = {}
        inner = inner[name]
    inner[last] = value


def parse_words(arguments: list[str], usage: str = USAGE) -> dict[str, Any]:
    """The specification that a command line of `key=value` words spells."""
    spec: dict[str, Any] = {}
    given: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        if word == "--spec":
            path = Path(next(words, ""))
            try:
                loaded = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ConfigError(f"--spec {path}: {error}", fix="--spec FILE.json") from error
            if not isinstance(loaded, dict):
                raise ConfigError(f"--spec {path}: need a JSON object")
            spec.update(loaded)
            continue
        key, found, text = FLAGS.get(word, word.removeprefix("+")).partition("=")
        if not found:
            raise ConfigError(f"got {word!r}, need key=value", fix=usage.splitlines()[0])
        try:
            given[key] = json.loads(text)
        except json.JSONDecodeError:
            given[key] = text
    for key, value in given.items():
        _put(spec, key, value)
    return spec


def said(manifest: Manifest, out: object, written: bool) -> str:
    """The line on stdout."""
    shards = dict.fromkeys((stem(kind, split) for kind in KINDS for split in SPLITS), 0)
    for name, entry in manifest.files.items():
        if name.endswith(".parquet"):
            shards[name.removesuffix(".parquet").partition("-")[0]] += entry.rows or 0
    counts = ", ".join(f"{name} {rows}" for name, rows in shards.items() if rows)
    lost = ", ".join(f"{reason} {n}" for reason, n in sorted(manifest.dropped.items()))
    there = "" if written else " (already there)"
    return f"{manifest.source}: {counts}{f'; dropped {lost}' if lost else ''} → {out}{there}"


def main(arguments: list[str] | None = None) -> None:
    """Parse, prepare, say what was done."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in arguments):
        words = [word for word in arguments if word != "--debug"]
        if not words or "-h" in words or "--help" in words:
            print(f"{USAGE}{', '.join(known_sources())}, or path/to/file.py:function")
            raise SystemExit(0 if words else 2)
        spec = parse_words(words)
        manifest, written = prepare(spec)
        dry = DRY_SUFFIX if manifest.spec.get("dry_run") else ""
        print(said(manifest, f"{spec['out']}{dry}", written))


if __name__ == "__main__":
    main()
