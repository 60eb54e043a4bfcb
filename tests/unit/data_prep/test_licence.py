"""What a licence says of commercial use, and the gate of `--commercial`.

The texts are those of public data sets' cards and of this repository's own declarations.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conf.errors import DataError
from data_prep.licence import licence_verdict, refuse_uncommercial
from data_prep.sources.declare import FOLDER, declaration, names

GENERAL = ("train", "test", "validation")  # names of files that any data set may have


@pytest.mark.parametrize(
    "licence",
    [
        "MIT", "apache-2.0", "Apache 2.0", "CC-BY-4.0", "cc-by-sa-3.0", "CC0-1.0", "ODC-BY-1.0",
        "BSD-3-Clause", "cdla-permissive-2.0", "MIT AND CC-BY-4.0", "CC-BY-NC-4.0 OR MIT",
        "Apache-2.0 WITH MIT", "cc-by-nd-4.0", "MIT License",
    ],
)  # fmt: skip
def test_permitted(licence: str) -> None:
    assert licence_verdict(licence) == "commercial"


@pytest.mark.parametrize(
    "licence",
    [
        "CC-BY-NC-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-nd-4.0", "MIT AND CC-BY-NC-4.0",
        "non-commercial", "Research only", "CC-BY-NC-4.0; copy under MIT", "noncommercial use",
        "CC BY-NC 4.0", "ODC-By-1.0, some parts not for commercial use",
    ],
)  # fmt: skip
def test_not_permitted(licence: str) -> None:
    assert licence_verdict(licence) == "non_commercial"


@pytest.mark.parametrize(
    "licence",
    ["", None, "unknown", "other", "llama3.1", "copy under MIT", "see dataset card", "MITx",
     "CC-BY-4.0 AND unknown", "unknown OR CC-BY-NC-4.0", "openrail", "sync", "custom (MIT-like)"],
)  # fmt: skip
def test_what_is_not_recognised_is_unknown(licence: str | None) -> None:
    assert licence_verdict(licence) == "unknown"


def test_the_gate_names_every_source_that_does_not_pass() -> None:
    refuse_uncommercial({"gsm8k": "MIT", "taco": "Apache-2.0"})
    with pytest.raises(DataError) as error:
        refuse_uncommercial({"gsm8k": "MIT", "alpaca": "CC-BY-NC-4.0", "openhermes": "unknown"})
    said = str(error.value)
    assert "alpaca (CC-BY-NC-4.0: non-commercial)" in said and "openhermes (unknown" in said
    assert "gsm8k" not in said and "leave these sources out" in said


@pytest.mark.parametrize("name", names())
def test_no_comment_is_stricter_than_the_licence_beside_it(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    said = " ".join(re.findall(r"(?:#|^about:)(.*)", text, re.MULTILINE)).lower()
    if re.search(r"commercial|\bnc\b|research|licen[cs]e|terms|maa|its own", said):
        assert licence_verdict(declaration(name).licence) != "commercial", said


def test_a_set_is_as_strict_as_its_strictest_part() -> None:
    verdicts = {name: licence_verdict(declaration(name).licence) for name in names()}
    # No Robots within Tulu 3, the puzzles of K-and-K in another's columns.
    refused = ("tulu3", "kk_logic", "knights_and_knaves", "alpaca", "code_alpaca")
    assert {verdicts[name] for name in refused} == {"non_commercial"}
    # Columns that anybody's data may have.
    open_to_all = ("messages", "sharegpt", "sharegpt_pairs", "verl_rows")
    assert {verdicts[name] for name in open_to_all} == {"unknown"}


def test_one_file_is_under_one_licence() -> None:
    verdicts: dict[str, set[str]] = {}
    for name in names():
        declared = declaration(name)
        for pattern in {p for patterns in declared.files.values() for p in patterns}:
            own = "*" not in pattern and Path(pattern).name.split(".")[0] not in GENERAL
            if own:
                verdicts.setdefault(pattern, set()).add(licence_verdict(declared.licence))
    assert len(verdicts) > 20
    assert not {pattern: found for pattern, found in verdicts.items() if len(found) > 1}
