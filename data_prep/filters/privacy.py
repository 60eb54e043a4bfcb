"""The filter `privacy`: personal data and secrets.

In: rows. Out: a finding with what kind was found and a masked excerpt, never the thing itself:
evidence files are shared. Personal data (e-mail addresses, phone numbers, card and account numbers
with valid check digits, US social security numbers, public IP addresses) is flagged by default,
secrets (keys, tokens, private keys, passwords in assignments) drop the row. Addresses and numbers
reserved for examples do not count. Names and street addresses are not found: that needs a model.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Final, Literal

from data_prep.filters.base import Finding, Part, Row, RowFilter, text_of

Does = Literal["drop", "flag", "off"]

SECRETS: Final[Mapping[str, re.Pattern[str]]] = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})\b"),
    "Slack token": re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,}"),
    "Google key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}(?![\w-])"),
    "hub token": re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
    "API key": re.compile(r"\bsk-(?:proj-|ant-|live_|test_)?[A-Za-z0-9_-]{20,}"),
    "Stripe key": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}\b"),
    "JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
}
_ASSIGNED = re.compile(
    r"""(?i)\b(?:api[_-]?key|secret(?:[_-]?key)?|access[_-]?token|auth[_-]?token|passw(?:or)?d|pwd)
        ["']?\s*(?:=|:)\s*["']([^\s"']{12,})["']""",
    re.VERBOSE,
)
_EMAIL = re.compile(r"\b[A-Za-z0-9][\w.+-]{0,63}@((?:[A-Za-z0-9-]+\.)+([A-Za-z]{2,24}))\b")
_PHONE = re.compile(
    r"(?<![\w.$])(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\)[ ]?|\d{3}[.-])\d{3}[.-]\d{4}(?![\w-])"
    r"|(?<![\w.])\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}(?!\w)"
)
_CARD = re.compile(  # as cards print it, or without a break
    r"(?<![\w.-])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}|3\d{3}([ -])\d{6}\2\d{5}|\d{13,19})(?![\w-])"
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_EXAMPLES: Final = ("example", "test", "domain", "email", "mail", "company", "yourcompany", "xyz")


def luhn(digits: str) -> bool:
    """Whether a card number's check digit is right (ISO/IEC 7812)."""
    values = [int(digit) for digit in reversed(digits)]
    doubled = [sum(divmod(2 * value, 10)) for value in values[1::2]]
    return (sum(values[0::2]) + sum(doubled)) % 10 == 0


def iban_valid(text: str) -> bool:
    """Whether an account number's check digits are right (ISO 13616: remainder 1 modulo 97)."""
    compact = text.replace(" ", "")
    moved = compact[4:] + compact[:4]
    return 15 <= len(compact) <= 34 and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def entropy(text: str) -> float:
    """Bits a character of the text's own distribution."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _is_email(found: re.Match[str]) -> bool:
    second = found[1].lower().split(".")[-2]
    return second not in _EXAMPLES and found[2].lower() not in ("example", "test", "invalid")


def _is_phone(found: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", found[0])
    fictional = digits[-7:-4] == "555" or len(set(digits[-7:])) == 1 or "12345" in digits
    return 8 <= len(digits) <= 15 and not fictional


def _is_card(found: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", found[0])
    # First digits of the issuers; a run of one digit, or a counting run, is an example.
    return digits[0] in "3456" and luhn(digits) and len(set(digits)) > 4 and "12345" not in digits


def _is_ip(found: re.Match[str]) -> bool:
    try:
        return ipaddress.ip_address(found[0]).is_global
    except ValueError:
        return False


PERSONAL: Final[Mapping[str, tuple[re.Pattern[str], Callable[[re.Match[str]], bool]]]] = {
    "e-mail address": (_EMAIL, _is_email),
    "card number": (_CARD, _is_card),
    "account number": (_IBAN, lambda found: iban_valid(found[0])),
    "social security number": (_SSN, lambda found: found[0] not in ("123-45-6789", "078-05-1120")),
    "phone number": (_PHONE, _is_phone),
    "IP address": (_IP, _is_ip),
}


def secrets_in(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each secret."""
    for kind, pattern in SECRETS.items():
        for found in pattern.finditer(text):
            # A placeholder repeats itself ("sk-xxxxxxxx"); a key does not.
            if kind == "private key" or entropy(found[0]) > 3.0:
                yield kind, found[0]
    for found in _ASSIGNED.finditer(text):
        value = found[1]
        mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
        if mixed and entropy(value) > 3.2 and not re.search(r"[<{$(]", value):
            yield "password or key in an assignment", value


def personal_in(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each personal datum."""
    for kind, (pattern, holds) in PERSONAL.items():
        for found in pattern.finditer(text):
            if holds(found):
                yield kind, found[0]


def masked(text: str) -> str:
    """Two characters at each end of a longer text, and its length; of a short one nothing."""
    return f"{text[:2]}…{text[-2:]} ({len(text)} characters)" if len(text) > 8 else "…"


class Privacy(RowFilter):
    """The filter `privacy`.

    Attributes:
        personal: what personal data does to the row.
        secrets: what a secret does to it.
        parts: what is looked at.
    """

    name: ClassVar[str] = "privacy"
    reasons: ClassVar[Mapping[str, str]] = {
        "secret": "holds a key, token or password",
        "personal_data": "holds personal data",
    }

    personal: Does = "flag"
    secrets: Does = "drop"
    parts: tuple[Part, ...] = ("all", "rejected")

    def judge_row(self, row: Row) -> Finding | None:
        """Secrets before personal data."""
        text = "\n".join(text_of(row, part) for part in self.parts)
        looks: tuple[tuple[str, Does, Callable[[str], Iterator[tuple[str, str]]]], ...] = (
            ("secret", self.secrets, secrets_in),
            ("personal_data", self.personal, personal_in),
        )
        for reason, does, look in looks:
            if does == "off":
                continue
            found = list(look(text))
            if found:
                kinds = ", ".join(dict.fromkeys(kind for kind, _ in found))
                evidence = {"kinds": kinds, "count": len(found), "masked": masked(found[0][1])}
                return Finding(reason, f"{len(found)}: {kinds}", does, evidence)
        return None
