"""What all our pages share: templates, escaping, the content security policy, embedded data.

In: a template's name and its values. Out: one HTML text that needs no network and runs no script
but its own (the policy names their hashes). Every value that is not `Markup` is made readable and
escaped on its way in; embedded data is JSON in which no `<` stands, so that nothing a model wrote
ends its script element. Knows no page in particular.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from eval.pages.text import readable

FOLDER: Final = Path(__file__).parents[1] / "templates"


def _hash(text: str) -> str:
    """A content security policy's name for an inline style or script."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _finish(value: Any) -> Any:
    """Passes each value of the template, before it is escaped."""
    return readable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("eval", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finish,
    )


def source(names: Sequence[str]) -> str:
    """The named files of the templates' folder, one after the other."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


def render(template: str, styles: Sequence[str], scripts: Sequence[str], **values: Any) -> str:
    """A whole page.

    Args:
        template: file in the templates' folder.
        styles: its style sheets, joined to one element.
        scripts: its scripts, joined to one element.
        values: what the template names.
    """
    style, script = source(styles), source(scripts)
    return (
        _templates()
        .get_template(template)
        .render(
            **values,
            style=Markup(style),
            script=Markup(script),
            policy=Markup(
                f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
                "base-uri 'none'; form-action 'none'"
            ),
        )
    )


def embedded(name: str, data: Any) -> Markup:
    """Data as a script element of type application/json, which no text in it can end.

    Args:
        name: the element's id.
        data: anything JSON can hold; numbers that are not finite become null.
    """
    text = json.dumps(_clean(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # After a backslash-u the parser of HTML sees no tag and no comment, the one of JSON a `<`.
    safe = text.replace("<", "\\u003c").replace("&", "\\u0026")
    return Markup('<script type="application/json" id="{}">{}</script>\n').format(
        name, Markup(safe)
    )


def _clean(data: Any) -> Any:
    """Readable texts, finite numbers."""
    if isinstance(data, str):
        return readable(data)
    if isinstance(data, float):
        return data if data == data and abs(data) != float("inf") else None
    if isinstance(data, dict):
        return {readable(str(key)): _clean(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_clean(value) for value in data]
    return data
