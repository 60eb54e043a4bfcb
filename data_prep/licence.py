"""May a source's data be used commercially? A verdict on the text of its licence.

In: a licence as sources state it: an SPDX expression, or words. Out: `commercial`,
`non_commercial` or `unknown`. What is not recognised is unknown, never allowed. This is a filter on
what the sources declare, no legal advice: it does not read terms, nor see what rows derive from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from conf.errors import DataError

Verdict = Literal["commercial", "non_commercial", "unknown"]

# Lower-case SPDX ids, versions and variants by prefix; each permits commercial use.
_COMMERCIAL: Final = re.compile(
    r"(mit(-0)?|apache-2\.0|bsd-[0-9]-clause.*|0bsd|isc|unlicense|zlib|cc0-1\.0|pddl-1\.0"
    r"|cc-by(-sa|-nd)?-[1-4]\.[0-9]|odc-by-1\.0|odbl-1\.0|cdla-(permissive|sharing)-[12]\.0"
    r"|mpl-2\.0|gpl-[23]\.0.*|lgpl-(2\.1|3\.0).*|agpl-3\.0.*|epl-2\.0|artistic-2\.0"
    r"|public-domain)"
)
_RESTRICTED: Final = re.compile(
    r"(?<![a-z])nc(?![a-z])|non-?commercial|no-commercial|not for commercial|research[- ](only|use)"
    r"|academic[- ]only"
)
_ALIASES: Final[Mapping[str, str]] = {
    "apache": "apache-2.0",
    "apache 2.0": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "apache2.0": "apache-2.0",
    "mit license": "mit",
    "cc0": "cc0-1.0",
    "cc-by": "cc-by-4.0",
    "cc-by-sa": "cc-by-sa-4.0",
    "odc-by": "odc-by-1.0",
    "odbl": "odbl-1.0",
    "pddl": "pddl-1.0",
    "public domain": "public-domain",
}


def licence_verdict(licence: str | None) -> Verdict:
    """What a licence says of commercial use.

    `A AND B` is as strict as its stricter part, `A OR B` as lenient as its more lenient one.
    """
    text = re.sub(r"\s+", " ", (licence or "").strip().lower()).strip("() ")
    either = re.split(r" or ", text)
    if len(either) > 1:
        found = {licence_verdict(part) for part in either}
        order: tuple[Verdict, ...] = ("commercial", "unknown", "non_commercial")
        return next(verdict for verdict in order if verdict in found)
    parts = re.split(r" and | with |[;,/+]", text)
    if len(parts) > 1:
        found = {licence_verdict(part) for part in parts}
        order = ("non_commercial", "unknown", "commercial")
        return next(verdict for verdict in order if verdict in found)
    text = _ALIASES.get(text, text)
    if _RESTRICTED.search(text):
        return "non_commercial"
    return "commercial" if _COMMERCIAL.fullmatch(text.replace(" ", "-")) else "unknown"


def refuse_uncommercial(licences: Mapping[str, str]) -> None:
    """The gate of `--commercial`: every source's licence permits it.

    Raises:
        DataError: it names each source whose licence does not, or is not known to.
    """
    bad = {
        source: (licence, verdict)
        for source, licence in licences.items()
        if (verdict := licence_verdict(licence)) != "commercial"
    }
    if bad:
        said = ", ".join(
            f"{source} ({licence or 'none stated'}: {verdict.replace('_', '-')})"
            for source, (licence, verdict) in sorted(bad.items())
        )
        raise DataError(
            f"commercial=true and these licences do not permit it: {said}",
            fix="leave these sources out; for data of your own, state its licence",
        )
