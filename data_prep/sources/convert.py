"""One raw row of a declared source becomes one row of a kind, or a drop with its reason.

In: declaration, kind, raw row and its place. Out: a checked row, or a `Drop`. A row that cannot be
costs itself alone; a declaration that does not fit the data (no such column, no known role) is a
`DataError`. Reads no files.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from conf.errors import ConfigError, DataError
from data_prep.rows import Row, preference_row, reward_pair_row, rl_row, sft_row
from data_prep.rows_schema import Kind
from data_prep.sources import columns
from data_prep.sources import fields as parts
from data_prep.sources.base import Drop, Split
from data_prep.sources.columns import Lack
from data_prep.sources.declare import Declaration, nearest
from data_prep.sources.fields import Chat, Fields

Adapter = Callable[[Declaration, Kind, Mapping[str, Any], str], Fields]
OTHER_SPLIT: Final = "other_split"  # reason of a raw row that `keep_in` gives to another split
ADAPTERS: Final[Mapping[str, str]] = {
    "codecontests": "code_tests",
    "code_tests": "code_tests",
    "countdown": "puzzles",
    "helpsteer3": "pairs",
    "hh_rlhf": "pairs",
    "ifeval": "instructions",
    "knights_and_knaves": "puzzles",
    "openr1_math": "reasoning",
}


def adapter(name: str, beside: Path) -> Adapter:
    """The function that a declaration's `code` names.

    Args:
        name: one of `ADAPTERS`, or `file.py:function`.
        beside: folder that a relative file is looked for in.

    Raises:
        ConfigError: there is no such function.
    """
    if name in ADAPTERS:
        return _ours(name)
    where, _, function = name.rpartition(":")
    path = beside / Path(where).expanduser()
    if not where.endswith(".py") or not path.is_file():
        raise ConfigError(
            f"code: no adapter {name!r}", fix=f"{nearest(name, ADAPTERS)} (or file.py:function)"
        )
    state = path.stat()
    return _theirs(path, function, (state.st_mtime_ns, state.st_size))


@cache
def _ours(name: str) -> Adapter:
    module = importlib.import_module(f"data_prep.sources.adapters.{ADAPTERS[name]}")
    return cast(Adapter, getattr(module, name))


@cache
def _theirs(path: Path, function: str, state: tuple[int, int]) -> Adapter:
    """The function in a user's file, loaded once a state of that file."""
    spec = importlib.util.spec_from_file_location(f"temper_adapter_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"code: {path} is not Python", fix="give a .py file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"code: {path} raised {type(error).__name__}: {error}") from error
    found = getattr(module, function, None)
    if not callable(found) or len(inspect.signature(found).parameters) != 4:
        raise ConfigError(
            f"code: {path} has no function {function!r} of (declaration, kind, row, where)"
        )
    return cast(Adapter, found)


def convert(
    declared: Declaration,
    kind: Kind,
    raw: Mapping[str, Any],
    *,
    split: Split,
    index: int,
    where: str,
) -> Row | Drop:
    """A raw row as a row of `kind`.

    Args:
        declared: its source.
        kind: one of the declaration's kinds.
        raw: the raw row.
        split: where it goes.
        index: its position among the split's raw rows; with source and split, its id.
        where: file and line, for messages.

    Raises:
        DataError: the declaration does not fit the data.
    """
    try:
        for conditions, reason in (
            (declared.keep_in.get(split), OTHER_SPLIT),
            (declared.keep, "not_kept"),
        ):
            for column, condition in (conditions or {}).items():
                if not columns.holds(condition, columns.value(raw, column, where)):
                    raise Lack(reason)
        if declared.code is not None:
            fields = adapter(declared.code, declared.path.parent)(declared, kind, raw, where)
        else:
            fields = plain_fields(declared, kind, raw, where)
        return _build(declared, kind, fields, split, index)
    except Lack as lack:
        return Drop(split, lack.reason, where, lack.detail)


