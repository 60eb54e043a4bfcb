"""What `data_prep.check` can have against a file or a row: codes, severities, the way out.

In: nothing. Out: `Problem`, and `CODES`, where each code stands with how grave it is, whether
`--fix` mends it, and what to do. Finds nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Severity = Literal["error", "warning"]


class Code(NamedTuple):
    """One kind of problem.

    Attributes:
        severity: `error`: training stops, or goes wrong in silence; `warning`: look at it.
        mended: whether `--fix` repairs it.
        fix: the way out, for a person.
    """

    severity: Severity
    mended: bool
    fix: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing against a file or a row.

    Attributes:
        code: one of `CODES`.
        file: where.
        row: its number, from 1; 0: the file as a whole.
        column: where in the row, with dots; "": the row as a whole.
        detail: what was got, and what is needed.
    """

    code: str
    file: str
    row: int
    column: str
    detail: str

    @property
    def severity(self) -> Severity:
        """That of its code."""
        return CODES[self.code].severity

    def __str__(self) -> str:
        """One line: place, what, the way out."""
        place = self.file + (f": row {self.row}" if self.row else "")
        column = f", column {self.column}" if self.column else ""
        code = CODES[self.code]
        fix = f"{code.fix} (--fix does it where that takes no guess)" if code.mended else code.fix
        return f"{code.severity} {self.code}: {place}{column}: {self.detail} → {fix}"


def _error(fix: str, *, mended: bool = False) -> Code:
    return Code("error", mended, fix)


def _warning(fix: str, *, mended: bool = False) -> Code:
    return Code("warning", mended, fix)


_AGAIN: Final = "fetch or write the file again"
_SOURCE: Final = "mend the source, or leave the row out"
CODES: Final[dict[str, Code]] = {
    # Files
    "no_file": _error("check the path"),
    "file_kind": _error("give .parquet, .jsonl, .json or .csv, the text ones also as .gz"),
    "file_empty": _error(_AGAIN),
    "file_broken": _error(_AGAIN),
    "file_cut": _error(_AGAIN),
    "not_json": _error("mend or drop that line"),
    "not_object": _error("one JSON object a row"),
    "not_utf8": _error("write the file as UTF-8"),
    "no_rows": _error("check the preparation's manifest for why all rows were dropped"),
    "row_kind": _error("python -m data_prep.prepare makes rows with the columns of a kind"),
    "no_column": _error("add the column, or make the file with data_prep.prepare"),
    "column_type": _error("write the column in that type", mended=True),
    "gold_type": _error("write ground truths as strings in every file", mended=True),
    "index_type": _error("write indices as strings in every file", mended=True),
    "types_differ": _error("write both files with one schema", mended=True),
    "empty_struct": _error("leave the empty object out: Arrow cannot write it", mended=True),
    "list_feature": _error("drop the metadata of datasets 4, which version 3 refuses", mended=True),
    "tools_merged": _error(
        "carry tools as JSON: Arrow gives each tool the fields of all others", mended=True
    ),
    "no_validation": _warning("trainer.test_freq=-1, or prepare a test file"),
    "tokenizer_needed": _error("tokenizer=FOLDER counts in the model's own tokens"),
    # Prompts and messages
    "prompt_missing": _error("verl drops every row of the file in silence at such a row"),
    "prompt_empty": _error("give at least one message"),
    "prompt_text": _error('write [{"role": "user", "content": …}]', mended=True),
    "chat_type": _error("give a list of messages", mended=True),
    "message_shape": _error('write {"role": …, "content": …}', mended=True),
    "message_key": _error("leave the key out, or make SFT rows"),
    "role_missing": _error("say who speaks"),
    "role_alias": _error("write system, user, assistant or tool", mended=True),
    "role_unknown": _error("write system, user, assistant or tool"),
    "content_missing": _error("give the turn a text"),
    "content_type": _error("write the content as one string", mended=True),
    "content_empty": _error(_SOURCE),
    "system_late": _error("put the system message first: templates refuse it elsewhere"),
    "role_order": _warning("let user and assistant take turns: some templates refuse others"),
    "prompt_answered": _error("cut the prompt before the model's turn"),
    "no_assistant": _error("an SFT row needs an assistant's turn to learn from"),
    "answer_last": _warning("what stands after the last assistant turn is never learned"),
    "bad_unicode": _error("leave lone surrogates out: no tokenizer takes them", mended=True),
    "nul": _warning("leave NUL characters out", mended=True),
    # Reward and bookkeeping
    "source_missing": _error("data_source says which verifier judges the row"),
    "source_unknown": _error("set a reward of your own, or a data_source that verl knows"),
    "reward_missing": _error('write {"style": "rule", "ground_truth": …}'),
    "gold_missing": _error("give the gold answer, or leave the row out"),
    "gold_empty": _error("give the gold answer, or leave the row out"),
    "gold_value": _error("write the gold answer as a string", mended=True),
    "style_missing": _warning("write rule or model", mended=True),
    "ability_missing": _warning("name what is trained, for grouping", mended=True),
    "extra_missing": _error("give extra_info with split, index and id", mended=True),
    "extra_json": _error("write extra_info.more as one JSON object"),
    "index_missing": _error("without it verl gives every row index 0", mended=True),
    "index_value": _error("write the index as a string", mended=True),
    "split_missing": _warning("name the split", mended=True),
    "split_differs": _error("put the row into the file of its split"),
    "id_missing": _warning("give each row a stable id", mended=True),
    "id_repeated": _error("give each row its own id", mended=True),
    "licence_missing": _warning("name the licence, or unknown", mended=True),
    "tools_kwargs": _error("give tools_kwargs as an object, or leave need_tools_kwargs out"),
    # SFT
    "chat_json": _error("write the chat as one JSON object with its messages"),
    "tools_text": _error("give tools as a list, not as JSON text", mended=True),
    "tools_type": _error("give tools as a list"),
    "tool_shape": _error('write {"type": "function", "function": {"name": …}}'),
    "call_shape": _error('write {"type": "function", "function": {"name": …, "arguments": {…}}}'),
    "call_arguments": _error("give the arguments as a JSON object"),
    "call_unknown": _warning("declare the tool that is called, or drop the row"),
    "thinking_type": _error(
        "write true, false or nothing: verl takes 'none' for true", mended=True
    ),
    "weight_value": _error("write a finite number from 0 on"),
    "weight_zero": _warning("nothing is learned from this row: leave it out"),
    "span_value": _error("give start < end within the content, in order, and a weight"),
    "too_long": _error("drop the row, raise data.max_length, or data.truncation=right"),
    # Pairs
    "pair_missing": _error("a pair needs both answers"),
    "pair_equal": _error("leave the row out: it teaches nothing"),
    "pair_role": _error("begin both answers with the assistant's turn"),
    "pair_order": _error("swap the answers, or mend the scores"),
    "score_value": _error("write scores as finite numbers"),
}
