"""One Arrow schema for each kind of row, and the way of a row into it and out again.

In: rows as the builders of `data_prep.rows` make them. Out: Arrow tables whose every column has one
type whatever the source, so that any two outputs of a kind concatenate; and the same rows back.
What Arrow would mangle when sources mix travels as JSON: a struct column unites the fields of all
rows, and the parameters of one tool would appear, as nulls, in every other. Hence

- an RL row's further facts (`tools_kwargs`, `agent_name`, …) go into `extra_info.more`;
- a conversation that says more than roles and texts (tools, tool calls, `enable_thinking`, loss
  weights) goes into `chat`, and its `messages` is null: verl's own class, which would drop all that
  without a word, stops at such a row, and `data_prep.backends.verl_rows` reads it.

Builds no rows and judges none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from conf.errors import DataError
from rewards.registry import row_fields

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["rl", "sft", "preference", "reward_pairs"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
META: Final = ("id", "source", "licence", "split", "index")
EXTRA_INFO: Final = ("split", "index", "id", "licence", "source", "category")
BLOCK_BYTES: Final = 1 << 26  # Arrow's reader counts a block's bytes in 31 bits
CHAT_KEYS: Final = ("messages", "tools", "enable_thinking", "weight")


def _meta() -> list[tuple[str, pa.DataType]]:
    import pyarrow as pa

    return [(name, pa.string()) for name in META]


def _messages() -> pa.DataType:
    import pyarrow as pa

    return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def rl_schema() -> pa.Schema:
    """Prompts for reinforcement learning, in verl's columns."""
    import pyarrow as pa

    text = pa.string()
    extra: list[tuple[str, pa.DataType]] = [(name, text) for name in EXTRA_INFO]
    extra += [("difficulty", pa.float64()), ("more", text)]
    return pa.schema(
        [
            ("prompt", _messages()),
            ("data_source", text),
            ("ability", text),
            ("reward_model", pa.struct([("style", text), ("ground_truth", text)])),
            ("extra_info", pa.struct(extra)),
        ]
    )


def sft_schema() -> pa.Schema:
    """Conversations; either `messages` or `chat` is null."""
    import pyarrow as pa

    return pa.schema([("messages", _messages()), ("chat", pa.string()), *_meta()])


def preference_schema() -> pa.Schema:
    """A chat and two ways on, as messages."""
    import pyarrow as pa

    number = pa.float64()
    return pa.schema(
        [
            *((name, _messages()) for name in ("prompt", "chosen", "rejected")),
            ("score_chosen", number),
            ("score_rejected", number),
            *_meta(),
        ]
    )


def reward_pairs_schema() -> pa.Schema:
    """The same as three strings, which is what verl's RMDataset tokenizes."""
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("prompt", "chosen", "rejected")]
    return pa.schema([*texts, *_meta()])


def schema(kind: Kind) -> pa.Schema:
    """The canonical schema of a kind."""
    makers = {
        "rl": rl_schema,
        "sft": sft_schema,
        "preference": preference_schema,
        "reward_pairs": reward_pairs_schema,
    }
    return makers[kind]()


def kind_of(names: Iterable[str]) -> Kind:
    """The kind of a file or row, by its column names.

    Raises:
        DataError: no kind has such columns.
    """
    found = set(names)
    if "reward_model" in found:
        return "rl"
    if "messages" in found:
        return "sft"
    if {"prompt", "chosen", "rejected"} <= found:
        return "preference" if "score_chosen" in found else "reward_pairs"
    raise DataError(
        f"columns {', '.join(sorted(found)) or 'none'}: no kind of row has these",
        fix=f"kinds are {', '.join(KINDS)}; python -m data_prep.prepare makes them",
    )


def dumps(value: object) -> str:
    """JSON that is the same for the same value: sorted keys, no spaces, text as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def is_plain(row: Mapping[str, Any]) -> bool:
    """Whether a conversation is roles and texts alone, so that verl's own class reads it."""
    return (
        all(message.keys() == {"role", "content"} for message in row["messages"])
        and row.get("tools") is None
        and row.get("enable_thinking") is None
        and row.get("weight") is None
    )


def encode(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the record that its schema holds."""
    if kind == "rl":
        extra = row["extra_info"]
        known = (*EXTRA_INFO, "difficulty")
        more = {name: value for name, value in extra.items() if name not in known}
        fixed: dict[str, Any] = {name: extra.get(name) for name in known}
        fixed["more"] = dumps(more) if more else None
        return {**row, "extra_info": fixed}
    if kind == "sft" and not is_plain(row):
        # The order of the keys of a tool is the order in which a template prints them: kept.
        chat = {name: row[name] for name in CHAT_KEYS if row.get(name) is not None}
        rest = {name: value for name, value in row.items() if name not in CHAT_KEYS}
        packed = json.dumps(chat, separators=(",", ":"), ensure_ascii=False)
        return {**rest, "messages": None, "chat": packed}
    return dict(row)


def decode(kind: Kind, record: Mapping[str, Any]) -> dict[str, Any]:
    """The row that a record was made of: `decode(kind, encode(kind, row)) == row`."""
    row = dict(record)
    if kind == "rl":
        row["extra_info"] = row_fields(row["extra_info"])
    elif kind == "sft":
        chat = row.pop("chat", None)
        if chat is not None:
            row.pop("messages")
            row = {**json.loads(chat), **row}
    return row


def to_table(kind: Kind, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of their canonical schema.

    Raises:
        DataError: a value does not fit its column.
    """
    import pyarrow as pa
    from pyarrow import json as arrow_json

    # Through JSON text: `Table.from_pylist` imports pandas, which costs a second and 70 MB, and it
    # leaves out in silence what the schema has no field for.
    wanted = schema(kind)
    parse = arrow_json.ParseOptions(explicit_schema=wanted, unexpected_field_behavior="error")
    tables = []
    try:
        for data in _blocks(json.dumps(encode(kind, row), ensure_ascii=False) for row in rows):
            read = arrow_json.ReadOptions(block_size=len(data) + 1, use_threads=False)
            source = pa.BufferReader(data)
            tables.append(arrow_json.read_json(source, read_options=read, parse_options=parse))
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
        raise DataError(
            f"{kind} rows do not fit their schema: {str(error).splitlines()[0]}",
            fix="make rows with the builders of data_prep.rows",
        ) from error
    return pa.concat_tables(tables) if tables else wanted.empty_table()


def _blocks(lines: Iterable[str]) -> Iterator[bytes]:
    """Lines together, as many as a block of Arrow's reader may hold with ease."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode()
        if held and size + len(data) > BLOCK_BYTES:
            yield b"\n".join(held)
            held, size = [], 0
        held.append(data)
        size += len(data) + 1
    if held:
        yield b"\n".join(held)


def from_table(kind: Kind, table: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a table or a batch that `to_table` made."""
    return [decode(kind, record) for record in table.to_pylist()]
