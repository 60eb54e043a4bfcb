"""Secrets out: of configurations, environment records, logs and job metadata.

In: text, trees of plain values, or a stream of bytes. Out: the same with `***` for

1. values under a secret *name* (HF_TOKEN, api_key, db.password, …) in a tree or in `name=value`;
2. the *values* of such environment variables, wherever they appear;
3. well-known *shapes* of tokens (hf_…, sk-…, ghp_…, JWTs, private keys, passwords in URLs, …).

Names that only sound like it (max_tokens, pad_token, tokenizer) are left alone. It reads no file
and prints nothing; what has no known name, value or shape it cannot know to be secret.
"""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

MASK = "***"
MIN_SECRET = 8
"""A shorter value of a secret variable is not searched for: it would blot out ordinary words."""

_WORD = r"[A-Za-z0-9]+"
# Anywhere in a name: PGPASSWD and OPENAI_APIKEY run words together.
_SECRET_PARTS = re.compile(r"secret|passw(?:or)?d|passphrase|api_?keys?\b|credential", re.I)
_SECRET_WORDS = {"bearer", "authorization", "cookie", "jwt"}
_SECRET_KEYS = {"api", "private", "secret", "access", "auth", "ssh", "signing", "encryption"}
# Tokens of a vocabulary, not of an account.
_VOCABULARY = {
    "pad", "eos", "bos", "unk", "sep", "cls", "mask", "stop", "image", "video", "audio", "special",
    "per", "each", "next", "last", "first", "new", "max", "min", "num", "added", "extra",
}  # fmt: skip

_SHAPES = re.compile(
    r"""
      \bhf_[A-Za-z0-9]{16,}
    | \bsk-(?:[A-Za-z0-9]+-)*[A-Za-z0-9_-]{16,}
    | \bgh[pousr]_[A-Za-z0-9]{20,}
    | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bglpat-[A-Za-z0-9_-]{16,}
    | \bnvapi-[A-Za-z0-9_-]{16,}
    | \bxox[abposr]-[A-Za-z0-9-]{10,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b
    | \bAIza[A-Za-z0-9_-]{30,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)
    | (?<=[Bb]earer\ )[A-Za-z0-9._~+/=-]{8,}
    | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----(?:.*?-----END\ [A-Z\ ]*PRIVATE\ KEY-----)?
    """,
    re.VERBOSE | re.DOTALL,
)
# Most lines hold none of these; looking for them first makes a log ten times faster to redact.
_HINTS = ("hf_", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "nvapi-",
          "xox", "AKIA", "ASIA", "AIza", "eyJ", "://", "earer ", "-----BEGIN")  # fmt: skip
# name=value, name: value, "name": "value"; the name is judged by `is_secret_name`.
_NAMED = re.compile(
    r"""(?<![A-Za-z0-9_.\-])(?P<name>[A-Za-z_][A-Za-z0-9_.\-]{2,80}+)"""
    r"""(?P<gap>\\?["']?\s{0,2}[=:]\s{0,2}\\?["']?)"""
    r"""(?P<value>[^\s"'\\,;(){}\[\]<>*][^\s"',;(){}\[\]<>]{7,})"""
)
# wandb's keys are 40 bare hex digits, as a git commit is: only beside a word that tells them apart.
_HEX40 = re.compile(r"(?i)(?P<head>\b(?:wandb|api[_\- ]?key|login)\b[^\n]{0,60}?)\b[0-9a-f]{40}\b")
_OVERRIDE = re.compile(r"(?P<name>[+~]{0,2}[\w.@/\-]+)=(?P<value>.+)", re.DOTALL)


def is_secret_name(name: str) -> bool:
    """Whether a variable or key of this name holds a secret. Only the last dotted part counts."""
    last = re.split(r"[./@]", name)[-1]
    words = [
        word.lower()
        for part in re.findall(_WORD, last)
        for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", part)
    ]
    if not words or words[-1] in {"path", "file", "dir", "url", "name", "len", "length", "id"}:
        # AWS_ACCESS_KEY_ID is public by itself, but belongs to a pair: keep it out all the same.
        return words[-3:-1] == ["access", "key"]
    if _SECRET_PARTS.search(last) or _SECRET_WORDS & set(words):
        return True
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        if word in {"key", "keys"} and before in _SECRET_KEYS:
            return True
        if word == "pwd" and before:  # PWD itself is the working folder
            return True
        if word == "token" and before not in _VOCABULARY and index == len(words) - 1:
            return True
    return "pat" in words[-1:] and len(words) > 1


def _is_secret_variable(name: str, value: str) -> bool:
    """Wider than `is_secret_name`: of environment variables, any that sounds like it counts."""
    loud = re.search(
        r"TOKEN(?!IZ)|SECRET|PASSW|PASSPHRASE|API_?KEY|CREDENTIAL|PRIVATE_?KEY", name, re.I
    )
    if not (loud or is_secret_name(name)) or len(value) < MIN_SECRET:
        return False
    number = re.fullmatch(r"[-+.\deE]+", value) and not re.search(r"(?i)passw|secret|pin", name)
    return not (number or value.lower() in {"disabled", "required", "optional"} or _is_path(value))


