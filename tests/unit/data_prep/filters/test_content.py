"""Filters on what texts say: language, personal data and secrets, toxic words.

Secrets are put together here from parts, so that this file holds none.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conf.errors import ConfigError
from data_prep.filters.language import Language, detect
from data_prep.filters.privacy import Privacy, entropy, iban_valid, luhn
from data_prep.filters.toxic import TERMS, Toxic, mask

RANDOM = "q7Zx2LmP9vKc4RtY8sWb3NdF6hJg5TaE1uVo0iXy"


def reason(filter_, row) -> str | None:
    (found,) = filter_.judge([row])
    return None if found is None else found.reason


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of France, and how many people live in it?", "en"),
        ("Wie viele Menschen leben in der Stadt, und was ist der Grund daf\u00fcr?", "de"),
        ("Combien de personnes habitent dans la ville, et quelle est la raison ?", "fr"),
        ("Cuantas personas viven en la ciudad y cual es la causa de esto?", "es"),
        ("Quante persone vivono nella citt\u00e0 e qual \u00e8 il motivo di questo?", "it"),
        ("\u4eca\u5929\u5929\u6c14\u600e\u4e48\u6837\uff1f", "zh"),
        ("\u3053\u308c\u306f\u65e5\u672c\u8a9e\u306e\u6587\u3067\u3059\u3002", "ja"),
        ("\u0421\u043a\u043e\u043b\u044c\u043a\u043e \u043b\u044e\u0434\u0435\u0439?", "ru"),
        ("x = 1\ny = 2\nprint(x + y)", ""),
        ("No / Yes, no, no and no: hot or mild", ""),
        ("\\tan^2 x y \\tan^2 y z \\tan^2 y - \\sin y", ""),
        ("$\\alpha + \\beta = \\gamma$", ""),
    ],
)
def test_languages(text: str, language: str) -> None:
    assert detect(text)[0] == language


def test_rows_in_another_language_are_found_and_code_is_not(make) -> None:
    german = make.sft(
        "Wie hei\u00dft die Hauptstadt?", "Das ist die Stadt Paris, und sie ist gro\u00df."
    )
    code = make.sft("def f(x):\n  return x", "for i in range(10):\n  a[i] = f(i) * b[i] + c")
    assert reason(Language(), german) == "language"
    assert reason(Language(keep=("en", "de")), german) is None
    assert reason(Language(), code) is None


def test_a_detector_of_ones_own(make, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "def f(texts):\n    return [('tlh', 0.9 if 'Qapla' in t else 0.1) for t in texts]\n"
    )
    step = Language(detector=f"{path}:f", min_words=1)
    found = step.judge([make.rl("Qapla"), make.rl("Hello")])
    assert [f and f.detail for f in found] == ["tlh (0.90)", None]
    with pytest.raises(ConfigError, match="has no function 'g'"):
        Language(detector=f"{path}:g", min_words=1).judge([make.rl("Hello")])


SECRETS = [
    "AK" + "IA" + "QZ7XWV5RTY3PLMK9",
    "gh" + "p_" + RANDOM[:36],
    "s" + "k-proj-" + RANDOM,
    "xox" + "b-" + RANDOM[:24],
    "h" + "f_" + RANDOM[:34],
    "AI" + "za" + RANDOM[:35],
    "-----BEGIN RSA PRIV" + "ATE KEY-----",
    "ey" + "J" + RANDOM[:20] + ".ey" + "J" + RANDOM[:20] + "." + RANDOM[:20],
    "pass" + f"word = '{RANDOM[:16]}'",
]


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_secrets_drop_the_row_and_are_not_repeated(make, secret: str) -> None:
    (found,) = Privacy().judge([make.sft("Look:", f"Use {secret} here.")])
    assert found is not None and (found.reason, found.action) == ("secret", "drop")
    assert secret not in json.dumps([found.detail, dict(found.evidence)])
    assert Privacy(secrets="off").judge([make.sft("Look:", f"Use {secret} here.")]) == [None]


@pytest.mark.parametrize(
    "text",
    [
        "Write to john.smith@gmail.com today.",
        "Card 4539 1488 0343 6467 please.",
        "IBAN DE89 3704 0044 0532 0130 00.",
        "SSN 219-09-9999.",
        "Call (212) 664-7665 now.",
        "Call +44 20 7946 0958 now.",
        "Ping 8.8.4.4 now.",
    ],
)
def test_personal_data_is_flagged(make, text: str) -> None:
    (found,) = Privacy().judge([make.sft("q", text)])
    assert found is not None and (found.reason, found.action) == ("personal_data", "flag")
    (dropped,) = Privacy(personal="drop").judge([make.sft("q", text)])
    assert dropped is not None and dropped.action == "drop"


@pytest.mark.parametrize(
    "text",
    [
        "Write to someone@example.com or me@test.org.",
        "Ping 127.0.0.1, 192.168.1.1 or 999.1.1.1.",
        "Call 555-0199 or (212) 555-0147.",
        "The numbers 1234567890123456 and 4539148803436468 are no cards.",
        "The table 8 16 24 32 40 48 56 64 72 80 and 9 18 27 36 45 54 63 72 81 90.",
        "Version 1.2.3.4000, pi is 3.14159265358979.",
        "On 2023-10-11 we sold 120-35-4 of them for $1,234,567.89.",
        "DE00 3704 0044 0532 0130 00 has wrong check digits.",
        "password = 'YOUR_PASSWORD_HERE'",
        "api_key = '<insert-your-key-123>'",
        "s" + "k-" + "x" * 30,
    ],
)
def test_examples_and_ordinary_numbers_are_not(make, text: str) -> None:
    assert reason(Privacy(), make.sft("q", text)) is None


def test_check_digits_by_known_numbers() -> None:
    # ISO/IEC 7812's and ISO 13616's own examples.
    assert luhn("79927398713") and not luhn("79927398710")
    assert iban_valid("GB82 WEST 1234 5698 7654 32") and not iban_valid(
        "GB82 WEST 1234 5698 7654 33"
    )
    assert entropy("aaaa") == 0 and entropy("abcd") == 2


def test_toxic_words_are_flagged_and_masked(make) -> None:
    term = sorted(TERMS)[0]
    (found,) = Toxic().judge([make.sft("q", f"You {term.upper()}!")])
    assert found is not None and (found.reason, found.action) == ("toxic_words", "flag")
    assert term not in found.detail and mask(term) in found.detail
    assert (
        reason(Toxic(), make.sft("q", "Scunthorpe, assess, cocktail, Dickens, Maine Coon")) is None
    )
    assert reason(Toxic(least=2), make.sft("q", term)) is None


def test_a_list_and_a_classifier_of_ones_own(make, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# mine\nBlue Cheese  # two words\n")
    mine = Toxic(words=tmp_path / "words.txt")
    assert reason(mine, make.rl("I hate blue-cheese.")) == "toxic_words"
    assert reason(mine, make.rl("I hate blue. Cheesecake.")) is None
    (tmp_path / "c.py").write_text(
        "def f(texts):\n    return [0.9 * ('bad' in t) for t in texts]\n"
    )
    scored = Toxic(classifier=f"{tmp_path / 'c.py'}:f").judge([make.rl("bad"), make.rl("good")])
    assert [f and f.reason for f in scored] == ["toxic_score", None]
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ConfigError, match="holds no terms"):
        Toxic(words=tmp_path / "empty.txt").judge([make.rl("q")])
