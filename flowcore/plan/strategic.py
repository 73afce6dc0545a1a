"""Kubernetes's strategic merge of JSON trees: objects field by field, lists item by item where a merge key is declared.

``strategic_patch`` is the full thing with its directives (``$patch``, ``$retainKeys``, ``$setElementOrder/...``,
``$deleteFromPrimitiveList/...``), for ``podSpecPatch``. ``overlay`` merges two documents, in which an absent, null or empty member says
nothing. Neither changes what it is given. Used by ``plan.merge`` and the Kubernetes backend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flowcore.errors import InvalidWorkflow
from flowcore.jsontypes import Json, JsonObject
from flowcore.plan.merge_keys import POD_SPEC, Shape

_DIRECTIVE: Final = "$patch"
_RETAIN_KEYS: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_DELETE_FROM: Final = "$deleteFromPrimitiveList/"
_DEEPEST: Final = 200


def strategic_patch(target: JsonObject, patch: JsonObject, shape: Shape = POD_SPEC) -> JsonObject:
    """``target`` with ``patch`` applied, null members deleting. Raises InvalidWorkflow for a patch that is not well formed."""
    return _Merger(directives=True).objects(target, patch, shape, 0)


def overlay(below: JsonObject, above: JsonObject, shape: Shape) -> JsonObject:
    """``below`` with the members of ``above`` merged over it. Raises InvalidWorkflow where a list item lacks its merge key."""
    return _Merger(directives=False).objects(below, above, shape, 0)


@dataclass(frozen=True, slots=True)
class _Merger:
    directives: bool

    def objects(self, original: JsonObject, patch: JsonObject, shape: Shape, depth: int) -> JsonObject:
        if depth > _DEEPEST:
            raise InvalidWorkflow(f"cannot merge: objects are nested more than {_DEEPEST} levels deep")
        order: dict[str, list[Json]] = {}
        if self.directives:
            if _DIRECTIVE in patch:
                return _directed(patch)
            original, patch, order = _prepared(original, patch)
        result = dict(original)
        for key, value in patch.items():
            self._member(result, key, value, shape, depth)
        for key, wanted in order.items():
            items = result.get(key)
            if isinstance(items, list):
                result[key] = _reordered(items, wanted, _items(original, key), shape.lists.get(key, ("", shape))[0])
        return result

    def _member(self, result: JsonObject, key: str, value: Json, shape: Shape, depth: int) -> None:
        if self.directives and key.startswith(_DELETE_FROM):
            _delete_values(result, key.removeprefix(_DELETE_FROM), value)
            return
        if value is None:
            if self.directives:
                result.pop(key, None)
            return
        present = result.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            result[key] = self.objects(present, value, shape.of(key), depth + 1)
        elif isinstance(present, list) and isinstance(value, list) and (key in shape.lists or not (value or self.directives)):
            merge_key, items = shape.lists.get(key, ("", shape))
            result[key] = self._lists(present, value, merge_key, items, depth + 1) if value else present
        elif self.directives and _is_directive(value):
            result.pop(key, None)
        else:
            result[key] = _cleaned(value) if self.directives else value

    def _lists(self, original: list[Json], patch: list[Json], key: str, shape: Shape, depth: int) -> list[Json]:
        if not key:
            return _ordered(_united(original, patch), patch, original, key)
        if self.directives:
            original, patch = _without_directives(original, patch, key)
        places = {_key_of(item, key): place for place, item in enumerate(original)}
        merged = list(original)
        for item in patch:
            place = places.get(_key_of(item, key))
            if place is None:
                places[_key_of(item, key)] = len(merged)
                merged.append(item)
            else:
                merged[place] = self.objects(_object(merged[place]), _object(item), shape, depth)
        return _ordered(merged, patch, original, key)


def _directed(patch: JsonObject) -> JsonObject:
    directive = patch[_DIRECTIVE]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    raise InvalidWorkflow(f"unknown patch type: {directive!r}: {_DIRECTIVE} is replace or delete")


def _prepared(original: JsonObject, patch: JsonObject) -> tuple[JsonObject, JsonObject, dict[str, list[Json]]]:
    """Take the directives about keys and order out of ``patch``, and apply the first."""
    order = {key.removeprefix(_ORDER): _list(value, key) for key, value in patch.items() if key.startswith(_ORDER)}
    retained = patch.get(_RETAIN_KEYS)
    rest: JsonObject = {key: value for key, value in patch.items() if key != _RETAIN_KEYS and not key.startswith(_ORDER)}
    if retained is None:
        return original, rest, order
    kept = _list(retained, _RETAIN_KEYS)
    strangers = [key for key, value in rest.items() if value is not None and not key.startswith("$") and key not in kept]
    if strangers:
        raise InvalidWorkflow(f"invalid patch format of retainKeys: {', '.join(strangers)} is set but not in the list")
    return {key: value for key, value in original.items() if key in kept}, rest, order


def _without_directives(original: list[Json], patch: list[Json], key: str) -> tuple[list[Json], list[Json]]:
    """Carry out ``$patch: delete`` and ``$patch: replace`` items of a patch list."""
    plain: list[Json] = []
    replaced = False
    for item in patch:
        directive = _object(item).get(_DIRECTIVE)
        if directive is None:
            plain.append(item)
        elif directive == "delete":
            gone = _key_of(item, key)
            original = [other for other in original if _object(other).get(key) != gone]
        elif directive == "replace":
            replaced = True
        else:
            raise InvalidWorkflow(f"unknown patch type: {directive!r}: {_DIRECTIVE} of a list item is replace or delete")
    return (plain, []) if replaced else (original, plain)


def _ordered(merged: list[Json], patch: list[Json], original: list[Json], key: str) -> list[Json]:
    """Items of the patch in the patch's order; the others go before the first item of the patch that followed them in the original."""
    patched = {_identity(item, key): place for place, item in enumerate(patch)}
    live = {_identity(item, key): place for place, item in enumerate(original)}
    ours = sorted((item for item in merged if _identity(item, key) in patched), key=lambda item: patched[_identity(item, key)])
    theirs = [item for item in merged if _identity(item, key) not in patched]
    result: list[Json] = []
    passed = 0
    for item in ours:
        place = live.get(_identity(item, key))
        while passed < len(theirs) and place is not None and live.get(_identity(theirs[passed], key), place) < place:
            result.append(theirs[passed])
            passed += 1
        result.append(item)
    result.extend(theirs[passed:])
    return result


