"""Data files and their rows: there, readable, not empty, and of the shape that verl reads.

In: `Settings`. Out: lines, and the files with their row counts for the checks on steps. Footers,
schemas and a sample of rows are read, not whole files. The failures named here are those that verl
shows late or not at all: a bad prompt makes its length filter drop every row without a word.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launch.preflight.chat import OUR_ROWS, PACKED, chat_of
from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.parquet import DataFile, listed, read_file, total_rows
from launch.preflight.settings import Settings


@dataclass(frozen=True)
class DataScan:
    """The data files of a run.

    Attributes:
        train: files of `data.train_files`.
        val: files of `data.val_files`.
    """

    train: tuple[DataFile, ...]
    val: tuple[DataFile, ...]

    @property
    def train_rows(self) -> int | None:
        """Training rows; None where a file could not be read."""
        return total_rows(self.train)

    @property
    def val_rows(self) -> int | None:
        """Validation rows; None where a file could not be read or there is none."""
        return total_rows(self.val)


def scan_data(settings: Settings) -> DataScan:
    """Read the footers and a sample of every data file."""
    columns = _columns(settings)
    return DataScan(
        train=tuple(read_file(p, columns) for p in listed(settings["data.train_files"])),
        val=tuple(read_file(p, columns) for p in listed(settings["data.val_files"])),
    )


def check_data(settings: Settings, scan: DataScan) -> list[Line]:
    """Judge the files, their columns and the sampled rows."""
    lines: list[Line] = []
    for key, files in (("data.train_files", scan.train), ("data.val_files", scan.val)):
        if not files and key == "data.train_files":
            lines.append(failed("data files", f"{key} is empty", "a Parquet file", f"{key}=PATH"))
        for item in files:
            lines += _file(settings, key, item)
        lines += _same_types(settings, files)
    if lines:
        return lines
    parts = [f"{scan.train_rows} training rows"]
    if scan.val:
        parts.append(f"{scan.val_rows} validation rows")
    sampled = sum(len(item.sample) for item in (*scan.train, *scan.val))
    return [passed("data files", f"{', '.join(parts)}; {sampled} sampled rows in order")]


def _columns(settings: Settings) -> tuple[str, ...]:
    if settings.is_sft:
        return (str(settings["data.messages_key"]), PACKED)
    prompt, source = str(settings["data.prompt_key"]), str(settings["data.reward_fn_key"])
    return (prompt, source, "reward_model", "extra_info")


def _file(settings: Settings, key: str, item: DataFile) -> list[Line]:
    if item.remote:
        return [
            warned(
                "data files",
                f"{item.path} was not looked into ({item.remote})",
                "local Parquet to check it",
                f"{key}=PATH.parquet",
            )
        ]
    if item.problem:
        return [
            failed(
                "data files",
                f"{item.path} {item.problem}",
                f"a Parquet file for {key}",
                *_ways_to_a_file(settings, key, item),
            )
        ]
    if item.rows == 0:
        return [
            failed(
                "data files",
                f"{item.path} holds 0 rows",
                "at least one",
                f"{key}=PATH",
                _prepare(settings),
            )
        ]
    return _shape(settings, item) or _rows(settings, item)


def _ways_to_a_file(settings: Settings, key: str, item: DataFile) -> list[str]:
    """The nearest file that is there, and preparing the data again."""
    folder = item.path if item.path.is_dir() else item.path.parent
    names = sorted(path.name for path in folder.glob("*.parquet")) if folder.is_dir() else []
    names = [name for name in names if name != item.path.name]
    close = difflib.get_close_matches(item.path.name, names, n=1, cutoff=0.4) or names[:1]
    return [*(f"{key}={folder / name}" for name in close), _prepare(settings)]


def _prepare(settings: Settings) -> str:
    source, out = settings.optional("data_prep.source"), settings.optional("data_prep.out")
    return f"python -m data_prep.prepare source={source or '…'} out={out or '…'}"


def _shape(settings: Settings, item: DataFile) -> list[Line]:
    """The Arrow schema against what verl and the rewards read."""
    lines: list[Line] = []
    schema = item.schema
    for key in ("data.messages_key",) if settings.is_sft else ("data.prompt_key",):
        column = str(settings[key])
        if column not in schema.names:
            near = difflib.get_close_matches(column, schema.names, n=1, cutoff=0.3)
            fix = near or [name for name in schema.names if _is_chat(schema.field(name).type)][:1]
            return [
                failed(
                    "data columns",
                    f"{item.path.name} has no column {column!r} (it has {_names(schema.names)})",
                    "a list of {role, content}",
                    *(f"{key}={name}" for name in fix),
                )
            ]
        if not _is_chat(schema.field(column).type):
            lines.append(
                failed(
                    "data columns",
                    f"{item.path.name}: {column} is {_short(schema.field(column).type)}",
                    "a list of {role, content}",
                    _prepare(settings),
                )
            )
    if settings.is_sft:
        return lines
    lines += _must_be_text(settings, item, str(settings["data.reward_fn_key"]))
    lines += _must_be_text(settings, item, "reward_model.ground_truth")
    if _type_of(schema, "extra_info.index") is None:
        lines.append(
            warned(
                "data columns",
                f"{item.path.name} has no extra_info.index: verl gives every row the index 0",
                "an index in each row",
                _prepare(settings),
            )
        )
    return lines


def _must_be_text(settings: Settings, item: DataFile, dotted: str) -> list[Line]:
    kind = _type_of(item.schema, dotted)
    if kind is not None and str(kind) in ("string", "large_string", "string_view"):
        return []
    got = f"{dotted} is {_short(kind)}" if kind is not None else f"there is no {dotted}"
    return [failed("data columns", f"{item.path.name}: {got}", "text (string)", _prepare(settings))]


def _rows(settings: Settings, item: DataFile) -> list[Line]:
    """The sampled rows; the first bad one is named with its number, the others counted."""
    column = str(settings["data.messages_key" if settings.is_sft else "data.prompt_key"])
    source = "" if settings.is_sft else str(settings["data.reward_fn_key"])
    problems = []
    for number, row in item.sample:
        chat = chat_of(row, column)
        if chat.packed and settings["data.custom_cls.path"] != OUR_ROWS:
            return [_unread(settings, item, number, column)]
        where = PACKED if chat.packed else column
        problem = _chat_problem(chat.turns, where, answered=settings.is_sft)
        if not problem and not settings.is_sft:
            problem = _answer_problem(row, source)
        if problem:
            problems.append((number, problem))
    if not problems:
        return []
    number, problem = problems[0]
    return [
        failed(
            "data rows",
            f"{item.path.name}, row {number}: {problem} ({len(problems)} of {len(item.sample)} "
            "sampled rows)",
            "non-empty {role, content} turns that end with an answer"
            if settings.is_sft
            else "non-empty {role, content} turns, a data_source and a ground truth",
            _prepare(settings),
        )
    ]


def _unread(settings: Settings, item: DataFile, number: int, column: str) -> Line:
    """A row with tools or weights, and a dataset class that does not know of them."""
    path = settings["data.custom_cls.path"]
    return failed(
        "data rows",
        f"{item.path.name}, row {number}: its {column} is null, and data.custom_cls.path={path} "
        f"does not read {PACKED}",
        "the class that reads tools and loss weights",
        f"data.custom_cls.path={OUR_ROWS} data.custom_cls.name=SftRows",
    )


def _chat_problem(turns: Any, column: str, *, answered: bool) -> str:
    """What is wrong with one conversation, empty when nothing is."""
    if not isinstance(turns, list) or not turns:
        return f"{column} is {'null' if turns is None else 'empty'}"
    for turn in turns:
        if not isinstance(turn, Mapping) or not turn.get("role"):
            return f"a turn of {column} has no role"
        content = turn.get("content")
        if turn.get("tool_calls") or (isinstance(content, list) and content):
            continue  # a call of tools has no text; parts of several kinds are a list
        if not isinstance(content, str) or not content.strip():
            return f"the content of a {turn['role']} turn is {'null' if content is None else '“”'}"
    if answered and all(turn["role"] != "assistant" for turn in turns):
        return f"{column} has no assistant turn to learn from"
    return ""


def _answer_problem(row: Mapping[str, Any], source: str) -> str:
    """What is wrong with what the reward reads, empty when nothing is."""
    if not row[source]:
        return f"{source} is {'null' if row[source] is None else 'empty'}"
    reward_model = row["reward_model"]
    if not isinstance(reward_model, Mapping) or reward_model["ground_truth"] is None:
        return "reward_model.ground_truth is null"
    return ""


def _same_types(settings: Settings, files: Sequence[DataFile]) -> list[Line]:
    """Since verl joins the files of one list, a column of two types ends in an Arrow error."""
    known = [item for item in files if item.schema is not None]
    for dotted in ("reward_model.ground_truth", "extra_info.index"):
        kinds = {str(kind): item for item in known if (kind := _type_of(item.schema, dotted))}
        if len(kinds) > 1:
            (one, first), (other, second) = list(kinds.items())[:2]
            return [
                failed(
                    "data columns",
                    f"{dotted} is {one} in {first.path.name}, {other} in {second.path.name}",
                    "one type in all files of a list",
                    _prepare(settings),
                )
            ]
    return []


def _type_of(schema: Any, dotted: str) -> Any:
    """The Arrow type of a column or of a field within structs; None when it is not there."""
    import pyarrow.types as types

    head, *rest = dotted.split(".")
    if head not in schema.names:
        return None
    kind = schema.field(head).type
    for name in rest:
        if not types.is_struct(kind) or kind.get_field_index(name) < 0:
            return None
        kind = kind.field(name).type
    return kind


def _is_chat(kind: Any) -> bool:
    import pyarrow.types as types

    if not (types.is_list(kind) or types.is_large_list(kind)):
        return False
    turn = kind.value_type
    return types.is_struct(turn) and all(
        turn.get_field_index(name) >= 0 for name in ("role", "content")
    )


def _short(kind: Any) -> str:
    text = str(kind)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return shown + (", …" if len(names) > 8 else "")
