"""The sprig functions: Go's results, Go's messages, nothing changed, nothing unbounded."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr.values import type_name
from flowcore.language.sprig import SPRIG, sources

Call = Callable[..., object]
NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)


def call(function: str, *arguments: object) -> object:
    return SPRIG[function](*arguments)


@pytest.mark.parametrize(
    "function, arguments, expected",
    [
        ("trim", (" \u00a0x\n",), "x"),
        ("trimAll", ("$", "$5$"), "5"),
        ("nospace", ("a b\tc",), "abc"),
        ("title", ("hello wOrld-x",), "Hello WOrld-X"),
        ("untitle", ("Hello World",), "hello world"),
        ("upper", ("straße",), "STRAßE"),
        ("swapcase", ("This Is aB",), "tHIS iS Ab"),
        ("initials", ("First Second",), "FS"),
        ("trunc", (5, "hello world"), "hello"),
        ("trunc", (-5, "hello world"), "world"),
        ("substr", (1, 3, "hello"), "el"),
        ("abbrev", (5, "hello world"), "he..."),
        ("abbrevboth", (5, 10, "1234 5678 9123"), "...5678..."),
        ("wrap", (5, "hello big world"), "hello\nbig\nworld"),
        ("wrapWith", (3, "|", "abcdefgh"), "abc|def|gh"),
        ("plural", ("one", "many", 1), "one"),
        ("indent", (2, "a\nb"), "  a\n  b"),
        ("cat", ("a", None, 1, True), "a 1 true"),
        ("quote", ('a"b', None, 2), '"a\\"b" "2"'),
        ("snakecase", ("HTTP20xOK",), "http_20x_ok"),
        ("snakecase", ("Bld4Floor3rd",), "bld4_floor_3rd"),
        ("kebabcase", ("FirstName two",), "first-name-two"),
        ("camelcase", ("_complex__case_",), "_Complex_Case_"),
        ("splitList", ("", "abc"), ["a", "b", "c"]),
        ("split", (".", "a.b"), {"_0": "a", "_1": "b"}),
        ("splitn", (".", 2, "a.b.c"), {"_0": "a", "_1": "b.c"}),
        ("join", ("-", [1, None, "x", 2.5]), "1-x-2.5"),
        ("sortAlpha", (["c", "a"],), ["a", "c"]),
        ("b64dec", ("aGk=",), "hi"),
        ("b64dec", ("aGk",), "illegal base64 data at input byte 0"),
        ("b64dec", ("a*==",), "illegal base64 data at input byte 1"),
        ("b32dec", (SPRIG["b32enc"]("héllo"),), "héllo"),
        ("adler32sum", ("abc",), "38600999"),
        ("clean", ("a/../b//c/./..",), "b"),
        ("dir", ("/a/b/c",), "/a/b"),
        ("ext", ("a.tar.gz",), ".gz"),
        ("base", ("/a/b/",), "b"),
    ],
)
def test_texts(function: str, arguments: tuple[object, ...], expected: object) -> None:
    assert call(function, *arguments) == expected


@pytest.mark.parametrize(
    "function, arguments, expected",
    [
        ("add", ("1", 2, 3.9), 6),
        ("sub", (5, 7), -2),
        ("div", (-7, 2), -3),
        ("mod", (-7, 2), -1),
        ("mul", (2**62, 4), 0),
        ("add1", (2**63 - 1,), -(2**63)),
        ("int", ("0x1F",), 31),
        ("int", ("12.00",), 12),
        ("int", ("nope",), 0),
        ("toDecimal", ("755",), 493),
        ("max", (1, "9", 3), 9),
        ("addf", (0.1, 0.2), 0.3),
        ("divf", (10, 4, 2), 1.25),
        ("mulf", (1.1, 1.1), 1.21),
        ("subf", (4.5, 1, 3), 0.5),
        ("floor", ("1.9",), 1.0),
        ("round", (123.5555, 3), 123.556),
        ("until", (3,), [0, 1, 2]),
        ("untilStep", (9, 1, -3), [9, 6, 3]),
        ("seq", (2, 2, 7), "2 4 6"),
        ("seq", (-2,), "1 0 -1 -2"),
    ],
)
def test_numbers(function: str, arguments: tuple[object, ...], expected: object) -> None:
    found = call(function, *arguments)
    assert found == expected
    assert isinstance(found, type(expected))


@pytest.mark.parametrize(
    "function, arguments, expected",
    [
        ("first", ([],), None),
        ("rest", ([1, 2, 3],), [2, 3]),
        ("initial", ([1, 2, 3],), [1, 2]),
        ("reverse", ([1, 2],), [2, 1]),
        ("compact", ([0, 1, "", "a", None, []],), [1, "a"]),
        ("uniq", ([1, 1.0, True, "1", [1], [1]],), [1, 1.0, True, "1", [1]]),
        ("without", ([1, 2, {"a": 1}], 2, {"a": 1}), [1]),
        ("has", (1, [True, 1.0]), False),
        ("slice", ([1, 2, 3], 1, "2"), [2]),
        ("chunk", (2, [1, 2, 3]), [[1, 2], [3]]),
        ("concat", ([1], [2, [3]]), [1, 2, [3]]),
        ("dict", ("a", 1, 2), {"a": 1, "2": ""}),
        ("get", ({"a": 1}, "b"), ""),
        ("pick", ({"a": 1, "b": 2}, "b", "c"), {"b": 2}),
        ("omit", ({"a": 1, "b": 2}, "b"), {"a": 1}),
        ("pluck", ("a", {"a": 1}, {"b": 2}), [1]),
        ("dig", ("a", "b", "none", {"a": {"b": 1}}), 1),
        ("dig", ("a", "x", "none", {"a": {"b": 1}}), "none"),
        ("merge", ({"a": {"x": 1}, "b": ""}, {"a": {"x": 2, "y": 3}, "b": "c", "d": None}), {"a": {"x": 1, "y": 3}, "b": "c"}),
        ("mergeOverwrite", ({"a": {"x": 1}, "b": 1}, {"a": {"x": 2}, "b": ""}), {"a": {"x": 2}, "b": ""}),
        ("default", ("d", 0), "d"),
        ("coalesce", (0, "", "x"), "x"),
        ("ternary", ("a", "b", False), "b"),
        ("fromJson", ('{"a":1}',), {"a": 1.0}),
        ("fromJson", ("{",), None),
        ("toJson", ({"b": "<", "a": [1, 2.5]},), '{"a":[1,2.5],"b":"\\u003c"}'),
        ("toRawJson", ("<",), '"<"'),
        ("typeOf", ([1],), "[]interface {}"),
        ("kindOf", (None,), "invalid"),
        ("kindIs", ("slice", []), True),
        ("deepEqual", ({"a": [1]}, {"a": [1]}), True),
        ("deepEqual", (1, 1.0), False),
    ],
)
def test_lists_and_maps(function: str, arguments: tuple[object, ...], expected: object) -> None:
    assert call(function, *arguments) == expected


def test_what_is_given_stays_as_it_was() -> None:
    members: dict[str, object] = {"a": {"b": 1}}
    items: list[object] = [1]
    assert call("set", members, "c", 2) == {"a": {"b": 1}, "c": 2}
    assert call("unset", members, "a") == {}
    call("mergeOverwrite", members, {"a": {"b": 2}})
    call("append", items, 2)
    assert (members, items) == ({"a": {"b": 1}}, [1])


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        ("upper", (), "invalid number of arguments: expected 1, got 0"),
        ("default", (), "invalid number of arguments: expected at least 1, got 0"),
        ("trunc", ("3", "abc"), "reflect: Call using string as type int"),
        ("pick", ({}, 1), "reflect: cannot use int as type string in Call"),
        ("get", ([], "a"), "reflect: Call using []interface {} as type map[string]interface {}"),
        ("fail", ("boom",), "boom"),
        ("div", (1, 0), "runtime error: integer divide by zero"),
        ("divf", (1, 0), "decimal division by 0"),
        ("repeat", (-1, "a"), "strings: negative Repeat count"),
        ("substr", (-1, 9, "abc"), "runtime error: slice bounds out of range [:9] with length 3"),
        ("first", ("abc",), "Cannot find first on type string"),
        ("first", (None,), "runtime error: invalid memory address or nil pointer dereference"),
        ("slice", ([1], 2), "reflect.Value.Slice: slice index out of bounds"),
        ("chunk", (0, [1]), "runtime error: makeslice: len out of range"),
        ("dig", ("a", 1), "dig needs at least three arguments"),
        ("dig", ("a", "b", "d", {"a": 1}), "interface conversion: interface {} is int, not map[string]interface {}"),
        ("mustFromJson", ("[1,",), "unexpected end of JSON input"),
        ("mustRegexMatch", ("(", "x"), "error parsing regexp: missing closing ): `(`"),
        ("regexFind", ("(", "x"), "regexp: Compile(`(`): error parsing regexp: missing closing ): `(`"),
        ("semver", ("x",), "invalid semantic version"),
        ("mustDateModify", ("x", NOON), 'time: invalid duration "x"'),
        ("urlParse", ("http://[::1",), "unable to parse url: parse \"http://[::1\": missing ']' in host"),
        ("randInt", (5, 5), "invalid argument to Intn"),
        ("derivePassword", (1, "pin", "p", "u", "s"), "reflect: Call using int as type uint32"),
    ],
)
def test_messages(function: str, arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        call(function, *arguments)
    assert caught.value.message == message


def test_what_is_left_out_is_the_zero_of_its_type() -> None:
    assert call("upper", None) == ""
    assert call("trunc", None, "abc") == ""
    assert call("get", None, "a") == ""
    assert re.fullmatch("[0-9]{4}", str(call("derivePassword", None, "pin", "password", "user", "site")))


@pytest.mark.parametrize(
    "function, arguments",
    [
        ("repeat", (1_000_000_000, "a")),
        ("indent", (1_000_000_000, "a")),
        ("untilStep", (0, 1_000_000_000, 1)),
        ("until", (1 << 62,)),
        ("seq", (0, 1, 1 << 62)),
        ("replace", ("", "x" * 100_000, "y" * 1000)),
        ("randAlpha", (1_000_000_000,)),
        ("randBytes", (1_000_000_000,)),
        ("regexReplaceAll", ("a", "a" * 10_000, "b" * 10_000)),
        ("join", ("x" * 1_000_000, ["a"] * 100)),
        ("wrapWith", (1, "x" * 1_000_000, "a" * 1000)),
    ],
)
def test_nothing_grows_without_bounds(function: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(LimitExceeded):
        call(function, *arguments)


@pytest.mark.parametrize("name", ["env", "expandenv", "getHostByName"])
def test_nothing_looks_outside(name: str) -> None:
    assert name not in SPRIG


@pytest.mark.parametrize(
    "constraint, version, expected",
    [
        ("^1.2.3", "1.9.0", True),
        ("^0.2.3", "0.3.0", False),
        ("^0.0.3", "0.0.4", False),
        ("~1.2", "1.2.9", True),
        ("~1", "2.0.0", False),
        (">=1.2, <3 || 5.x", "5.1.0", True),
        ("1 - 2", "1.5.0", True),
        ("!=1.x", "1.4.0", False),
        (">1.2", "1.2.9", False),
        ("<=1.2", "1.2.9", True),
        ("*", "0.0.1", True),
        (">=1.0.0", "1.1.0-rc.1", False),
        (">=1.1.0-beta.2", "1.1.0-beta.11", True),
        ("1.2.3", "v1.2.3+build", True),
    ],
)
def test_version_constraints(constraint: str, version: str, expected: bool) -> None:
    assert call("semverCompare", constraint, version) is expected


@pytest.mark.parametrize(
    "url",
    ["http://user:p%20w@host:80/a%20b?q=1#f", "mailto:x@y", "/a/b", "proto://[::1]:80/x", "//host/p", "x"],
)
def test_urls_come_together_as_they_were(url: str) -> None:
    parts = call("urlParse", url)
    assert call("urlJoin", parts) == url


def test_dates_by_a_given_clock() -> None:
    with sources(clock=lambda: NOON):
        assert call("date", "2006-01-02", None) == "2024-03-10"
        assert call("dateInZone", "15:04 MST", call("now"), "Asia/Tokyo") == "21:00 JST"
        assert call("ago", call("dateModify", "-90s", NOON)) == "1m30s"
        assert call("durationRound", call("dateModify", "-49h", NOON)) == "2d"
    assert call("dateInZone", "2006", 0, "No/Where") == "1970"
    assert call("unixEpoch", call("toDate", "2006-01-02", "1970-01-02")) == "86400"
    assert str(call("toDate", "2006", "x")) == "0001-01-01 00:00:00 +0000 UTC"
    assert call("duration", call("int64", 3661)) == "1h1m1s"
    assert call("durationRound", "2400h5s") == "3mo"


def test_chance_by_a_given_source() -> None:
    def draw() -> list[object]:
        with sources(chance=random.Random(7)):
            return [call("randAlphaNum", 8), call("uuidv4"), call("shuffle", "abcdef"), call("randBytes", 3), call("randInt", 1, 100)]

    assert draw() == draw()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", str(call("uuidv4")))


def test_secrets() -> None:
    from flowcore.language.sprig.secrets import derive_password

    assert derive_password(1, "long", "password", "user", "example.com") == "ZedaFaxcZaso9*"
    assert call("derivePassword", None, "nope", "", "", "") == "cannot find password template nope"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr("flowcore.language.sprig.secrets.import_module", missing)
    for function, arguments in (("bcrypt", ("x",)), ("encryptAES", ("k", "x")), ("genCA", ("name", 1)), ("genPrivateKey", ("ecdsa",))):
        with pytest.raises(ExpressionError, match=r"install flowcore\[crypto\]"):
            call(function, *arguments)


def test_certificates() -> None:
    pytest.importorskip("cryptography")
    key = call("genPrivateKey", "ecdsa")
    authority = call("genCAWithKey", "ca", 1, key)
    signed = call("genSignedCertWithKey", "host", ["1.2.3.4"], ["a.b"], 1, authority, key)
    assert type_name(signed) == "sprig.certificate"
    assert isinstance(signed, dict)
    assert call("buildCustomCert", call("b64enc", signed["Cert"]), call("b64enc", key)) == signed


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 2**65) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
_QUICK = sorted(set(SPRIG) - {"bcrypt", "htpasswd", "derivePassword", "genPrivateKey", "genCA", "genSelfSignedCert", "genSignedCert"})


@given(st.sampled_from(_QUICK), st.lists(_VALUES, max_size=4))
def test_any_call_gives_a_value_or_a_clear_error(function: str, arguments: list[object]) -> None:
    try:
        call(function, *arguments)
    except ExpressionError as error:
        assert error.message
