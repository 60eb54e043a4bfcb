"""The `json_schema` reward: the response is JSON that conforms to the row's schema.

In: a response and a JSON Schema (drafts 3 to 2020-12; a mapping, or JSON text) as gold. Out: a
`Verdict` with the components `parses` and `conforms`. Strict JSON: no NaN, no name twice in an
object. Nothing is fetched: a reference that the schema does not hold itself is a gold_error.
Validation is jsonschema's, with two keywords of our own for hostile instances: patterns stop after
a second, and `uniqueItems` takes linear time. Formats are not asserted, as the standard has it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, NoReturn, get_args

from rewards.verdict import Verdict, gold_error

Where = Literal["auto", "whole", "fenced"]
WHERES: Final[tuple[str, ...]] = get_args(Where)
MAX_CHARS: Final = 200_000  # of JSON read from a response
MAX_DEPTH: Final = 100
PATTERN_S: Final = 1.0
_FENCE = re.compile(r"^[ \t]*```[ \t]*(?:json[c5]?)?[ \t]*\n(.*?)^[ \t]*```", re.M | re.S | re.I)


class NotJson(ValueError):
    """The text is not the JSON that is asked for."""


class TooSlow(TimeoutError):
    """A pattern of the schema took too long on this instance."""


def _constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotJson(f"the number {text[:40]} is too large")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson("an object has a name twice")
    return found


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def read_json(text: str) -> Any:
    """Parse strictly.

    Raises:
        NotJson: the text is longer or deeper than the limits, or no JSON.
    """
    if len(text) > MAX_CHARS:
        raise NotJson(f"{len(text)} characters, at most {MAX_CHARS}")
    try:
        value = json.loads(
            text, parse_constant=_constant, parse_float=_float, object_pairs_hook=_object
        )
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if _depth(value) > MAX_DEPTH:
        raise NotJson(f"nested deeper than {MAX_DEPTH}")
    return value


def from_response(response: str, where: Where) -> Any:
    """The JSON in a response.

    Args:
        response: the model's text.
        where: the `whole` response, or its last `fenced` block; `auto` tries both in this order.

    Raises:
        NotJson: there is none.
    """
    if where != "fenced":
        try:
            return read_json(response.strip())
        except NotJson:
            if where == "whole":
                raise
    start = response.rfind("```", 0, max(response.rfind("```"), 0))
    blocks = _FENCE.findall(response[max(start - 10, 0) :]) if start >= 0 else []
    if not blocks:
        raise NotJson("neither JSON nor a fenced block with JSON")
    return read_json(blocks[-1].strip())


def canonical(value: Any) -> Hashable:
    """A key that two JSON values share exactly when they are equal (`1` is `1.0`, not `true`)."""
    if isinstance(value, bool):
        return ("b", value)
    if isinstance(value, (int, float)):
        return ("n", value)
    if isinstance(value, list):
        return ("l", tuple(canonical(item) for item in value))
    if isinstance(value, dict):
        return ("o", frozenset((key, canonical(item)) for key, item in value.items()))
    return ("s", value)


def _search(pattern: str, text: str) -> bool:
    import regex  # type: ignore[import]

    try:
        return regex.search(pattern, text, timeout=PATTERN_S) is not None
    except TimeoutError as error:
        raise TooSlow(f"pattern {pattern!r} took longer than {PATTERN_S:g} s") from error


def _unique(_validator: Any, unique: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    import jsonschema  # type: ignore[import]

    if unique and isinstance(instance, list):
        seen = {canonical(item) for item in instance}
        if len(seen) != len(instance):
            yield jsonschema.ValidationError("an item stands there twice")


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    import jsonschema

    if isinstance(instance, str) and not _search(pattern, instance):
        yield jsonschema.ValidationError(f"does not match {pattern!r}")


def _pattern_properties(
    validator: Any, properties: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in properties.items():
        for key, value in instance.items():
            if _search(pattern, key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


@lru_cache(maxsize=1024)
def validator(schema_text: str) -> Any:
    """A validator for a schema.

    Raises:
        ValueError: the text is no JSON, or no schema.
    """
    import jsonschema
    import referencing
    from jsonschema.validators import extend, validator_for  # type: ignore[import]

    schema = json.loads(schema_text)
    if not isinstance(schema, (dict, bool)):
        raise ValueError(f"a schema is an object or a boolean, got {schema!r}")
    base = validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        # Patterns are the package regex's, which knows more than `re`: not checked as formats.
        base.check_schema(schema, format_checker=jsonschema.FormatChecker(formats=()))
    except jsonschema.SchemaError as error:
        raise ValueError(error.message) from error
    own = {"pattern": _pattern, "patternProperties": _pattern_properties, "uniqueItems": _unique}
    return extend(base, own)(schema, registry=referencing.Registry())


def grade_json_schema(
    response: str, gold: Any, *, where: Where = "auto", schema: Mapping[str, Any] | None = None
) -> Verdict:
    """Judge one response.

    Args:
        response: the model's text.
        gold: the row's schema, unless `schema` is given.
        where: see `from_response`.
        schema: one schema for all rows.

    Raises:
        ValueError: `where` has a value that does not exist.
    """
    import jsonschema
    import referencing.exceptions
    import regex

    if where not in WHERES:
        raise ValueError(f"where={where!r}, of {', '.join(WHERES)}")
    wanted = gold if schema is None else schema
    try:
        text = wanted if isinstance(wanted, str) else json.dumps(wanted, sort_keys=True)
        checker = validator(text)
    except (TypeError, ValueError) as error:
        return gold_error(f"no JSON Schema: {error}")
    try:
        instance = from_response(response, where)
    except NotJson as error:
        components = {"parses": 0.0, "conforms": 0.0}
        return Verdict(0.0, 0.0, "unparseable", components=components, detail=str(error)[:200])
    try:
        problem = next(checker.iter_errors(instance), None)
    except TooSlow as error:
        return Verdict(
            0.0, 0.0, "timeout", components={"parses": 1.0, "conforms": 0.0}, detail=str(error)
        )
    except (referencing.exceptions.Unresolvable, RecursionError) as error:
        return gold_error(f"the schema's references cannot be followed: {error!r}"[:200])
    except (jsonschema.exceptions.UnknownType, regex.error) as error:
        return gold_error(f"the schema cannot be applied: {error!r}"[:200])
    except ArithmeticError as error:  # multipleOf on an integer of a thousand digits
        return Verdict(
            0.0, 0.0, "wrong", components={"parses": 1.0, "conforms": 0.0}, detail=repr(error)[:200]
        )
    right = float(problem is None)
    return Verdict(
        right,
        right,
        "correct" if problem is None else "wrong",
        components={"parses": 1.0, "conforms": right},
        detail="" if problem is None else f"{problem.json_path}: {problem.message}"[:200],
    )