def _is_path(value: str) -> bool:
    """GOOGLE_APPLICATION_CREDENTIALS and the like name a file; the name is not the secret."""
    return value.startswith(("/", "~", "./")) and os.path.exists(os.path.expanduser(value))


class Redactor:
    """Knows the secret values of one environment and removes them, names and shapes besides."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Collect the secret values.

        Args:
            environment: usually `os.environ`; only secret-named variables are looked at.
        """
        values: set[str] = set()
        for name, value in environment.items():
            if _is_secret_variable(name, value):
                # Of several lines (a private key) each is looked for, as logs have them.
                for line in {value.strip(), *map(str.strip, value.splitlines())}:
                    if len(line) >= MIN_SECRET:
                        values |= {line, json.dumps(line)[1:-1], repr(line)[1:-1], quote(line, "")}
        ordered = sorted(values, key=len, reverse=True)  # a longer one may contain a shorter one
        self.longest = max(map(len, ordered), default=0)
        self._values = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._values is not None:
            text = self._values.sub(MASK, text)
        if any(hint in text for hint in _HINTS):
            text = _SHAPES.sub(_mask_shape, text)
        text = _HEX40.sub(lambda match: match["head"] + MASK, text)
        return _NAMED.sub(_mask_named, text)

    def tree(self, value: Any, name: str = "") -> Any:
        """A copy of dicts, lists and scalars without secrets.

        Args:
            value: the tree; strings of the form `key=value` are read as overrides.
            name: the key that the value stands under.
        """
        if isinstance(value, Mapping):
            return {
                self.text(key) if isinstance(key, str) else key: self.tree(item, str(key))
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.tree(item, name) for item in value]
        if value is None or isinstance(value, bool) or value == "":
            return value
        if is_secret_name(name) and (isinstance(value, str) or not name.lower().endswith("token")):
            return MASK  # a password may be a number; a number under `…_token` is a count
        if not isinstance(value, str):
            return value
        override = _OVERRIDE.fullmatch(value)
        if override and is_secret_name(override["name"]):
            return f"{override['name']}={MASK}"
        return self.text(value)

    def stream(self) -> StreamRedactor:
        """A redactor for output that arrives in pieces."""
        return StreamRedactor(self)


class StreamRedactor:
    """Redacts bytes as they arrive; a secret split over two pieces is caught.

    Text is held back until its line ends (LF or CR), so a secret within a line is always seen
    whole. Of a line longer than `LONGEST_LINE` the beginning is let go, cut where no match is.
    """

    LONGEST_LINE = 1 << 16

    def __init__(self, redactor: Redactor) -> None:
        """Start with nothing held back."""
        self._redactor = redactor
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self._in_key = False  # between the BEGIN and END lines of a private key

    def feed(self, data: bytes) -> str:
        """Take a piece; returns what can be told by now, redacted."""
        self._held += self._decoder.decode(data)
        cut = max(self._held.rfind("\n"), self._held.rfind("\r")) + 1
        if cut == 0 and len(self._held) > self.LONGEST_LINE:
            cut = self._cut_in_line()
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._redact(ready)

    def flush(self) -> str:
        """What was still held back, redacted. The stream has ended."""
        rest, self._held = self._held + self._decoder.decode(b"", final=True), ""
        return self._redact(rest)

    def _cut_in_line(self) -> int:
        """A place that leaves room for the longest secret and lies at the end of a word."""
        room = max(self._redactor.longest, 512)
        cut = self._held.rfind(" ", 0, len(self._held) - room) + 1
        return cut or len(self._held) - room

    def _redact(self, text: str) -> str:
        out = []
        for line in text.splitlines(keepends=True):
            begins = re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----", line)
            ends = re.search(r"-----END [A-Z ]*PRIVATE KEY-----", line)
            if self._in_key and not ends:
                continue  # the key's body
            if self._in_key and ends:
                self._in_key = False
                line = line[ends.end() :]
            elif begins and not ends:
                self._in_key = True
            out.append(self._redactor.text(line))
        return "".join(out)


def _mask_shape(match: re.Match[str]) -> str:
    found = match[0]
    if found.startswith("-----BEGIN"):
        return f"{MASK} private key"
    if ":" in found:  # user:password of a URL
        return f"{found.split(':', 1)[0]}:{MASK}"
    return MASK


def _mask_named(match: re.Match[str]) -> str:
    name, value = match["name"], match["value"]
    if not is_secret_name(name) or value.startswith(MASK):
        return match[0]
    words = re.split(r"[._\-]", name.lower())
    # "token: something" also occurs in prose and vocabularies: there only what looks random goes.
    if words[-1] == "token" and not (len(value) >= 12 and re.search(r"\d", value)):
        return match[0]
    return f"{name}{match['gap']}{MASK}"
