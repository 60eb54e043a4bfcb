"""Command lines of the evaluation's tools: paths, `key=value` and `group.key=value` words.

In: words. Out: the paths, and the options with their groups as mappings. An unknown key is a
`ConfigError` with the nearest one. Knows no tool's meaning of its options.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Sequence
from typing import Any

from conf.errors import ConfigError

FLAGS = ("--debug",)


def split_words(
    words: Sequence[str], keys: Collection[str], usage: str
) -> tuple[list[str], dict[str, Any]]:
    """Paths and options; `group.key=value` goes into a mapping under `group`.

    Raises:
        ConfigError: a flag or a key that the tool does not have.
    """
    paths: list[str] = []
    options: dict[str, Any] = {}
    for word in words:
        if word in FLAGS:
            continue
        key, found, value = word.partition("=")
        if not found and not word.startswith("-"):
            paths.append(word)
            continue
        group, dot, name = key.partition(".")
        if (group if dot else key) not in keys:
            close = difflib.get_close_matches(key, list(keys), n=1, cutoff=0.5)
            raise ConfigError(
                f"unknown {word!r}", f"did you mean {close[0]}=…?" if close else usage
            )
        if dot:
            options.setdefault(group, {})[name] = value
        else:
            options[key] = value
    return paths, options


def scalar(text: str) -> Any:
    """JSON where it is JSON (numbers, true, null), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
