"""Rows that are too long for the length limits, by the model's own tokenizer and chat template.

In: `Settings`, the data files and the model's folder. Out: lines. The rows with most bytes of text
are rendered with the chat template (jinja2, as transformers does it) and counted with `tokenizers`;
transformers is not imported. verl cuts a long prompt from the left, drops it, or stops in mid-run,
by job and option; here it is said before. Tools that an SFT row brings are rendered, multi-modal
parts are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.preflight.chat import PACKED, Chat, chat_of
from launch.preflight.checks_model import chat_template
from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.parquet import DataFile
from launch.preflight.settings import Settings

LONGEST = 8  # rows of each file that are rendered and counted
SCAN_ROWS = 200_000  # rows whose bytes are counted, from the start of a file
NAME = "row lengths"


@dataclass(frozen=True)
class Longest:
    """The longest row found.

    Attributes:
        tokens: its length as verl will see it.
        file: name of its file.
        row: its number there.
        scanned: rows that were compared by bytes.
        above: rendered rows above the limit.
    """

    tokens: int
    file: str
    row: int
    scanned: int
    above: int


def check_lengths(settings: Settings, files: Sequence[DataFile], folder: Path | None) -> list[Line]:
    """Hold the longest rows against `max_prompt_length` or `max_length`.

    Args:
        settings: the composed configuration.
        files: training and validation files.
        folder: the model's; None when its files are not here yet.
    """
    key = "data.max_length" if settings.is_sft else "data.max_prompt_length"
    limit = settings.positive(key)
    column = str(settings["data.messages_key" if settings.is_sft else "data.prompt_key"])
    if folder is None:
        return [passed(NAME, "not counted: the tokenizer is not here yet")]
    try:
        counter = _Counter.of(settings, folder)
        found = [
            longest
            for item in files
            if item.schema is not None and column in item.schema.names
            if (longest := _longest(item, column, counter, limit)) is not None
        ]
    except _CannotCount as reason:
        return [passed(NAME, f"not counted: {reason}")]
    if not found:
        return []
    most = max(found, key=lambda longest: longest.tokens)
    if most.tokens <= limit:
        scanned = sum(longest.scanned for longest in found)
        text = f"the longest of {scanned} rows has {most.tokens} tokens; {key}={limit}"
        return [passed(NAME, text)]
    where = f"{most.file}, row {most.row}: {most.tokens} tokens, above {key}={limit}"
    return [_too_long(settings, key, most.tokens, where)]


def _too_long(settings: Settings, key: str, tokens: int, where: str) -> Line:
    longer = f"{key}={tokens}"
    if settings.is_sft:
        if settings["data.truncation"] == "error":
            got = f"{where}: verl stops in mid-run"
            return failed(NAME, got, "rows that fit", longer, "data.truncation=right")
        got = f"{where}: it is cut ({settings['data.truncation']})"
        return warned(NAME, got, "rows that fit", longer)
    drop = "data.filter_overlong_prompts=true"
    if settings["data.filter_overlong_prompts"]:
        return warned(NAME, f"{where}: such rows are dropped", "prompts that fit", longer)
    got = f"{where}: verl cuts it from the left"
    return failed(NAME, got, "prompts that fit", longer, drop)


class _CannotCount(Exception):
    """Why tokens cannot be counted here; a reason to say so, not to stop."""


class _Counter:
    """Counts the tokens of a conversation as verl's data loaders do."""

    def __init__(self, template: Any, tokenizer: Any, variables: Mapping[str, Any]) -> None:
        self._template = template
        self._tokenizer = tokenizer
        self._variables = variables

    @classmethod
    def of(cls, settings: Settings, folder: Path) -> _Counter:
        """Load the tokenizer and compile the template of a model folder."""
        other = settings.optional(f"{settings.model_key}.tokenizer_path")
        place = Path(str(other)).expanduser() if other else folder
        source = chat_template(settings, place)
        file = place / "tokenizer.json"
        if source is None or not file.is_file():
            raise _CannotCount("no tokenizer.json with a chat template")
        import jinja2
        import jinja2.ext
        import jinja2.sandbox
        from tokenizers import Tokenizer

        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda _format: "1 January 2026"
        try:
            template = environment.from_string(source)
            tokenizer = Tokenizer.from_file(str(file))
            content = json.loads((place / "tokenizer_config.json").read_text(encoding="utf-8"))
        except Exception as error:  # tokenizers raises bare Exception; nothing else is told by it
            raise _CannotCount(f"{type(error).__name__}: {str(error)[:80]}") from error
        tokens = {
            name: value["content"] if isinstance(value, dict) else value
            for name in ("bos_token", "eos_token", "pad_token", "unk_token")
            if (value := content.get(name))
        }
        more = settings.optional("data.apply_chat_template_kwargs") or {}
        variables = {**tokens, **more, "add_generation_prompt": not settings.is_sft}
        return cls(template, tokenizer, variables)

    def count(self, chat: Chat) -> int:
        """Tokens of one conversation, the generation prompt included where one follows."""
        import jinja2

        try:
            known = {**self._variables, **chat.beside}
            text = self._template.render(messages=chat.turns, **known)
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise _CannotCount(f"the chat template refuses a row: {str(error)[:80]}") from error
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _raise(message: str) -> None:
    raise ValueError(message)


