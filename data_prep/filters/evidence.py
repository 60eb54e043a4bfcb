"""The evidence file: one JSON line for each finding, so that every drop can be looked at.

In: findings by row id. Out: JSON lines sorted by row id, the same bytes for the same findings. How
the file is made whole or not at all is the caller's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from data_prep.filters.base import Finding


def evidence_line(row_id: str, filter_name: str, finding: Finding) -> str:
    """One line, newline included."""
    record = {
        "id": row_id,
        "filter": filter_name,
        "reason": finding.reason,
        "action": finding.action,
        "detail": finding.detail,
        **({"evidence": dict(finding.evidence)} if finding.evidence else {}),
    }
    return json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n"


def evidence_lines(filter_name: str, findings: Mapping[str, Finding]) -> Iterator[str]:
    """The lines of one step, sorted by row id."""
    for row_id in sorted(findings):
        yield evidence_line(row_id, filter_name, findings[row_id])


def reason_counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings each reason has, sorted by reason."""
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.reason] = counts.get(finding.reason, 0) + 1
    return dict(sorted(counts.items()))
