"""What a source yields, and the part of its specification that all sources share.

In: nothing. Out: `Example` (a question with its gold answer), `Drop` (a raw row that cannot be
one), `Spec` (typed, unknown keys refused). No reading and no writing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_prep.rows import Message

Split = Literal["train", "test"]
Use = Literal["rl", "sft"]


@dataclass(frozen=True, slots=True)
class Example:
    """One question with its answer.

    Attributes:
        split: `train` or `test`.
        prompt: the user's text, or a whole chat up to the model's turn.
        gold: what the reward compares with.
        answer: a response that is right, for SFT; None if the source has none.
        uses: which rows are made of it; `sft` needs an answer.
        where: file and line, or another name, for messages.
        asks: the question without the words that the prompt puts around it; None: the prompt.
    """

    split: Split
    prompt: str | Sequence[Message]
    gold: str
    answer: str | None = None
    uses: Sequence[Use] = ("rl", "sft")
    where: str = ""
    asks: str | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """A raw row that gives no example.

    Attributes:
        split: where it would have gone.
        reason: short code, counted in the manifest.
        where: file and line.
        detail: a word more on this very row.
    """

    split: Split
    reason: str
    where: str = ""
    detail: str = ""


class Spec(BaseModel):
    """What to prepare. Each source adds its own fields; unknown ones are refused.

    Attributes:
        source: registered name, or `path/to/file.py:function`.
        out: folder to make.
        seed: decides everything that is drawn.
        local: file or folder to read instead of the hub; None: the hub.
        reward: every gold answer must be right under this reward; None: do not check.
        reward_options: that reward's options.
        system: system message put before each prompt; None: none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    source: str
    out: Path
    seed: int = Field(default=1, ge=0)
    local: Path | None = None
    reward: str | None = "math"
    reward_options: dict[str, Any] = Field(default_factory=dict)
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A registered source.

    Attributes:
        name: as the user names it; `data_source` of the rows unless `data_source` is set.
        spec: its specification type.
        examples: yields examples and drops, train before test, always in the same order.
        inputs: the local data files that it reads; its code is found by its name.
        licence: of the data.
        url: where the data comes from.
        ability: column `ability` of the rows.
        data_source: column `data_source` of the rows.
        generated: made here, test and train apart by construction: it cannot hold what others ask.
    """

    name: str
    spec: type[Spec]
    examples: Callable[[Any], Iterator[Example | Drop]]
    licence: str
    url: str
    ability: str
    data_source: str
    inputs: Callable[[Any], Sequence[Path]] = field(default=lambda spec: ())
    generated: bool = False
