"""The built-in functions of jq that are written in Python, by name and number of arguments: values, lists, texts. Used by ``compiler``."""

from __future__ import annotations

import json
from collections.abc import Callable

from flowcore.errors import LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.jq import formats, matching, maths, times
from flowcore.language.jq.encoding import MAX_DEPTH, encode, preview, type_name
from flowcore.language.jq.failures import (
    Halt,
    JqFailure,
    ValueFailure,
    not_applicable,
    not_applicable_because,
    shown,
)
from flowcore.language.jq.meter import meter, occupy, spend
from flowcore.language.jq.numbers import NUMBER, is_number, parse_number, to_float, to_int
from flowcore.language.jq.ordering import ORDERING
from flowcore.language.jq.paths import delete_paths, set_path
from flowcore.language.jq.values import (
    MAX_ITEMS,
    add,
    bounded_list,
    bounded_text,
    compare,
    index,
    indices,
    is_true,
    slice_of,
    split,
    to_text,
)
from flowcore.language.sprig.texts import SPACES

_RESERVED = ("empty", "path", "getpath", "first", "last", "isempty")


def _plus(value: Json) -> Json:
    if not is_number(value):
        raise JqFailure(f"cannot plus: {shown(value)}")
    return value


def _length(value: Json) -> Json:
    match value:
        case None:
            return 0
        case bool():
            raise not_applicable("length", value)
        case int() | float():
            return abs(value)
    return len(value)


