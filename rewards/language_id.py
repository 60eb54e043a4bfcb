"""Which language is this text in? The same answer in every process, and without a download.

In: a text. Out: an ISO 639-1 code of langdetect's 55 (`zh-cn`, `zh-tw` for Chinese), or None where
the text has no letters to judge by. langdetect draws n-grams at random and lists its profiles in
the order of the file system; here the seed and the order are fixed, in a factory of our own, so
that nobody else's setting changes a verdict. Says nothing on single words.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from conf.errors import RewardError

MAX_CHARS: Final = 10_000  # what langdetect reads of a text
SEED: Final = 0
# English names of the languages that data sets name so.
NAMES: Final = {
    **{"arabic": "ar", "bengali": "bn", "bulgarian": "bg", "chinese": "zh", "english": "en"},
    **{"finnish": "fi", "french": "fr", "german": "de", "greek": "el", "gujarati": "gu"},
    **{"hebrew": "he", "hindi": "hi", "italian": "it", "japanese": "ja", "kannada": "kn"},
    **{"korean": "ko", "malayalam": "ml", "marathi": "mr", "nepali": "ne", "persian": "fa"},
    **{"polish": "pl", "portuguese": "pt", "punjabi": "pa", "russian": "ru", "spanish": "es"},
    **{"swahili": "sw", "tamil": "ta", "telugu": "te", "thai": "th", "ukrainian": "uk"},
    **{"urdu": "ur", "vietnamese": "vi"},
}
_lock = threading.Lock()


@lru_cache(maxsize=1)
def _factory() -> Any:
    """langdetect's profiles, loaded once in a process (0.3 s), in alphabetical order."""
    try:
        import langdetect.detector_factory as library  # type: ignore[import]
    except ImportError as error:
        raise RewardError(
            "telling languages apart needs the package langdetect, which is not installed",
            fix="pip install langdetect",
        ) from error
    factory = library.DetectorFactory()
    files = sorted(path for path in Path(library.PROFILES_DIRECTORY).iterdir() if path.is_file())
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in files])
    factory.seed = SEED
    return factory


def _loaded() -> Any:
    with _lock:
        return _factory()


def code_of(language: str) -> str | None:
    """The code of a language given by code or by English name; None if `detect` cannot return it.

    `zh` stands for Chinese in either script.
    """
    low = language.strip().lower()
    code = NAMES.get(low, low)
    return code if code == "zh" or code in languages() else None


def is_language(found: str | None, code: str) -> bool:
    """Whether what `detect` returned is the language of a code; a text without letters is any."""
    return found is None or found == code or found.partition("-")[0] == code


def languages() -> frozenset[str]:
    """The codes that `detect` can return."""
    return frozenset(_loaded().langlist)


def detect(text: str) -> str | None:
    """The most probable language of a text's first 10,000 characters; None if none is.

    Args:
        text: what to judge. Capital letters are read as small ones: langdetect skips words in
            capitals, and of a text in nothing but capitals it would see nearly nothing.
    """
    head = text[:MAX_CHARS]
    return _detect(head.lower() if head.isupper() else head)


@lru_cache(maxsize=512)
def _detect(head: str) -> str | None:
    from langdetect.lang_detect_exception import (  # type: ignore[import]
        LangDetectException,
    )

    detector = _loaded().create()
    detector.append(head)
    try:
        found = str(detector.detect())
    except LangDetectException:
        return None
    return None if found == detector.UNKNOWN_LANG else found
