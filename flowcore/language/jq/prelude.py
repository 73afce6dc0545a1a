"""The built-in functions of jq that are written in jq. Looked up by ``compiler``."""

from __future__ import annotations

from functools import lru_cache

from flowcore.language.jq.nodes import Node
from flowcore.language.jq.parser import Parser

_SOURCE = r"""
def map(f): [.[] | f];
def map_values(f): .[] |= f;
def add(f): reduce f as $item (null; . + $item);
def select(f): if f then . else empty end;
def in(container): . as $key | container | has($key);
def env: $ENV;

def recurse(f): def down: ., (f | down); down;
def recurse: recurse(.[]?);
def recurse(f; keep): recurse(f | select(keep));
def while(test; next): def on: if test then ., (next | on) else empty end; on;
def until(test; next): def on: if test then . else (next | on) end; on;
def repeat(f): def again: f, again; again;
def range($last): _range(0; $last; 1);
def range($first; $last): _range($first; $last; 1);
def range($first; $last; $step): _range($first; $last; $step);

def to_entries: [keys[] as $key | {$key, value: .[$key]}];
def with_entries(f): to_entries | map(f) | from_entries;
def walk(f): def deep: (if type == "array" then map(deep) elif type == "object" then map_values(deep) else . end) | f; deep;
def combinations: if length == 0 then [] else .[0][] as $head | [$head] + (.[1:] | combinations) end;
def combinations($count): [limit($count; repeat(.))] | combinations;

def min_by(f): _min_by(map([f]));
def max_by(f): _max_by(map([f]));
def sort_by(f): _sort_by(map([f]));
def group_by(f): _group_by(map([f]));
def unique_by(f): _unique_by(map([f]));

def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type == "array" or type == "object");
def scalars: select(type != "array" and type != "object");
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def nulls: select(type == "null");
def values: select(type != "null");
def finites: select(isfinite);
def normals: select(isnormal);

def first: .[0];
def last: .[-1];
def nth($at): .[$at];
def nth($at; f): if $at < 0 then error("nth doesn't support negative index") else first(skip($at; f)) end;
def limit($count; f):
  if $count < 0 then error("limit doesn't support negative count")
  elif $count == 0 then empty
  else label $enough | foreach f as $item (0; . + 1; $item, if . >= $count then break $enough else empty end)
  end;
def skip($count; f):
  if $count < 0 then error("skip doesn't support negative count")
  elif $count == 0 then f
  else foreach f as $item (0; . + 1; if . > $count then $item else empty end)
  end;
def any(f; test): isempty(f | test | select(.)) | not;
def any(test): any(.[]; test);
def any: any(.);
def all(f; test): isempty(f | test | select(not));
def all(test): all(.[]; test);
def all: all(.);

def paths: path(..) | select(length > 0);
def paths(keep): path(.. | select(keep)) | select(length > 0);
def del(f): delpaths([path(f)]);
def pick(f): . as $whole | reduce path(f) as $at (null; setpath($at; $whole | getpath($at)));
def tostream: _events[];
def truncate_stream(f): . as $depth | null | f | select((.[0] | length) > $depth) | .[0] |= .[$depth:];
def fromstream(f):
  foreach f as $event (null;
    (if .closed then null else . end)
    | .closed = (($event[0] | length) == 2 - ($event | length))
    | if $event | length == 2 then setpath(["tree"] + $event[0]; $event[1]) else . end;
    if .closed then .tree else empty end);

def match($pattern; $flags): _match($pattern; $flags; false)[];
def match($pattern): match($pattern; null);
def test($pattern; $flags): _match($pattern; $flags; true);
def test($pattern): test($pattern; null);
def capture($pattern; $flags): match($pattern; $flags) | _captured;
def capture($pattern): capture($pattern; null);
def scan($pattern; $flags): match($pattern; $flags + "g") | if .captures == [] then .string else [.captures[].string] end;
def scan($pattern): scan($pattern; null);
def split($pattern; $flags): _pieces([match($pattern; $flags + "g")]);
def splits($pattern; $flags): split($pattern; $flags)[];
def splits($pattern): splits($pattern; null);
def sub($pattern; replacement; $flags): [match($pattern; $flags)] as $found | _replaced($found; [$found[] | _captured | [replacement]])[];
def sub($pattern; replacement): sub($pattern; replacement; null);
def gsub($pattern; replacement; $flags): sub($pattern; replacement; $flags + "g");
def gsub($pattern; replacement): sub($pattern; replacement; "g");

def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%S%z") | mktime;
def todate: todateiso8601;
def fromdate: fromdateiso8601;

def INDEX(f; key): reduce f as $row ({}; .[$row | key | tostring] = $row);
def INDEX(key): INDEX(.[]; key);
def JOIN($index; key): [.[] | [., $index[key]]];
def JOIN($index; f; key): f | [., $index[key]];
def JOIN($index; f; key; merged): f | [., $index[key]] | merged;
def IN(f): . as $one | any(f; . == $one);
def IN(f; others): any(f; IN(others));
"""


@lru_cache(maxsize=1)
def _definitions() -> dict[tuple[str, int], tuple[tuple[str, ...], Node]]:
    return {(name, len(parameters)): (parameters, body) for name, parameters, body in Parser(_SOURCE).definitions()}


def prelude_definition(key: tuple[str, int]) -> tuple[tuple[str, ...], Node] | None:
    """Parameters and body of a function by its name and number of parameters, or None."""
    return _definitions().get(key)


def prelude_names() -> list[tuple[str, int]]:
    """The functions that are defined here."""
    return list(_definitions())