def plain_fields(declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str) -> Fields:
    """What a declaration without code makes of a raw row for one kind."""
    fields = parts.mapped(declared, raw, where)
    if kind == "rl":
        fields.answer = parts.gold(declared, raw, where)
    elif kind == "sft":
        fields.response = parts.response(declared, raw, where)
    else:
        parts.pair(declared, raw, where, fields)
    return fields


def _build(declared: Declaration, kind: Kind, fields: Fields, split: Split, index: int) -> Row:
    """The row; what its builder refuses in this row alone is a `Lack`."""
    common: dict[str, Any] = {
        "data_source": declared.data_source or declared.name,
        "id": f"{declared.name}/{split}/{index}",
        "split": split,
        "index": index,
        "licence": declared.licence,
    }
    try:
        if kind == "rl":
            common["source"] = declared.name
            return cast(Row, _rl(declared, fields, common))
        common["data_source"] = declared.name
        if kind == "sft":
            return cast(Row, _sft(declared, fields, common))
        return cast(Row, _pair(declared, kind, fields, common))
    except DataError as error:
        raise Lack("bad_row", error.message) from error


def _asked(declared: Declaration, fields: Fields) -> Chat:
    """The prompt, its turns checked, with the declaration's system message before it."""
    turns = fields.prompt
    if not turns:
        raise Lack("empty_prompt")
    if declared.system is not None and turns[0]["role"] != "system":
        turns = [{"role": "system", "content": declared.system}, *turns]
    columns.check_turns(turns)
    if turns[-1]["role"] == "assistant":
        raise Lack("ends_with_assistant")
    return turns


def _rl(declared: Declaration, fields: Fields, common: dict[str, Any]) -> Any:
    if not fields.answer:
        raise Lack("no_answer")
    difficulty = fields.difficulty
    if difficulty is not None and declared.difficulty_is == "solve_rate":
        fields.more["solve_rate"], difficulty = difficulty, None
    return rl_row(
        prompt=_asked(declared, fields),
        ground_truth=fields.answer,
        ability=declared.ability,
        style=declared.style,
        category=fields.category,
        difficulty=difficulty,
        more=fields.more,
        **common,
    )


def _sft(declared: Declaration, fields: Fields, common: dict[str, Any]) -> Any:
    if fields.messages is not None:
        turns = fields.messages
        if declared.system is not None and turns[0]["role"] != "system":
            turns = [{"role": "system", "content": declared.system}, *turns]
        columns.check_turns(turns)
    else:
        if not (fields.response or "").strip():
            raise Lack("empty_answer")
        answer = {"role": "assistant", "content": fields.response}
        turns = [*_asked(declared, fields), answer]
    if all(turn["role"] != "assistant" for turn in turns):
        raise Lack("no_assistant_turn")
    return sft_row(
        messages=turns,
        tools=fields.tools,
        enable_thinking=fields.enable_thinking,
        weight=fields.weight,
        **common,
    )


def _pair(declared: Declaration, kind: Kind, fields: Fields, common: dict[str, Any]) -> Any:
    asked = _asked(declared, fields)
    chosen, rejected = fields.chosen or [], fields.rejected or []
    if not chosen or not rejected:
        raise Lack("empty_answer")
    if [turn["content"].strip() for turn in chosen] == [
        turn["content"].strip() for turn in rejected
    ]:
        raise Lack("identical_pair")
    if kind == "preference":
        return preference_row(
            prompt=asked,
            chosen=chosen,
            rejected=rejected,
            score_chosen=fields.score_chosen,
            score_rejected=fields.score_rejected,
            **common,
        )
    return reward_pair_row(
        prompt=f"{_transcript(asked)}\n\nAssistant:\n",
        chosen=_transcript(chosen).removeprefix("Assistant:\n"),
        rejected=_transcript(rejected).removeprefix("Assistant:\n"),
        **common,
    )


def _transcript(turns: Chat) -> str:
    """A chat as plain text, for models that know no chat template."""
    return "\n\n".join(f"{turn['role'].capitalize()}:\n{turn['content']}" for turn in turns)
