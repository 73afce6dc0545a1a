"""The steps of control: conditions, failures, folds, bindings, paths and assignments. Made by ``compiler``, run by ``machine``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

from flowcore.jsontypes import Json
from flowcore.language.jq.failures import Broken, expected_array, not_applicable
from flowcore.language.jq.machine import (
    Env,
    Machine,
    Path,
    State,
    Step,
    Then,
    alternative,
    handler,
    label,
    passed_handler,
)
from flowcore.language.jq.meter import occupy
from flowcore.language.jq.numbers import is_number
from flowcore.language.jq.paths import Owner, delete_paths, get_path, set_path
from flowcore.language.jq.scope import cell
from flowcore.language.jq.steps import extended, keys_of, operands, resume, root
from flowcore.language.jq.values import MAX_ITEMS, add, bounded_list, compare, index, is_true

Cell: TypeAlias = "list[Json]"
"""One value that steps change."""


def condition(test: Step, consequence: Step, otherwise: Step) -> Step:
    """One of two steps for each result of a test."""

    def tested(_machine: Machine, found: Json, _path: Path, then: Then) -> State:
        assert then is not None
        value, path = cast("tuple[Json, Path]", then[1])
        return consequence if is_true(found) else otherwise, value, path, then[2], then[3]

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return test, value, None, env, (tested, (value, path), env, then)

    return step


def alternatives(left: Step, right: Step) -> Step:
    """``left // right``: the results of the left side that are neither null nor false; if there are none, those of the right one."""

    def found(machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        assert then[3] is not None
        if not is_true(value):
            return machine.backtrack()
        cast("Cell", then[1])[0] = True
        return then[3][0](machine, value, path, then[3])

    def otherwise(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        assert env is not None
        some, outer = cast("tuple[Cell, Env]", env[0])
        return machine.backtrack() if some[0] else (right, value, path, outer, then)

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        some: Cell = [False]
        machine.forks.append((otherwise, value, path, ((some, env), None), then))
        return left, value, path, env, (found, some, None, then)

    return step


def collect(body: Step) -> Step:
    """``[body]``: all results in a list."""

    def collected(machine: Machine, value: Json, _path: Path, then: Then) -> State:
        assert then is not None
        items = cast("list[Json]", then[1])
        items.append(value)
        if len(items) > MAX_ITEMS:
            bounded_list(items)
        return machine.backtrack()

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        items: list[Json] = []
        machine.forks.append((resume, items, path, None, then))
        return body, value, None, env, (collected, items, None, then)

    return step


# -- failures and labels ----------------------------------------------------------------------------------------------------------


def attempt(body: Step, catch: Step | None) -> Step:
    """``try body catch handler``; what fails behind the body, in what its results are used for, is not caught."""

    def leave(machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        machine.forks.append((passed_handler, None, None, None, then[3]))
        return resume, value, path, None, then[3]

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        machine.forks.append((handler, value, path, (catch, env), then))
        return body, value, path, env, (leave, None, None, then)

    return step


def labelled(body: Step) -> Step:
    """``label $name | body``."""

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        machine.labels += 1
        machine.forks.append((label, machine.labels, None, None, then))
        return body, value, path, (machine.labels, env), then

    return step


def break_to(distance: int) -> Step:
    """``break $name``."""

    def step(_machine: Machine, _value: Json, _path: Path, env: Env, _then: Then) -> State:
        raise Broken(cast("int", cell(env, distance)))

    return step


# -- bindings ---------------------------------------------------------------------------------------------------------------------


def bind(source: Step, body: Step) -> Step:
    """The body with a cell more, for each result of the source."""

    def bound(_machine: Machine, found: Json, _path: Path, then: Then) -> State:
        assert then is not None
        value, path = cast("tuple[Json, Path]", then[1])
        return body, value, path, (found, then[2]), then[3]

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return source, value, None, env, (bound, (value, path), env, then)

    return step


def with_nulls(count: int, body: Step) -> Step:
    """The body with null cells below the innermost one."""

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        assert env is not None
        found, outer = env
        for _ in range(count):
            outer = (None, outer)
        return body, value, path, (found, outer), then

    return step if count else body


def first_pattern(first: Step, otherwise: Step) -> Step:
    """``?//``: a further pattern, for when the first one, or what uses it, fails."""

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        machine.forks.append((alternative, value, path, (otherwise, env), then))
        return first, value, path, env, then

    return step


def take_item(distance: int, position: int, body: Step) -> Step:
    """A cell with an item of the list in another cell."""

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        base = cast("Json", cell(env, distance))
        if base is not None and not isinstance(base, list):
            raise expected_array(base)
        return body, value, path, (index(base, position), env), then

    return step


def take_member(distance: int, key: Step, body: Step) -> Step:
    """A cell with a member of the object in another cell, for each key that is computed from that object."""

    def with_key(_machine: Machine, found: Json, _path: Path, then: Then) -> State:
        assert then is not None
        value, path, base = cast("tuple[Json, Path, Json]", then[1])
        return body, value, path, (index(base, found), then[2]), then[3]

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        base = cast("Json", cell(env, distance))
        return key, base, None, env, (with_key, (value, path, base), env, then)

    return step


# -- folds ------------------------------------------------------------------------------------------------------------------------


def reduce(source: Step, start: Step, update: Step) -> Step:
    """``reduce``: a state for each result of the start; the last state is the result. ``update`` ends in ``reduce_update``."""

    def started(machine: Machine, state: Json, path: Path, then: Then) -> State:
        assert then is not None
        cell_of_state: Cell = [state]
        machine.forks.append((finished, None, path, (cell_of_state, None), then[3]))
        return source, cast("Json", then[1]), path, then[2], (each, cell_of_state, then[2], None)

    def each(_machine: Machine, found: Json, path: Path, then: Then) -> State:
        assert then is not None
        return update, None, path, (found, then[2]), (store, then[1], None, None)

    def store(machine: Machine, state: Json, _path: Path, then: Then) -> State:
        assert then is not None
        cast("Cell", then[1])[0] = state
        return machine.backtrack()

    def finished(_machine: Machine, _value: Json, path: Path, env: Env, then: Then) -> State:
        assert env is not None
        return resume, cast("Cell", env[0])[0], path, None, then

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return start, value, path, env, (started, value, env, then)

    return step


def reduce_update(update: Step) -> Step:
    """The update of ``reduce``, on the state."""

    def step(_machine: Machine, _value: Json, path: Path, env: Env, then: Then) -> State:
        assert then is not None
        return update, cast("Cell", then[1])[0], path, env, then

    return step


def foreach(source: Step, start: Step, update: Step) -> Step:
    """``foreach``: like ``reduce``, but every state is a result. ``update`` ends in ``foreach_update``."""

    def started(_machine: Machine, state: Json, path: Path, then: Then) -> State:
        assert then is not None
        cell_of_state: Cell = [state]
        return source, cast("Json", then[1]), path, then[2], (each, cell_of_state, then[2], then[3])

    def each(_machine: Machine, found: Json, path: Path, then: Then) -> State:
        assert then is not None
        return update, None, path, (found, then[2]), (each, then[1], None, then[3])

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return start, value, path, env, (started, value, env, then)

    return step


def foreach_update(update: Step, extract: Step) -> Step:
    """The update of ``foreach`` on the state, and what is given for each new one."""

    def updated(_machine: Machine, state: Json, path: Path, then: Then) -> State:
        assert then is not None
        cast("Cell", then[1])[0] = state
        return extract, state, path, then[2], then[3]

    def step(_machine: Machine, _value: Json, path: Path, env: Env, then: Then) -> State:
        assert then is not None
        return update, cast("Cell", then[1])[0], path, env, (updated, then[1], env, then[3])

    return step


# -- paths and assignments --------------------------------------------------------------------------------------------------------


def path_of(body: Step) -> Step:
    """``path(body)``: the keys that lead to each result."""

    def reached(machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        assert then[3] is not None
        keys = keys_of(path, value)
        if len(keys) > 32:
            occupy(keys)
        return then[3][0](machine, keys, cast("Path", then[1]), then[3])

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return body, value, root(value), env, (reached, path, None, then)

    return step


def get_path_step(argument: Step) -> Step:
    """``getpath(argument)``, which counts as a path itself."""

    def with_keys(machine: Machine, keys: Json, _path: Path, then: Then) -> State:
        assert then is not None
        assert then[3] is not None
        value, path = cast("tuple[Json, Path]", then[1])
        found = get_path(value, keys)
        if path is not None:
            base = value
            for key in cast("list[Json]", keys):
                path = extended(path, base, key, found)
                base = found
        return then[3][0](machine, found, path, then[3])

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return argument, value, None, env, (with_keys, (value, path), env, then)

    return step


def assign(target: Step, source: Step) -> Step:
    """``target = source``: for each result of the source, the input with it at all paths."""

    def with_new(machine: Machine, new: Json, _path: Path, then: Then) -> State:
        assert then is not None
        value, path = cast("tuple[Json, Path]", then[1])
        state: Cell = [value]
        machine.forks.append((finished, None, path, (state, None), then[3]))
        return target, value, root(value), then[2], (each, (state, new, Owner()), None, None)

    def each(machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        state, new, owner = cast("tuple[Cell, Json, Owner]", then[1])
        state[0] = set_path(state[0], keys_of(path, value), new, owner)
        return machine.backtrack()

    def finished(_machine: Machine, _value: Json, path: Path, env: Env, then: Then) -> State:
        assert env is not None
        return resume, cast("Cell", env[0])[0], path, None, then

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return source, value, None, env, (with_new, (value, path), env, then)

    return step


def modify(target: Step, change: Step) -> Step:
    """``target |= change``: the first result of the change at each path; a path for which there is none is deleted."""

    def each(machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        state, deleted, owner = cast("tuple[Cell, list[Json], Owner]", then[1])
        keys = keys_of(path, value)
        height = len(machine.forks)
        machine.forks.append((nothing, keys, None, (deleted, None), None))
        return change, get_path(state[0], keys), None, then[2], (changed, (state, keys, owner, height), None, None)

    def changed(machine: Machine, value: Json, _path: Path, then: Then) -> State:
        assert then is not None
        state, keys, owner, height = cast("tuple[Cell, list[Json], Owner, int]", then[1])
        del machine.forks[height:]
        state[0] = set_path(state[0], keys, value, owner)
        return machine.backtrack()

    def nothing(machine: Machine, keys: Json, _path: Path, env: Env, _then: Then) -> State:
        assert env is not None
        cast("list[Json]", env[0]).append(keys)
        return machine.backtrack()

    def finished(_machine: Machine, _value: Json, path: Path, env: Env, then: Then) -> State:
        assert env is not None
        state, deleted, owner = cast("tuple[Cell, list[Json], Owner]", env[0])
        return resume, delete_paths(state[0], deleted, owner), path, None, then

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        work: tuple[Cell, list[Json], Owner] = ([value], [], Owner())
        machine.forks.append((finished, None, path, (work, None), then))
        return target, value, root(value), env, (each, work, env, None)

    return step


# -- functions that are steps of their own ----------------------------------------------------------------------------------------


def _empty() -> Step:
    def step(machine: Machine, _value: Json, _path: Path, _env: Env, _then: Then) -> State:
        return machine.backtrack()

    return step


def first_of(body: Step) -> Step:
    """``first(body)``: the first result; the others are never computed."""

    def found(machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        del machine.forks[cast("int", then[1]) :]
        return resume, value, path, None, then[3]

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return body, value, path, env, (found, len(machine.forks), None, then)

    return step


def last_of(body: Step) -> Step:
    """``last(body)``: the last result, if there is one."""

    def found(machine: Machine, value: Json, path: Path, then: Then) -> State:
        assert then is not None
        cast("list[object]", then[1])[:] = [(value, path)]
        return machine.backtrack()

    def finished(machine: Machine, _value: Json, _path: Path, env: Env, then: Then) -> State:
        assert env is not None
        results = cast("list[tuple[Json, Path]]", env[0])
        return (resume, results[0][0], results[0][1], None, then) if results else machine.backtrack()

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        results: list[object] = []
        machine.forks.append((finished, None, None, (results, None), then))
        return body, value, path, env, (found, results, None, then)

    return step


def is_empty(body: Step) -> Step:
    """``isempty(body)``: whether there is no result."""

    def found(machine: Machine, _value: Json, _path: Path, then: Then) -> State:
        assert then is not None
        height, path = cast("tuple[int, Path]", then[1])
        del machine.forks[height:]
        return resume, False, path, None, then[3]

    def step(machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        height = len(machine.forks)
        machine.forks.append((resume, True, path, None, then))
        return body, value, None, env, (found, (height, path), None, then)

    return step


def _range(begin: Step, end: Step, step_size: Step) -> Step:
    """``range``: numbers from one up or down to another."""

    def checked(_value: Json, found: list[Json]) -> Json:
        for number in found:
            if not is_number(number):
                raise not_applicable("range", number)
        return found

    def following(machine: Machine, number: Json, path: Path, env: Env, then: Then) -> State:
        assert env is not None
        assert then is not None
        last, size = cast("tuple[Json, Json]", env[0])
        if compare(size, 0) * compare(number, last) >= 0:
            return machine.backtrack()
        machine.forks.append((following, add(number, size), path, env, then))
        return then[0](machine, number, path, then)

    def with_bounds(_machine: Machine, found: Json, path: Path, then: Then) -> State:
        assert then is not None
        number, last, size = cast("list[Json]", found)
        return following, number, path, ((last, size), None), then[3]

    bounds = operands([begin, end, step_size], checked)

    def step(_machine: Machine, value: Json, path: Path, env: Env, then: Then) -> State:
        return bounds, value, path, env, (with_bounds, None, None, then)

    return step


SPECIAL: dict[tuple[str, int], Callable[..., Step]] = {
    ("empty", 0): _empty,
    ("path", 1): path_of,
    ("getpath", 1): get_path_step,
    ("first", 1): first_of,
    ("last", 1): last_of,
    ("isempty", 1): is_empty,
    ("_range", 3): _range,
}
"""Functions that steer the run instead of computing a value."""