def _to_json(value: Any, **options: Any) -> str:
    """The filter that transformers has: plain JSON, not escaped for HTML."""
    return json.dumps(value, ensure_ascii=False, **options)


def _longest(item: DataFile, column: str, counter: _Counter, limit: int) -> Longest | None:
    """The longest row of a file among those with most bytes."""
    import pyarrow.parquet as pq

    heap: list[tuple[int, int, Chat]] = []
    columns = [column, *({PACKED} & {*item.schema.names})]
    scanned = 0
    with pq.ParquetFile(item.path) as file:
        for batch in file.iter_batches(batch_size=4096, columns=columns):
            sizes = sum(map(_bytes, batch.select(columns).columns))
            order = sizes.argsort()[::-1][:LONGEST]
            for index in order:
                row = batch.slice(int(index), 1).to_pylist()[0]
                chat = chat_of(row, column)
                if _is_plain(chat.turns):
                    heap.append((int(sizes[index]), scanned + int(index), chat))
            heap = sorted(heap, key=lambda entry: -entry[0])[:LONGEST]
            scanned += batch.num_rows
            if scanned >= SCAN_ROWS:
                break
    if not heap:
        return None
    counts = [(counter.count(chat), row) for _, row, chat in heap]
    tokens, row = max(counts)
    above = sum(count > limit for count, _ in counts)
    return Longest(tokens, item.path.name, row, scanned, above)


def _is_plain(turns: Any) -> bool:
    return (
        isinstance(turns, list)
        and bool(turns)
        and all(
            isinstance(turn, Mapping) and isinstance(turn.get("content"), str) for turn in turns
        )
    )


def _bytes(conversations: Any) -> Any:
    """Bytes of text in each conversation of an Arrow array, as a numpy array.

    A conversation is a list<struct> of turns, or all of it as JSON.

    Read from the arrays' offsets: `pyarrow.compute` on Python values and `to_numpy` import pandas,
    a second of CPU time.
    """
    import numpy as np
    import pyarrow.types as types

    if types.is_string(conversations.type) or types.is_large_string(conversations.type):
        return np.diff(_offsets(conversations, _width(conversations.type)))
    turns = conversations.values
    content = turns.field("content")
    if not (types.is_string(content.type) or types.is_large_string(content.type)):
        raise _CannotCount("contents that are not plain text")
    if len(content) == 0:
        return np.zeros(len(conversations), dtype=np.int64)
    first = _offsets(
        conversations, np.int64 if types.is_large_list(conversations.type) else np.int32
    )
    text = _offsets(content, _width(content.type))
    return text[first[1:]] - text[first[:-1]]


def _width(kind: Any) -> Any:
    """The type of a text array's offsets."""
    import numpy as np
    import pyarrow.types as types

    return np.int64 if types.is_large_string(kind) else np.int32


def _offsets(array: Any, kind: Any) -> Any:
    """The offsets of a variable-length Arrow array, one more than it has entries."""
    import numpy as np

    whole = np.frombuffer(array.buffers()[1], dtype=kind)
    return whole[array.offset : array.offset + len(array) + 1].astype(np.int64)