def _reordered(items: list[Json], wanted: list[Json], original: list[Json], key: str) -> list[Json]:
    """``items`` with those that ``wanted`` lists in its order."""
    return _ordered(items, wanted, original, key)


def _is_directive(value: Json) -> bool:
    return isinstance(value, dict) and _DIRECTIVE in value


def _cleaned(value: Json) -> Json:
    """A value that is new in the target: without null members, and without objects that are mere directives."""
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items() if item is not None and not _is_directive(item)}
    if isinstance(value, list):
        return [_cleaned(item) for item in value if not _is_directive(item)]
    return value


def _united(original: list[Json], patch: list[Json]) -> list[Json]:
    result: list[Json] = []
    for item in [*original, *patch]:
        if item not in result:
            result.append(item)
    return result


def _delete_values(result: JsonObject, key: str, values: Json) -> None:
    present = result.get(key)
    if isinstance(present, list):
        gone = _list(values, key)
        result[key] = [item for item in present if item not in gone]


def _identity(item: Json, key: str) -> Json:
    if not key and isinstance(item, dict | list):
        raise InvalidWorkflow(f"cannot merge lists without merge key: {_shown(item)} is not a plain value")
    return _key_of(item, key) if key else item


def _key_of(item: Json, key: str) -> str | int | float | bool | None:
    value = _object(item).get(key)
    if value is None or isinstance(value, dict | list):
        raise InvalidWorkflow(f"cannot merge lists: {_shown(item)} does not contain declared merge key: {key}")
    return value


def _shown(item: Json) -> str:
    text = repr(item)
    return text if len(text) < 200 else text[:200] + "..."


def _object(item: Json) -> JsonObject:
    if not isinstance(item, dict):
        raise InvalidWorkflow(f"cannot merge lists: {_shown(item)} is not an object")
    return item


def _list(value: Json, key: str) -> list[Json]:
    if not isinstance(value, list):
        raise InvalidWorkflow(f"invalid patch: {key} is not a list")
    return value


def _items(holder: JsonObject, key: str) -> list[Json]:
    value = holder.get(key)
    return value if isinstance(value, list) else []
