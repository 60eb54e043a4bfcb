"""`python -m data_prep.check FILE …`: what would go wrong with these rows, before Ray starts.

In: files of rows, or folders of them. Out: one line for each problem with file, row, column and
the way out, a summary, and exit code 3 if any is an error. With `--fix` each file gets a mended
one beside it (`NAME.fixed.parquet`, canonical columns) and what could not be mended goes to
`NAME.rejected.jsonl` with its reasons; the file itself stays. Judges form, not quality: filters do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from conf.errors import ConfigError, DataError, boundary
from data_prep.checks.codes import CODES
from data_prep.checks.files import Opened, kind_of_row, open_file, records
from data_prep.checks.mend import beside, mend, split_of_name
from data_prep.checks.report import SHOWN, Report
from data_prep.checks.rows import row_problems, unpacked
from data_prep.rows_schema import Kind

USAGE: Final = """\
usage: python -m data_prep.check FILE_OR_FOLDER … [--fix] [--json] [shown=5]
  tokenizer=FOLDER max_length=1024   SFT rows longer than that stop verl in mid-run
  reward=verl                        data_source must be one that verl itself can judge
"""
_SAME: Final = {
    "gold_value": "gold_type",
    "index_value": "index_type",
    "prompt_text": "column_type",
}
_LEFT_OUT: Final = ("findings.jsonl", ".rejected.jsonl", ".fixed.parquet")


def expand(paths: Iterable[Path]) -> Iterator[Path]:
    """Files, and of each folder the files of rows in it; Parquet before its readable twin."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(p for s in ("*.parquet", "*.jsonl", "*.jsonl.gz") for p in path.glob(s))
        names = {p.name for p in inside}
        found = [
            p
            for p in inside
            if not p.name.endswith(_LEFT_OUT) and f"{p.stem}.parquet" not in names - {p.name}
        ]
        if not found:
            raise DataError(f"{path} holds no file of rows", fix="name the files")
        yield from found


def check(
    paths: Iterable[Path],
    *,
    reward: str | None = None,
    tokenizer: str | None = None,
    max_length: int | None = None,
    fix: bool = False,
    shown: int = SHOWN,
) -> Report:
    """Look at every row of every file.

    Args:
        paths: files or folders.
        reward: `verl`: verl's own verifiers judge; None: one of ours or of the user's does.
        tokenizer: folder or hub name, to count tokens with.
        max_length: of an SFT row in tokens; None: any.
        fix: write a mended file beside each.
        shown: problems to keep of each code and file.

    Raises:
        DataError: a folder holds no file, or a mended file cannot be written.
    """
    report, ids = Report(shown=shown), dict[tuple[str, str], int]()
    types: dict[tuple[str, str], tuple[str, Path]] = {}
    files = list(expand(paths))
    lengths = _lengths(tokenizer) if tokenizer and max_length else None
    if max_length and not tokenizer:
        report.add(files[0], 0, ("tokenizer_needed", "", f"max_length={max_length} is in tokens"))
    kinds: dict[Path, Kind | None] = {}
    for path in files:
        opened = open_file(path)
        for found in opened.found:
            report.add(path, 0, found)
        _compare(opened, types, report)
        usable = not any(
            code in ("no_file", "file_kind", "file_empty") for code, *_ in opened.found
        )
        usable = usable and (opened.kind is not None or path.suffix != ".parquet")
        report.rows[str(path)] = 0
        if usable:
            limit = (lengths, max_length) if lengths and max_length else None
            _rows(opened, report, ids, reward, limit)
        kinds[path] = opened.kind
        if usable and fix and opened.kind is not None:
            report.fixed[beside(path, ".fixed.parquet").name] = mend(opened, reward)
    _validation(files, kinds, report)
    return report


def _lengths(tokenizer: str) -> Callable[[Mapping[str, Any]], int]:
    from data_prep.filters.length import Length

    measure = Length(unit="tokens", tokenizer=tokenizer)
    return lambda row: measure.length(dict(row))


def _compare(
    opened: Opened, types: dict[tuple[str, str], tuple[str, Path]], report: Report
) -> None:
    """Types of columns that another file of the kind has otherwise."""
    for column, got in opened.types.items():
        there, path = types.setdefault((str(opened.kind), column), (got, opened.path))
        if there != got and "null" not in (there, got):
            detail = f"is {got} here and {there} in {path.name}"
            report.add(opened.path, 0, ("types_differ", column, detail))


