"""What the builtins take and give, for the checks before a run. Read by ``parser`` (names) and ``check_calls``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flowcore.language.expr.natures import (
    ANY_MAP,
    BOOL,
    DURATION,
    FLOAT,
    FLOATS,
    INT,
    INTERFACE,
    INTS,
    LIST,
    STRING,
    TEXTS,
    TIME,
    ZONE,
    Nature,
    Signature,
    function,
)

PREDICATES = frozenset(
    [
        "all",
        "none",
        "any",
        "one",
        "filter",
        "map",
        "find",
        "findIndex",
        "findLast",
        "findLastIndex",
        "count",
        "sum",
        "groupBy",
        "sortBy",
        "reduce",
    ]
)


def _takes(*parameters: Nature, gives: Nature) -> Signature:
    return Signature(parameters, gives)


_TEXT_ONLY = _takes(STRING, gives=STRING)
_TWO_TEXTS = _takes(STRING, STRING, gives=STRING)
_SPLIT = (_takes(STRING, STRING, gives=TEXTS), _takes(STRING, STRING, INT, gives=TEXTS))
_BITS = (_takes(INT, INT, gives=INT),)

# Several entries are overloads; the last one that does not fit is the one an error message speaks of.
OVERLOADS: Mapping[str, tuple[Signature, ...]] = {
    "type": (_takes(INTERFACE, gives=STRING),),
    "string": (_takes(INTERFACE, gives=STRING),),
    "trim": (_TEXT_ONLY, _TWO_TEXTS),
    "trimPrefix": (_TWO_TEXTS, _TEXT_ONLY),
    "trimSuffix": (_TWO_TEXTS, _TEXT_ONLY),
    "upper": (_TEXT_ONLY,),
    "lower": (_TEXT_ONLY,),
    "split": _SPLIT,
    "splitAfter": _SPLIT,
    "replace": (_takes(STRING, STRING, STRING, INT, gives=STRING), _takes(STRING, STRING, STRING, gives=STRING)),
    "repeat": (_takes(STRING, INT, gives=STRING),),
    "join": (
        _takes(TEXTS, STRING, gives=STRING),
        _takes(LIST, STRING, gives=STRING),
        _takes(LIST, gives=STRING),
        _takes(TEXTS, STRING, gives=STRING),
        _takes(TEXTS, gives=STRING),
    ),
    "indexOf": (_takes(STRING, STRING, gives=INT),),
    "lastIndexOf": (_takes(STRING, STRING, gives=INT),),
    "hasPrefix": (_takes(STRING, STRING, gives=BOOL),),
    "hasSuffix": (_takes(STRING, STRING, gives=BOOL),),
    "toJSON": (_takes(INTERFACE, gives=STRING),),
    "fromJSON": (_takes(STRING, gives=INTERFACE),),
    "toBase64": (_TEXT_ONLY,),
    "fromBase64": (_TEXT_ONLY,),
    "duration": (_takes(STRING, gives=DURATION),),
    "timezone": (_takes(STRING, gives=ZONE),),
    "sort": tuple(
        [_takes(kind, STRING, gives=LIST) for kind in (LIST, INTS, FLOATS, TEXTS)]
        + [_takes(kind, gives=LIST) for kind in (LIST, FLOATS, TEXTS, INTS)]
    ),
    **dict.fromkeys(("bitand", "bitor", "bitxor", "bitnand", "bitshl", "bitshr", "bitushr"), _BITS),
    "bitnot": (_takes(INT, gives=INT),),
}


class Refused(Exception):
    """Arguments that a validated builtin does not take; the text is expr-lang's."""


def _shown(nature: Nature) -> str:
    """An argument's type as the messages print it; nil has none."""
    return "%!s(<nil>)" if nature.nil else str(nature)


def _count(arguments: list[Nature], wanted: int) -> None:
    if len(arguments) != wanted:
        raise Refused(f"invalid number of arguments (expected {wanted}, got {len(arguments)})")


def _kind_check(message: str, kinds: str, gives: Nature | None) -> Callable[[list[Nature]], Nature]:
    """One argument of one of the kinds (or unknown); ``gives`` None means the argument's own type."""
    allowed = frozenset(kinds.split()) | {"interface"}

    def validate(arguments: list[Nature]) -> Nature:
        _count(arguments, 1)
        (argument,) = arguments
        if argument.kind not in allowed:
            raise Refused(message.format(_shown(argument)))
        return argument.plain() if gives is None else gives

    return validate


_NUMBERS = "int float64 int64 uint8"


def _aggregate(name: str) -> Callable[[list[Nature]], Nature]:
    def validate(arguments: list[Nature]) -> Nature:
        if not arguments:
            raise Refused(f"not enough arguments to call {name}")
        for argument in arguments:
            if argument.kind in ("interface", "slice", "array"):
                return INTERFACE
            if argument.kind not in _NUMBERS.split():
                raise Refused(f"invalid argument for {name} (type {_shown(argument)})")
        return arguments[0].plain()

    return validate


