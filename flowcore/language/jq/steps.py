"""The steps of plain expressions: values, indexing, operators, calls. Made by ``compiler``, run by ``machine``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

from flowcore.jsontypes import Json
from flowcore.language.jq.failures import JqFailure, invalid_path, shown
from flowcore.language.jq.machine import Env, Machine, Path, State, Step, Then
from flowcore.language.jq.meter import occupy
from flowcore.language.jq.paths import set_path
from flowcore.language.jq.scope import Function, cell, further_out
from flowcore.language.jq.values import add
from flowcore.language.jq.values import index as index_value
from flowcore.language.jq.values import slice_of as slice_value

Closure: TypeAlias = "tuple[Step, Env]"
"""What a parameter stands for: the argument's step and the environment that it was written in."""


# -- paths ------------------------------------------------------------------------------------------------------------------------


def root(value: Json) -> Path:
    """The path to a value itself."""
    return (None, None, value)


def extended(path: Path, base: Json, key: Json, value: Json) -> Path:
    """The path one key further; raises JqFailure when it led elsewhere than to the base."""
    if path is None:
        return None
    if not leads_to(path, base):
        raise invalid_path(base)
    return (path, key, value)


def leads_to(path: Path, value: Json) -> bool:
    """Whether a path leads to this very value; lists and objects must be the same ones."""
    assert path is not None
    found = path[2]
    if isinstance(value, (list, dict)):
        return found is value
    if isinstance(value, float) and value != value:
        return isinstance(found, float) and found != found
    return type(found) is type(value) and found == value


def keys_of(path: Path, value: Json) -> list[Json]:
    """The keys of a path; raises JqFailure when it does not lead to the value."""
    if not leads_to(path, value):
        raise invalid_path(value)
    keys: list[Json] = []
    while path is not None and path[0] is not None:
        keys.append(path[1])
        path = path[0]
    keys.reverse()
    return keys


# -- values -----------------------------------------------------------------------------------------------------------------------


def resume(machine: Machine, value: Json, path: Path, _env: Env, then: Then) -> State:
    """Hand a result on to what comes next."""
    assert then is not None
    return then[0](machine, value, path, then)


identity: Step = resume


def constant(value: Json) -> Step:
    """The same result whatever comes in."""

    def step(machine: Machine, _value: Json, path: Path, _env: Env, then: Then) -> State:
        assert then is not None
        return then[0](machine, value, path, then)

    return step


def empty_list(machine: Machine, _value: Json, path: Path, _env: Env, then: Then) -> State:
    """``[]``, a new one each time."""
    assert then is not None
    return then[0](machine, [], path, then)


def empty_object(machine: Machine, _value: Json, path: Path, _env: Env, then: Then) -> State:
    """``{}``, a new one each time."""
    assert then is not None
    return then[0](machine, {}, path, then)


def variable(distance: int) -> Step:
    """The value of a cell."""

    def step(machine: Machine, _value: Json, path: Path, env: Env, then: Then) -> State:
        assert then is not None
        return then[0](machine, cast("Json", cell(env, distance)), path, then)

    return step


def _charged(value: Json) -> Json:
    """A value that a function made, counted when it is a large one."""
    if isinstance(value, (str, list, dict)) and len(value) > 256:
        occupy(value)
    return value


def native(function: Callable[[Json], Json]) -> Step:
    """A function of the input."""

    def step(machine: Machine, value: Json, path: Path, _env: Env, then: Then) -> State:
        assert then is not None
        return then[0](machine, _charged(function(value)), path, then)

    return step