def _rows(
    opened: Opened,
    report: Report,
    ids: dict[tuple[str, str], int],
    reward: str | None,
    limit: tuple[Callable[[Mapping[str, Any]], int], int] | None,
) -> None:
    path, first = opened.path, len(opened.found)
    said = {code for code, *_ in opened.found}
    number, plain = 0, 0
    split = split_of_name(path)
    for number, record in records(opened):
        if isinstance(record, tuple):
            report.add(path, number, record)
            report.bad_rows[str(path)] += 1
            continue
        plain += 1
        if not kind_of_row(opened, record):
            report.add(path, number, opened.found[-1])
            break
        for found in opened.found[first:]:
            report.add(path, 0, found)
        first = len(opened.found)
        kind = opened.kind
        assert kind is not None
        bad = False
        for found in row_problems(kind, record, reward):
            if _SAME.get(found[0]) in said:
                continue
            report.add(path, number, found)
            bad = bad or CODES[found[0]].severity == "error"
        holder = record.get("extra_info") if kind == "rl" else record
        if isinstance(holder, dict):
            bad |= _place(holder, split, kind, ids, report, path, number, _first_text(record))
        if limit is not None and kind == "sft" and not bad:
            length = limit[0](unpacked(kind, record)[0])
            if length > limit[1]:
                detail = f"{length} tokens, max_length is {limit[1]}"
                report.add(path, number, ("too_long", "messages", detail))
                bad = True
        report.bad_rows[str(path)] += bad
    report.rows[str(path)] = plain
    if not number and "no_rows" not in said:
        report.add(path, 0, ("no_rows", "", "holds no row"))


def _place(
    holder: Mapping[str, Any],
    split: str | None,
    kind: Kind,
    ids: dict[tuple[str, str], int],
    report: Report,
    path: Path,
    number: int,
    text: str,
) -> bool:
    """Repeated ids, and rows in the file of another split; whether there was such a thing."""
    prefix = "extra_info." if kind == "rl" else ""
    bad = False
    own, row_id = holder.get("split"), holder.get("id")
    if split is not None and own in ("train", "test") and own != split:
        report.add(path, number, ("split_differs", f"{prefix}split", f"{own} in a {split} file"))
        bad = True
    if isinstance(row_id, str) and row_id:
        # A row used twice in a mix is one row, so only another text under one id is an error.
        mark = hash((own, str(holder.get("index")), text))
        there = ids.setdefault((kind, row_id), mark)
        if there != mark:
            report.add(path, number, ("id_repeated", f"{prefix}id", f"{row_id} is another row's"))
            bad = True
    return bad


def _first_text(record: Mapping[str, Any]) -> str:
    """What the row begins with."""
    value = record.get("prompt") or record.get("messages") or record.get("chat")
    first = value[0] if isinstance(value, list) and value else value
    return str(first.get("content") if isinstance(first, dict) else first)


def _validation(files: list[Path], kinds: Mapping[Path, Kind | None], report: Report) -> None:
    """A training file without its test file, among several files of a folder."""
    for path in files:
        if kinds[path] not in ("rl", "sft") or split_of_name(path) != "train":
            continue
        twins = [p for p in files if p.parent == path.parent and split_of_name(p) == "test"]
        same = [p for p in twins if kinds[p] == kinds[path]]
        if len(files) > 1 and not same:
            detail = "has no test file beside it; with test_freq>0 verl iterates None"
            report.add(path, 0, ("no_validation", "", detail))


def _options(words: list[str]) -> tuple[list[Path], dict[str, Any]]:
    paths: list[Path] = []
    options: dict[str, Any] = {}
    for word in words:
        key, found, value = word.partition("=")
        if word == "--fix":
            options["fix"] = True
        elif found and key in ("tokenizer", "reward"):
            options[key] = value
        elif found and key in ("max_length", "shown") and value.isdecimal() and int(value):
            options[key] = int(value)
        elif word.startswith("-") or (found and not Path(word).exists()):
            raise ConfigError(f"got {word!r}", fix=USAGE.splitlines()[0])
        else:
            paths.append(Path(word))
    if options.get("reward", "verl") != "verl":
        raise ConfigError(f"reward={options['reward']}", fix="reward=verl, or leave it out")
    return paths, options


def main(arguments: list[str] | None = None) -> None:
    """Parse, check, say what was found."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in arguments):
        words = [word for word in arguments if word not in ("--debug", "--json")]
        if not words or "-h" in words or "--help" in words:
            print(USAGE)
            raise SystemExit(0 if words else 2)
        paths, options = _options(words)
        report = check(paths, **options)
        if "--json" in arguments:
            names = ("code", "file", "row", "column", "detail")
            found = [{n: getattr(one, n) for n in names} for one in report.problems]
            print(json.dumps({"rows": report.rows, "counts": report.counts, "problems": found}))
        else:
            print("\n".join(report.lines()))
        if report.errors:
            raise SystemExit(DataError.exit_code)


if __name__ == "__main__":
    main()
