"""JSON as Go reads it: numbers are floats, errors have Go's texts. Called by ``fromJSON`` and the Argo functions."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from flowcore.language.expr.limits import Budget, Panic
from flowcore.language.expr.quoting import go_quote

_CONTEXTS = (
    ("Expecting value", "looking for beginning of value"),
    ("Expecting property name enclosed in double quotes", "looking for beginning of object key string"),
    ("Expecting ':' delimiter", "after object key"),
    ("Invalid control character at", "in string literal"),
    ("Invalid \\escape", "in string escape code"),
    ("Invalid \\uXXXX escape", "in \\u hexadecimal character escape"),
    ("Extra data", "after top-level value"),
    ("Illegal trailing comma before end of object", "looking for beginning of object key string"),
    ("Illegal trailing comma before end of array", "looking for beginning of value"),
)


def _number(text: str) -> float:
    number = float(text) if len(text) < 1000 else math.inf
    if math.isinf(number):
        raise Panic(f"json: cannot unmarshal number {text[:200]} into Go value of type float64")
    return number


def _constant(name: str) -> NoReturn:
    raise Panic(f"invalid character '{name[0]}' looking for beginning of value")


_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_constant)


def read_json(budget: Budget | None, text: str) -> object:
    """The value of a JSON text; raises Panic with Go's error text."""
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Panic(_message(error)) from None
    except RecursionError:
        raise Panic("exceeded max depth") from None
    if budget is not None:
        budget.grow(text.count(",") + text.count(":") + 1)
    return value


def _message(error: json.JSONDecodeError) -> str:
    text, position = error.doc, error.pos
    if error.msg.startswith("Illegal trailing comma"):
        position += 1
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    if position >= len(text) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    context = next((words for start, words in _CONTEXTS if error.msg.startswith(start)), "")
    if error.msg.startswith("Expecting ',' delimiter"):
        context = "after object key:value pair" if _in_object(text[:position]) else "after array element"
    char = text[position]
    quoted = "'\\''" if char == "'" else "'\"'" if char == '"' else f"'{go_quote(char)[1:-1]}'"
    return f"invalid character {quoted} {context}"


def _in_object(before: str) -> bool:
    """Whether the innermost open bracket is a brace."""
    depth, in_string, index = [], False, 0
    while index < len(before):
        char = before[index]
        if in_string:
            index += 1 if char == "\\" else 0
            in_string = char != '"'
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth.append(char)
        elif char in "]}" and depth:
            depth.pop()
        index += 1
    return bool(depth) and depth[-1] == "{"