def pipe(left: Step, right: Step) -> Step:
    """The right side, for each result of the left one."""
    if left is identity:
        return right
    if right is identity:
        return left

    def behind(_machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        return right, value, path, then[2], then[3]

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return left, value, path, env, (behind, None, env, then)

    return step


def comma(left: Step, right: Step) -> Step:
    """The results of the left side, then those of the right one."""

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        machine.forks.append((right, value, path, env, then))
        return left, value, path, env, then

    return step


# -- several operands: the last one is computed first, the first one for each of its results ---------------------------------------


def operands(parts: Sequence[Step], finish: Callable[[Json, list[Json]], Json]) -> Step:
    """Compute the parts of the input and make a result of it and them."""

    def evaluate(at: int, value: Json, path: Path, env: Env, found: object, then: Then) -> State:
        return parts[at], value, None, env, (collected, (at, value, path, found), env, then)

    def collected(machine: Machine, result: Json, _path: Path, then: Then) -> State:
        assert then is not None
        at, value, path, found = cast("tuple[int, Json, Path, object]", then[1])
        found = (result, found)
        if at:
            return evaluate(at - 1, value, path, then[2], found, then[3])
        arguments: list[Json] = []
        while found is not None:
            argument, found = cast("tuple[Json, object]", found)
            arguments.append(argument)
        assert then[3] is not None
        return then[3][0](machine, finish(value, arguments), path, then[3])

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return evaluate(len(parts) - 1, value, path, env, None, then)

    return step


def operator(compute: Callable[[Json, Json], Json], left: Step, right: Step) -> Step:
    """An operator on two values."""

    def with_right(_machine: Machine, right_value: Json, _path: Path, then: Then) -> State:
        assert then is not None
        value, path = cast("tuple[Json, Path]", then[1])
        return left, value, None, then[2], (with_both, (right_value, path), None, then[3])

    def with_both(machine: Machine, left_value: Json, _path: Path, then: Then) -> State:
        assert then is not None
        assert then[3] is not None
        right_value, path = cast("tuple[Json, Path]", then[1])
        return then[3][0](machine, _charged(compute(left_value, right_value)), path, then[3])

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return right, value, None, env, (with_right, (value, path), env, then)

    return step


def native_call(function: Callable[..., Json], arguments: Sequence[Step]) -> Step:
    """A built-in function with arguments."""
    if not arguments:
        return native(function)
    return operands(arguments, lambda value, found: _charged(function(value, *found)))


def text_of(parts: Sequence[Step]) -> Step:
    """The texts of the parts, joined."""

    def joined(_value: Json, found: list[Json]) -> Json:
        text: Json = None
        for part in found:
            text = add(text, part)
        return text

    return operands(parts, lambda value, found: _charged(joined(value, found)))


def object_of(members: Sequence[tuple[Step, Step | None]]) -> Step:
    """An object out of keys and values, the first member computed first; no value means the input's member of that name."""
    parts = [part for member in members for part in member if part is not None]

    def made(value: Json, found: list[Json]) -> Json:
        result: dict[str, Json] = {}
        for _, member in members:
            key = found.pop()
            if not isinstance(key, str):
                raise JqFailure(f"expected a string for object key but got: {shown(key)}")
            result[key] = index_value(value, key) if member is None else found.pop()
        return result

    return operands(list(reversed(parts)), made)


def set_at(keys: list[Json], source: Step) -> Step:
    """The input with a result of the source at the end of a written path."""
    return operands([source], lambda value, found: set_path(value, keys, found[0]))


# -- indexing ---------------------------------------------------------------------------------------------------------------------


def index_by(key: Json) -> Step:
    """A member or item by a key that is written down."""

    def step(machine: Machine, value: Json, path: Path, _env: Env, then: Then) -> State:
        assert then is not None
        found = index_value(value, key)
        return then[0](machine, found, path and extended(path, value, key, found), then)

    return step


def index(base: Step, key: Step) -> Step:
    """``base[key]``; the key is computed from the input, and first."""

    def with_key(_machine: Machine, key_value: Json, _path: Path, then: Then) -> State:
        assert then is not None
        value, path = cast("tuple[Json, Path]", then[1])
        return base, value, path, then[2], (with_base, key_value, None, then[3])

    def with_base(machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        assert then[3] is not None
        key_value = cast("Json", then[1])
        found = index_value(value, key_value)
        return then[3][0](machine, found, path and extended(path, value, key_value, found), then[3])

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return key, value, None, env, (with_key, (value, path), env, then)

    return step


def slice_of(base: Step, begin: Step, end: Step) -> Step:
    """``base[begin:end]``; the begin is computed first, then the end, then the base."""

    def with_begin(_machine: Machine, begin_value: Json, _path: Path, then: Then) -> State:
        assert then is not None
        value, path = cast("tuple[Json, Path]", then[1])
        return end, value, None, then[2], (with_end, (value, path, begin_value), then[2], then[3])

    def with_end(_machine: Machine, end_value: Json, _path: Path, then: Then) -> State:
        assert then is not None
        value, path, begin_value = cast("tuple[Json, Path, Json]", then[1])
        return base, value, path, then[2], (with_base, (begin_value, end_value), None, then[3])

    def with_base(machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        assert then[3] is not None
        begin_value, end_value = cast("tuple[Json, Json]", then[1])
        found = slice_value(value, begin_value, end_value)
        key: Json = {"start": begin_value, "end": end_value}
        return then[3][0](machine, found, path and extended(path, value, key, found), then[3])

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return begin, value, None, env, (with_begin, (value, path), env, then)

    return step


def iterate(machine: Machine, value: Json, path: Path, _env: Env, then: Then) -> State:
    """``.[]``: the items of a list, or the members of an object in the order of their names."""
    if isinstance(value, dict):
        keys: Sequence[Json] = sorted(value)
    elif isinstance(value, list):
        keys = range(len(value))
    else:
        raise JqFailure(f"cannot iterate over: {shown(value)}")
    if path is not None and not leads_to(path, value):
        raise JqFailure(f"invalid path on iterating against: {shown(value)}")
    return _next_item(machine, value, path, ((value, keys, 0), None), then) if keys else machine.backtrack()


def iterate_quietly(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
    """``.[]?``: nothing for what has no items."""
    if not isinstance(value, (dict, list)) or not (path is None or leads_to(path, value)):
        return machine.backtrack()
    return iterate(machine, value, path, env, then)


def _next_item(machine: Machine, base: Json, path: Path, env: Env, then: Then) -> State:
    """The item at a position; the later ones wait."""
    assert env is not None
    assert then is not None
    values, keys, at = cast("tuple[dict[Json, Json], Sequence[Json], int]", env[0])
    if at + 1 < len(keys):
        machine.forks.append((_next_item, base, path, ((values, keys, at + 1), None), then))
    item = values[keys[at]]
    return then[0](machine, item, path and (path, keys[at], item), then)


# -- calls ------------------------------------------------------------------------------------------------------------------------


def parameter(distance: int) -> Step:
    """What the caller gave for a parameter, computed where it was written."""

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        argument, its_env = cast("Closure", cell(env, distance))
        return argument, value, path, its_env, then

    return step


def call(function: Function, distance: int, arguments: Sequence[Step | int]) -> Step:
    """A function of the program or the prelude. Arguments are steps, or distances of parameters that are handed on."""

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        inner = further_out(env, distance) if function.depth else None
        for argument in arguments:
            inner = (cell(env, argument) if isinstance(argument, int) else (argument, env), inner)
        assert function.step is not None
        return function.step, value, path, inner, then

    return step