def _edge(which: str) -> Callable[[list[Nature]], Nature]:
    def validate(arguments: list[Nature]) -> Nature:
        _count(arguments, 1)
        (argument,) = arguments
        if argument.kind == "interface":
            return INTERFACE
        if argument.is_list:
            return argument.plain().element().plain()
        raise Refused(f"cannot get {which} element from {_shown(argument)}")

    return validate


def _take(arguments: list[Nature]) -> Nature:
    _count(arguments, 2)
    items, count = arguments
    if items.kind not in ("interface", "slice", "array"):
        raise Refused(f"cannot take from {_shown(items)}")
    if count.kind not in ("interface", "int", "int64"):
        raise Refused(f"cannot take {_shown(count)} elements")
    return items.plain()


def _concat(arguments: list[Nature]) -> Nature:
    if not arguments:
        raise Refused("invalid number of arguments (expected at least 1, got 0)")
    for argument in arguments:
        if argument.kind not in ("interface", "slice", "array"):
            raise Refused(f"cannot concat {_shown(argument)}")
    return LIST


def _now(arguments: list[Nature]) -> Nature:
    if arguments and (len(arguments) > 1 or arguments[0].type != ZONE.type):
        raise Refused(f"invalid number of arguments (expected 0, got {len(arguments)})")
    return TIME


def _date(arguments: list[Nature]) -> Nature:
    if not arguments:
        raise Refused("invalid number of arguments (expected at least 1, got 0)")
    rest = arguments[1:] if arguments[0].type == ZONE.type else arguments
    if len(rest) > 3:
        raise Refused(f"invalid number of arguments (expected at most 3, got {len(rest)})")
    return TIME


VALIDATED: Mapping[str, Callable[[list[Nature]], Nature]] = {
    "len": _kind_check("invalid argument for len (type {})", "array map slice string", INT),
    "abs": _kind_check("invalid argument for abs (type {})", _NUMBERS, None),
    **{name: _kind_check(f"invalid argument for {name} (type {{}})", _NUMBERS, FLOAT) for name in ("ceil", "floor", "round")},
    "int": _kind_check("invalid argument for int (type {})", _NUMBERS + " string", INT),
    "float": _kind_check("invalid argument for float (type {})", _NUMBERS + " string", FLOAT),
    **{name: _aggregate(name) for name in ("max", "min", "mean", "median")},
    "now": _now,
    "date": _date,
    "first": _edge("first"),
    "last": _edge("last"),
    "take": _take,
    "keys": _kind_check("cannot get keys from {}", "map", LIST),
    "values": _kind_check("cannot get values from {}", "map", LIST),
    "toPairs": _kind_check("cannot transform {} to pairs", "map", LIST),
    "fromPairs": _kind_check("cannot transform {} from pairs", "slice array", ANY_MAP),
    "reverse": _kind_check("cannot reverse {}", "slice array", LIST),
    "uniq": _kind_check("cannot uniq {}", "slice array", LIST),
    "concat": _concat,
    "flatten": _kind_check("cannot flatten {}", "slice array", LIST),
}

BUILTIN_NAMES = PREDICATES | OVERLOADS.keys() | VALIDATED.keys() | {"get"}


def function_type(signature: Signature, *, fallible: bool = False) -> str:
    """Go's name of the type of a function."""
    result = str(signature.result)
    shown = [str(parameter) for parameter in signature.parameters]
    if signature.variadic:
        shown[-1] = "..." + shown[-1].removeprefix("[]")
    return f"func({', '.join(shown)}) " + (f"({result}, error)" if fallible else result)


_PREDICATE_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("all", "none", "any", "one"), "func([]interface {}, func(interface {}) bool) bool"),
    "filter": "func([]interface {}, func(interface {}) bool) []interface {}",
    "map": "func([]interface {}, func(interface {}) interface {}) []interface {}",
    **dict.fromkeys(("find", "findLast"), "func([]interface {}, func(interface {}) bool) interface {}"),
    **dict.fromkeys(("findIndex", "findLastIndex", "count", "sum"), "func([]interface {}, func(interface {}) bool) int"),
    "groupBy": "func([]interface {}, func(interface {}) interface {}) map[interface {}][]interface {}",
    "sortBy": "func([]interface {}, func(interface {}) bool, string) []interface {}",
    "reduce": "func([]interface {}, func(interface {}, interface {}) interface {}, interface {}) interface {}",
}


def builtin_nature(name: str) -> Nature:
    """The nature of a builtin that is named but not called."""
    if name in OVERLOADS:
        signature = OVERLOADS[name][0]
        return function(function_type(signature, fallible=name in ("duration", "timezone")), signature)
    return function(_PREDICATE_TYPES.get(name, "func(...interface {}) (interface {}, error)"))


def method(result: Nature, *parameters: Nature) -> Nature:
    """The nature of a method of a Go value."""
    signature = Signature(parameters, result)
    return function(function_type(signature), signature)
