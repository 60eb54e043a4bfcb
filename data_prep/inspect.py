"""`python -m data_prep.inspect FILE`: random rows to read, and numbers over all of them.

In: a file of rows. Out: the terminal, and with `html=PAGE.html` one page that needs nothing else.
Samples are drawn by the seed: the same file and seed show the same rows and write the same page.
Changes nothing; `data_prep.check` is what says whether training can read the file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from conf.errors import ConfigError, boundary
from data_prep.inspection.page import page
from data_prep.inspection.sample import survey
from data_prep.inspection.show import Masks, view
from data_prep.inspection.text import lines
from data_prep.work import put_text

USAGE: Final = """\
usage: python -m data_prep.inspect FILE [html=PAGE.html] [seed=1] [samples=8] [most=20000]
  tokenizer=FOLDER   counts tokens and shades the loss mask in that model's chat template
  most=N             rows that the checks and the search for near-duplicates see
"""
_NUMBERS: Final = {"seed": 0, "samples": 0, "most": 1}


def _parse(words: list[str]) -> tuple[Path, dict[str, Any]]:
    paths: list[Path] = []
    options: dict[str, Any] = {}
    for word in words:
        key, found, value = word.partition("=")
        if found and key in _NUMBERS and value.isdecimal() and int(value) >= _NUMBERS[key]:
            options[key] = int(value)
        elif found and key in ("html", "tokenizer") and value:
            options[key] = value
        elif word.startswith("-") or (found and not Path(word).exists()):
            raise ConfigError(f"got {word!r}", fix=USAGE.splitlines()[0])
        else:
            paths.append(Path(word))
    if len(paths) != 1:
        raise ConfigError(f"got {len(paths)} files, need one", fix=USAGE.splitlines()[0])
    return paths[0], options


def _masks(name: str) -> Masks:
    from data_prep.backends.loss_mask import LossMask

    return LossMask(name)


def inspect(
    path: Path, *, html: str | None = None, tokenizer: str | None = None, **options: int
) -> str:
    """Look at a file; the text for a terminal without colours.

    Args:
        path: of the rows.
        html: page to write; None: none.
        tokenizer: folder or hub name; None: words are counted.
        options: of `survey`: seed, samples, most.

    Raises:
        DataError: the file cannot be read, or the page not written.
        ConfigError: the tokenizer does not load.
    """
    masks = _masks(tokenizer) if tokenizer else None
    found = survey(path, **options)
    views = [view(one, masks) for one in found.samples]
    if html:
        put_text(Path(html), page(found, views), fix="html=PAGE.html")
    return "\n".join(lines(found, views, colour=sys.stdout.isatty()))


def main(arguments: list[str] | None = None) -> None:
    """Parse, look, show."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in arguments):
        words = [word for word in arguments if word != "--debug"]
        if not words or "-h" in words or "--help" in words:
            print(USAGE)
            raise SystemExit(0 if words else 2)
        path, options = _parse(words)
        print(inspect(path, **options))
        if "html" in options:
            print(f"page → {options['html']}")


if __name__ == "__main__":
    main()