def _abs(value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise not_applicable("abs", value)
    return abs(value)


def _items(name: str, value: Json, *arguments: Json) -> list[Json]:
    """The items of a list or the members of an object in order."""
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    if not isinstance(value, list):
        raise not_applicable(name, value, *arguments)
    return value


def _list(name: str, value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise not_applicable(name, value)
    return value


def _text(name: str, value: Json) -> str:
    if not isinstance(value, str):
        raise not_applicable(name, value)
    return value


def _keys(value: Json) -> Json:
    if isinstance(value, list):
        return list(range(len(value)))
    if not isinstance(value, dict):
        raise not_applicable("keys", value)
    return [*sorted(value)]


def _has(value: Json, key: Json) -> Json:
    if value is None:
        return False
    if isinstance(value, dict) and isinstance(key, str):
        return key in value
    if isinstance(value, list) and isinstance(key, (int, float)) and not isinstance(key, bool):
        return 0 <= to_int(key) < len(value)
    raise not_applicable("has", value, key)


def _add(value: Json) -> Json:
    total: Json = None
    texts: list[str] = []
    items = _items("add", value)
    spend(len(items))
    for item in items:
        if isinstance(item, str) and (texts or total is None):
            texts.append(item)
            continue
        if item is None:
            continue
        if texts:
            total, texts = bounded_text("".join(texts)), []
        if isinstance(item, list) and isinstance(total, list):
            total = bounded_list([*total, *item]) if len(item) * 4 > len(total) else _extended(total, item)
            spend(len(item))
        elif isinstance(item, list) and total is None:
            total = list(item)
        else:
            total = add(total, item)
    return bounded_text("".join(texts)) if texts else total


def _extended(total: list[Json], items: list[Json]) -> list[Json]:
    """The list that ``_add`` made itself, with more items."""
    total.extend(items)
    return bounded_list(total)


def _contains(value: Json, other: Json, depth: int = 0) -> bool:
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"jq values nested more than {MAX_DEPTH} deep")
    spend(1 + (len(value) >> 10) if isinstance(value, str) else 1)
    if is_number(value) and is_number(other):
        return compare(value, other) == 0
    if isinstance(value, str) and isinstance(other, str):
        return other in value
    if isinstance(value, list) and isinstance(other, list):
        return all(any(_contains_quietly(item, wanted, depth + 1) for item in value) for wanted in other)
    if isinstance(value, dict) and isinstance(other, dict):
        return all(key in value and _contains_quietly(value[key], member, depth + 1) for key, member in other.items())
    if type(value) is type(other) and value == other:
        return True
    raise not_applicable("contains", value, other)


def _contains_quietly(value: Json, other: Json, depth: int) -> bool:
    try:
        return _contains(value, other, depth)
    except JqFailure:
        return False


def _places(name: str, value: Json, part: Json) -> list[Json] | None:
    """Where a part stands; None in null."""
    if value is None:
        return None
    if isinstance(value, list):
        found = indices(value, part if isinstance(part, list) else [part])
        assert isinstance(found, list)
        return found
    if not isinstance(value, str) or not isinstance(part, str):
        raise not_applicable(name, value, part)
    places: list[Json] = []
    at = value.find(part) if part else -1
    while at >= 0:
        places.append(at)
        if len(places) > MAX_ITEMS:
            bounded_list(places)
        at = value.find(part, at + 1)
    return places


def _index(value: Json, part: Json) -> Json:
    places = _places("index", value, part)
    return places[0] if places else None


def _rindex(value: Json, part: Json) -> Json:
    places = _places("rindex", value, part)
    return places[-1] if places else None


def _on_texts(name: str, compute: Callable[[str, str], Json]) -> Callable[[Json, Json], Json]:
    def function(value: Json, other: Json) -> Json:
        if not isinstance(value, str) or not isinstance(other, str):
            raise not_applicable(name, value, other)
        return compute(value, other)

    return function


def _on_text(name: str, compute: Callable[[str], Json]) -> Callable[[Json], Json]:
    return lambda value: compute(_text(name, value))


def _ascii_case(text: str, first: str, distance: int) -> str:
    begin = ord(first)
    return text.translate({code: code + distance for code in range(begin, begin + 26)})


def _explode(text: str) -> Json:
    codes: list[Json] = [*map(ord, text)]
    occupy(codes, 36)
    return bounded_list(codes)


def _implode(value: Json) -> Json:
    characters: list[str] = []
    for code in _list("implode", value):
        if isinstance(code, bool) or not isinstance(code, (int, float)):
            raise not_applicable("implode", value)
        number = to_int(code)
        characters.append(chr(number) if 0 <= number <= 0x10FFFF and not 0xD800 <= number < 0xE000 else "\ufffd")
    return "".join(characters)


def _split(value: Json, separator: Json) -> Json:
    return split(_text("split", value), _text("split", separator))


def _join(value: Json, separator: Json) -> Json:
    items = _items("join", value, separator)
    parts: list[Json] = []
    for position, item in enumerate(items):
        parts.append(separator if position else "")
        parts.append(encode(item) if isinstance(item, (bool, int, float)) else item)
    return _add(parts) if items else ""


def _to_boolean(value: Json) -> Json:
    if isinstance(value, bool):
        return value
    text = _text("toboolean", value)
    if text not in ("true", "false"):
        raise not_applicable_because("toboolean", value, "invalid boolean")
    return text == "true"


def _to_number(value: Json) -> Json:
    if is_number(value):
        return value
    text = _text("tonumber", value)
    if not NUMBER.fullmatch(text):
        raise not_applicable_because("tonumber", value, "invalid number")
    return parse_number(text)


def _from_json(value: Json) -> Json:
    text = _text("fromjson", value)
    meter().occupy(40 * len(text))
    try:
        found: Json = json.loads(text, parse_int=parse_number, parse_float=parse_number, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise not_applicable("fromjson", value) from None
        raise not_applicable_because("fromjson", value, _json_fault(error)) from None
    except (ValueError, RecursionError) as error:
        raise not_applicable_because("fromjson", value, error) from None
    return found


def _refuse(name: str) -> Json:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _json_fault(error: json.JSONDecodeError) -> str:
    from flowcore.language.expr.json_reader import read_json
    from flowcore.language.expr.limits import Panic

    try:
        read_json(None, error.doc)
    except Panic as panic:
        message = str(panic)
        if message == "unexpected end of JSON input":
            return "unexpected EOF" if error.doc.strip() else "EOF"
        return message
    return error.msg


def _from_entries(value: Json) -> Json:
    if not isinstance(value, (list, dict)):
        raise JqFailure(f"cannot iterate over: {shown(value)}")
    made: dict[str, Json] = {}
    for entry in _items("from_entries", value):
        key = next((found for name in ("key", "Key", "name") if is_true(found := index(entry, name))), None)
        key = index(entry, "Name") if key is None else key
        if not isinstance(key, str):
            raise JqFailure(f"expected a string for object key but got: {shown(key)}")
        made[key] = index(entry, "value" if _has(entry, "value") else "Value")
    return made


def _flatten(value: Json, depth: Json = -1) -> Json:
    items = _items("flatten", value)
    if not isinstance(depth, (int, float)) or isinstance(depth, bool):
        raise not_applicable("flatten", depth)
    flat: list[Json] = []
    _flatten_into(flat, items, to_float(depth), 0)
    return flat


def _flatten_given(value: Json, depth: Json) -> Json:
    _items("flatten", value)
    if isinstance(depth, (int, float)) and not isinstance(depth, bool) and (depth < 0 or depth != depth):
        raise JqFailure(f"flatten depth should not be negative: {preview(depth)}")
    return _flatten(value, depth)


def _flatten_into(flat: list[Json], items: list[Json], depth: float, level: int) -> None:
    if level > MAX_DEPTH:
        raise LimitExceeded(f"jq values nested more than {MAX_DEPTH} deep")
    spend(len(items))
    bounded_list(flat)
    for item in items:
        if isinstance(item, list) and depth:
            _flatten_into(flat, item, depth - 1, level + 1)
        else:
            flat.append(item)


def _transpose(value: Json) -> Json:
    rows: list[list[Json]] = []
    for row in _list("transpose", value):
        if not isinstance(row, list):
            raise not_applicable("transpose", value)
        rows.append(row)
    width = max(map(len, rows), default=0)
    if width * len(rows) > MAX_ITEMS:
        raise LimitExceeded(f"a jq program makes a list of more than {MAX_ITEMS} items")
    return [[row[column] if column < len(row) else None for row in rows] for column in range(width)]


def _search(value: Json, wanted: Json) -> Json:
    if not isinstance(value, list):
        raise not_applicable("bsearch", value, wanted)
    low, high = 0, len(value)
    while low < high:
        middle = (low + high) // 2
        if compare(value[middle], wanted) >= 0:
            high = middle
        else:
            low = middle + 1
    return low if low < len(value) and compare(value[low], wanted) == 0 else -low - 1


def _events(value: Json) -> Json:
    """``tostream``: each leaf with its path, and the path of the last member when a list or object ends."""
    events: list[Json] = []
    _collect_events(events, value, [], top=True)
    return events


def _collect_events(events: list[Json], value: Json, path: list[Json], *, top: bool) -> None:
    if len(path) > MAX_DEPTH or len(events) > MAX_ITEMS:
        raise LimitExceeded("a jq value has too many parts")
    occupy(path)
    keys = _keys(value) if isinstance(value, (list, dict)) else None
    if not isinstance(keys, list) or not keys:
        events.append([path, value])
        return
    for key in keys:
        _collect_events(events, index(value, key), [*path, key], top=False)
    events.append([[*path, keys[-1]]])


def _error(value: Json, *given: Json) -> Json:
    raise ValueFailure(given[0] if given else value)


def _halt(_value: Json) -> Json:
    raise Halt(None)


def _halt_error(value: Json, *_code: Json) -> Json:
    raise Halt(value)


def _builtins(_value: Json) -> Json:
    from flowcore.language.jq.prelude import prelude_names

    names = {key for key in [*NATIVES, *prelude_names()] if not key[0].startswith("_")}
    names |= {(name, 1) for name in _RESERVED if name != "empty"} | {("empty", 0)}
    return [f"{name}/{arity}" for name, arity in sorted(names)]


NATIVES: dict[tuple[str, int], Callable[..., Json]] = {
    ("_plus", 0): _plus,
    ("_index", 2): lambda _value, base, key: index(base, key),
    ("_slice", 3): lambda _value, base, end, begin: slice_of(base, begin, end),
    ("not", 0): lambda value: not is_true(value),
    ("type", 0): type_name,
    ("length", 0): _length,
    ("abs", 0): _abs,
    ("keys", 0): _keys,
    ("has", 1): _has,
    ("add", 0): _add,
    ("contains", 1): _contains,
    ("inside", 1): lambda value, other: _contains(other, value),
    ("indices", 1): lambda value, part: _places("indices", value, part),
    ("index", 1): _index,
    ("rindex", 1): _rindex,
    ("reverse", 0): lambda value: _list("reverse", value)[::-1],
    ("flatten", 0): _flatten,
    ("flatten", 1): _flatten_given,
    ("transpose", 0): _transpose,
    ("bsearch", 1): _search,
    ("from_entries", 0): _from_entries,
    ("setpath", 2): set_path,
    ("delpaths", 1): delete_paths,
    ("_events", 0): _events,
    ("utf8bytelength", 0): _on_text("utf8bytelength", lambda text: len(text.encode("utf-8", "replace"))),
    ("startswith", 1): _on_texts("startswith", str.startswith),
    ("endswith", 1): _on_texts("endswith", str.endswith),
    ("ltrimstr", 1): _on_texts("ltrimstr", str.removeprefix),
    ("rtrimstr", 1): _on_texts("rtrimstr", str.removesuffix),
    ("trimstr", 1): _on_texts("trimstr", lambda text, part: text.removeprefix(part).removesuffix(part)),
    ("ltrim", 0): _on_text("ltrim", lambda text: text.lstrip(SPACES)),
    ("rtrim", 0): _on_text("rtrim", lambda text: text.rstrip(SPACES)),
    ("trim", 0): _on_text("trim", lambda text: text.strip(SPACES)),
    ("explode", 0): _on_text("explode", _explode),
    ("implode", 0): _implode,
    ("split", 1): _split,
    ("join", 1): _join,
    ("ascii_downcase", 0): _on_text("ascii_downcase", lambda text: _ascii_case(text, "A", 32)),
    ("ascii_upcase", 0): _on_text("ascii_upcase", lambda text: _ascii_case(text, "a", -32)),
    ("toboolean", 0): _to_boolean,
    ("tonumber", 0): _to_number,
    ("tostring", 0): to_text,
    ("tojson", 0): encode,
    ("fromjson", 0): _from_json,
    ("error", 0): _error,
    ("error", 1): _error,
    ("halt", 0): _halt,
    ("halt_error", 0): _halt_error,
    ("halt_error", 1): _halt_error,
    ("builtins", 0): _builtins,
    **ORDERING,
    **formats.FORMATS,
    **matching.MATCHING,
    **maths.MATHS,
    **times.TIMES,
}
"""The functions; the first argument of each is the input."""
