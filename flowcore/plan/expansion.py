"""Loops: the items of ``withItems``, ``withParam`` and ``withSequence``, what each is called, and what ``{{item}}`` means.

The rules are Argo's. Pure; called by the engine when a step or task is expanded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, json_text, text_of
from flowcore.language.when import evaluate_when

LOOP_FIELDS = ("withItems", "withParam", "withSequence")


class RawFloat(float):
    """A number that remembers how it was written: items are named and inserted as they were spelt."""

    raw: str

    def __new__(cls, text: str) -> RawFloat:
        number = super().__new__(cls, text)
        number.raw = text
        return number


MAX_ITEMS = 1_000_000


@dataclass(frozen=True, slots=True)
class Numbers(Sequence[Json]):
    """The items of a ``withSequence``: formatted numbers, made when they are asked for."""

    numbers: range
    template: str

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]  # slices are not needed
        return go_format(self.template, self.numbers[index])

    def __iter__(self) -> Iterator[Json]:
        return (go_format(self.template, number) for number in self.numbers)


def is_loop(call: JsonObject) -> bool:
    """Whether a step or task is to be expanded."""
    return bool(call.get("withItems")) or bool(call.get("withParam")) or call.get("withSequence") is not None


def items_of(call: JsonObject) -> Sequence[Json]:
    """The items of a substituted step or task. Raises ExpressionError unless its ``when`` is already false."""
    try:
        return _items(call)
    except ExpressionError:
        if _surely_skipped(text_of(call, "when")):
            return ()
        raise


def _surely_skipped(when: str) -> bool:
    try:
        return not evaluate_when(when)
    except ExpressionError:
        return False


def _items(call: JsonObject) -> Sequence[Json]:
    items = call.get("withItems")
    if isinstance(items, list) and items:
        return items
    param = call.get("withParam")
    if isinstance(param, str) and param:
        return _items_of_text(param)
    sequence = call.get("withSequence")
    return _sequence(sequence if isinstance(sequence, dict) else {})


def _items_of_text(param: str) -> list[Json]:
    try:
        items = json.loads(param, parse_float=RawFloat)
    except (ValueError, RecursionError) as error:
        raise ExpressionError(f"withParam value could not be parsed as a JSON list: {param.strip()}: {_json_error(param, error)}") from None
    if items is None:
        return []
    if not isinstance(items, list):
        kind = {dict: "object", str: "string", bool: "bool"}.get(type(items), "number")
        message = f"json: cannot unmarshal {kind} into Go value of type []v1alpha1.Item"
        raise ExpressionError(f"withParam value could not be parsed as a JSON list: {param.strip()}: {message}")
    if len(items) > MAX_ITEMS:
        raise ExpressionError(f"withParam has {len(items)} items; at most {MAX_ITEMS} can be run")
    return items


def _json_error(param: str, error: Exception) -> str:
    """The reason as Go's JSON parser words it, where that is known."""
    text = param.strip()
    if not text:
        return "unexpected end of JSON input"
    if isinstance(error, json.JSONDecodeError):
        if error.pos >= len(param.rstrip()) and not error.msg.startswith("Extra"):
            return "unexpected end of JSON input"
        char = param[error.pos] if error.pos < len(param) else ""
        where = "after top-level value" if error.msg.startswith("Extra") else "looking for beginning of value"
        return f"invalid character '{char}' {where}"
    return "it is nested too deeply"


def _sequence(sequence: JsonObject) -> Sequence[Json]:
    start = _integer(sequence.get("start"))
    template = text_of(sequence, "format") or "%d"
    if sequence.get("end") is not None:
        end = _integer(sequence["end"])
    elif sequence.get("count") is not None:
        count = _integer(sequence["count"])
        if count == 0:
            return ()
        end = start + count - 1
    else:
        raise ExpressionError("neither end nor count was specified in withSequence")
    numbers = range(start, end + 1) if start <= end else range(start, end - 1, -1)
    if len(numbers) > MAX_ITEMS:
        raise ExpressionError(f"withSequence has {len(numbers)} items; at most {MAX_ITEMS} can be run")
    go_format(template, start)
    return Numbers(numbers, template)


def _integer(value: Json) -> int:
    text = "0" if value is None else str(value)
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        raise ExpressionError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


_VERB = re.compile(r"%(?:(%)|([-+# 0]*)(\d{0,4})([dxXobcqUv]))")


def go_format(template: str, number: int) -> str:
    """``number`` printed by a Go printf format with one verb for an integer."""
    if template == "%d":
        return str(number)
    used = False

    def verb(match: re.Match[str]) -> str:
        nonlocal used
        if match[1]:
            return "%"
        if used:
            return f"%!{match[4]}(MISSING)"
        used = True
        return _print(match[2], match[3], match[4], number)

    text = _VERB.sub(verb, template)
    return text if used else f"{text}%!(EXTRA int={number})"


def _print(flags: str, width: str, verb: str, number: int) -> str:
    if verb in "cqU":
        return {"c": chr(number), "q": f"'{chr(number)}'", "U": f"U+{number:04X}"}[verb] if 0 <= number < 0x110000 else "\ufffd"
    conversion = "d" if verb == "v" else verb
    if conversion == "b":
        digits = f"{number:{'+' if '+' in flags else ''}b}"
        return digits.ljust(int(width or 0)) if "-" in flags else digits.rjust(int(width or 0), "0" if "0" in flags else " ")
    return f"%{flags}{width}{conversion}" % number


def item_name(name: str, index: int, item: Json) -> str:
    """What the step or task is called for one item, as in ``print(0:a)``."""
    return f"{name}({index}:{_description(item).replace('(', '').replace(')', '')})"


def _description(item: Json) -> str:
    if isinstance(item, dict):
        return ",".join(sorted(f"{key}:{_member_text(value)}" for key, value in item.items()))
    if isinstance(item, list):
        return "[" + " ".join(_member_text(value) for value in item) + "]"
    return _member_text(item)


def _member_text(value: Json) -> str:
    """What Argo prints for an item: its JSON text, a string without the quotes around it (but escaped as in JSON)."""
    if type(value) is int:
        return str(value)
    if isinstance(value, RawFloat):
        return value.raw
    text = json_text(value)
    return text[1:-1] if isinstance(value, str) else text


def item_variables(item: Json) -> dict[str, str]:
    """The variables ``item`` and ``item.KEY`` of one item."""
    if isinstance(item, str):
        return {"item": item}
    if not isinstance(item, dict):
        return {"item": _member_text(item)}
    variables = {f"item.{key}": _member_text(value) for key, value in item.items()}
    variables["item"] = "{" + ",".join(f"{json_text(key)}:{json_text(item[key])}" for key in sorted(item)) + "}"
    return variables
