"""What a licence says of commercial use, and the gate of `--commercial`.

The texts are those of public data sets' cards and of this repository's own declarations.
"""

from __future__ import annotations

import pytest

from conf.errors import DataError
from data_prep.licence import licence_verdict, refuse_uncommercial


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
        "CC BY-NC 4.0",
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
