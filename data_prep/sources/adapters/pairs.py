"""Preference data whose rows need code: HH-RLHF's transcripts, HelpSteer3's signed preference.

In: a raw row. Out: `Fields` with prompt, chosen and rejected. Decides nothing about quality.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from conf.errors import DataError
from data_prep.rows_schema import Kind
from data_prep.sources import columns, fields
from data_prep.sources.columns import Lack
from data_prep.sources.declare import Declaration
from data_prep.sources.fields import Chat, Fields

_TURN = re.compile(r"\n\n(Human|Assistant):[ \t]?")
_ROLE = {"Human": "user", "Assistant": "assistant"}


def transcript(text: object, where: str, column: str) -> Chat:
    r"""The turns of `\n\nHuman: …\n\nAssistant: …`.

    A speaker's mark counts at the start of a paragraph alone; within one it is part of the text.

    Raises:
        DataError: the text is no transcript.
        Lack: a turn is empty.
    """
    if not isinstance(text, str):
        raise DataError(f"{where}, column {column}: got {text!r:.60}, need a transcript")
    pieces = _TURN.split(text)
    if pieces[0].strip() or len(pieces) < 3:
        raise DataError(
            f"{where}, column {column}: {text[:40]!r} does not begin with a speaker",
            fix="HH-RLHF's texts begin with an empty line and Human:",
        )
    names, texts = pieces[1::2], [piece.strip() for piece in pieces[2::2]]
    if not all(texts[:-1]):
        raise Lack("empty_turn")
    if not texts[-1]:
        raise Lack("empty_answer", f"column {column}")
    return [{"role": _ROLE[n], "content": t} for n, t in zip(names, texts, strict=True)]


def hh_rlhf(declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str) -> Fields:
    """A pair of transcripts that differ in the last answer (arXiv:2204.05862).

    A few pairs part earlier, mostly because one answer plays both speakers: `contexts_differ`.
    """
    made = Fields(
        chosen=transcript(columns.value(raw, "chosen", where), where, "chosen"),
        rejected=transcript(columns.value(raw, "rejected", where), where, "rejected"),
    )
    fields.split_pair(made)
    return made


def helpsteer3(declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str) -> Fields:
    """Two responses and a preference from -3 (the first is much better) to 3 (arXiv:2505.11475).

    A tie is no pair. The size of the preference is kept as the chosen one's score, over 0.
    """
    made = fields.mapped(declared, raw, where)
    preference = columns.value(raw, "overall_preference", where)
    if isinstance(preference, bool) or not isinstance(preference, (int, float)):
        raise DataError(f"{where}, column overall_preference: got {preference!r}, need a number")
    if preference == 0:
        raise Lack("tie")
    better, worse = ("response1", "response2") if preference < 0 else ("response2", "response1")
    ways = [columns.as_text(columns.value(raw, name, where)) for name in (better, worse)]
    if not all(way.strip() for way in ways):
        raise Lack("empty_answer")
    made.chosen, made.rejected = ([{"role": "assistant", "content": way}] for way in ways)
    made.score_chosen, made.score_rejected = abs(float(preference)), 0.0
    return made
