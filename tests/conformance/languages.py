"""The language tables: each row is put to flowcore's own implementation of that language."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flowcore.errors import FlowError
from tests.conformance.corpus import Case
from tests.conformance.values import as_words, decode, plain, read_time, same, same_in_any_order
from tests.conformance.verdicts import PartMissing, check_error, differ, shown

Row = Mapping[str, Any]


def play(case: Case) -> None:
    """Put one row to its language."""
    player = _LANGUAGES.get(case.section)
    if player is None:
        raise PartMissing(f"no player for the language {case.section}")
    player(case.data)


def asked(call: Callable[[], Any]) -> tuple[Any, FlowError | None]:
    """What a call gave, or the error it was refused with; only flowcore's own errors are answers."""
    try:
        return call(), None
    except FlowError as error:
        return None, error


def _expect(row: Row, got: Any, error: FlowError | None, where: str, *, agree: Callable[[Any, Any], bool] = same) -> None:
    if "error" in row:
        check_error(row["error"], error, where)
        return
    check_error(None, error, where)
    wanted = decode(row["expect"])
    if not agree(wanted, got):
        differ(wanted, got, where)


# --- expr -------------------------------------------------------------------------------------------------------------------------


def _expr(row: Row) -> None:
    from flowcore.language.expressions import compile_expression

    source = row["expression"]
    environment = decode(row["env"])
    mode = row.get("mode")
    got, error = asked(lambda: compile_expression(source).evaluate(environment, **_mode(mode)))
    expect = row["expect"]
    if isinstance(expect, dict) and expect.keys() == {"error"}:
        check_error(expect["error"], error, source)
        _check_place(row, source, error)
        return
    check_error(None, error, source)
    wanted = decode(expect)
    if not same(wanted, got, strict=True):
        differ(wanted, got, f"{source}   with {shown(row['env'])}" + (f" ({mode})" if mode else ""))


def _mode(mode: str | None) -> dict[str, Any]:
    return {"mode": mode} if mode else {}


def _check_place(row: Row, source: str, error: Any) -> None:
    stage = getattr(error, "stage", None)
    if "stage" in row and stage != row["stage"]:
        differ(
            f"an error when the expression is {_STAGES[row['stage']]}: {row['expect']}",
            f"when it is {_STAGES.get(stage or '', stage)}: {error}",
            source,
        )
    if "at" in row:
        at = getattr(error, "at", None)
        place = None if at is None else [source.count("\n", 0, at) + 1, at - (source.rfind("\n", 0, at) + 1) + 1]
        if place != row["at"]:
            differ({"at": row["at"], "error": row["expect"]["error"]}, {"at": place, "error": str(error)}, source)


_STAGES = {"compile": "compiled", "run": "run"}


# --- govaluate --------------------------------------------------------------------------------------------------------------------


def _govaluate(row: Row) -> None:
    from flowcore.language.govaluate import evaluate

    got, error = asked(lambda: evaluate(row["expression"], decode(row["parameters"])))
    _expect(row, got, error, f"{row['expression']}   with {shown(row['parameters'])}")
    _as_when(row)


def _as_when(row: Row) -> None:
    from flowcore.language.when import evaluate_when

    argo = row["argo"]
    got, error = asked(lambda: evaluate_when(row["expression"]))
    where = f"as a `when`: {row['expression']}"
    if "error" in argo:
        check_error(argo["error"], error, where)
    elif isinstance(argo["value"], bool):
        check_error(None, error, where)
        if got is not argo["value"]:
            differ(argo["value"], got, where)
    elif error is None:
        differ("an error: a `when` must be true or false", got, where)


# --- sprig ------------------------------------------------------------------------------------------------------------------------


def _sprig(row: Row) -> None:
    from flowcore.language.sprig import SPRIG

    where = f"{row['function']}({', '.join(shown(argument) for argument in row['args'])})"
    if row["function"] not in SPRIG:
        check_error(row.get("error", False), _without_function(row["function"]), where)
        return
    got, error = asked(lambda: _call(SPRIG, row["function"], row["args"]))
    if "error" in row:
        check_error(row["error"], error, where)
        return
    check_error(None, error, where)
    if "shape" in row:
        _check_shape(row["shape"], got, where)
    if "length" in row and (0 if got is None else len(got)) != row["length"]:
        differ({"length": row["length"]}, got, where)
    if "expect" in row and not row.get("expect_text_only") and not same(decode(row["expect"]), got, strict=True):
        differ(decode(row["expect"]), got, where)
    if "text" in row and row.get("expect_text_only"):
        _check_text(row["text"], got, where)


def _call(table: Mapping[str, Callable[..., Any]], function: str, arguments: list[Any]) -> Any:
    values = []
    for argument in arguments:
        if isinstance(argument, dict) and "$call" in argument:
            inner = argument["$call"]
            values.append(_call(table, inner["function"], inner["args"]))
        else:
            values.append(decode(argument))
    return table[function](*values)


def _without_function(name: str) -> FlowError | None:
    """The error of an expression that calls a sprig function which there is not."""
    from flowcore.language.argo_functions import ARGO_FUNCTIONS
    from flowcore.language.expressions import compile_expression

    return asked(lambda: compile_expression(f"sprig.{name}(1)").evaluate({}, functions=ARGO_FUNCTIONS))[1]


def _check_text(wanted: str, got: Any, where: str) -> None:
    from flowcore.language.expressions import go_text

    if go_text(got) != wanted:
        differ(wanted, go_text(got), where)


def _check_shape(shape: Row, got: Any, where: str) -> None:
    low, high = shape.get("integer_range", (None, None))
    agrees = {
        "length": lambda: len(got) == shape["length"],
        "matches": lambda: re.search(shape["matches"], got) is not None,
        "integer_range": lambda: isinstance(got, int) and low <= got <= high,
        "same_letters_as": lambda: sorted(got) == sorted(shape["same_letters_as"]),
        "kind": lambda: isinstance(plain(got), datetime) if shape["kind"] == "time" else True,
    }
    for key in shape:
        if not agrees[key]():
            differ({key: shape[key]}, got, where)


# --- the others -------------------------------------------------------------------------------------------------------------------


def _cron(row: Row) -> None:
    from flowcore.language.cron import parse_schedule

    where = f"{row['schedule']!r} after {row['after']}"
    got, error = asked(lambda: _activations(parse_schedule, row))
    if "error" in row:
        check_error(row["error"], error, where)
        return
    check_error(None, error, where)
    wanted = [None if text is None else read_time(text) for text in row.get("next") or ()]
    if got[: len(wanted)] != wanted:
        differ(row["next"], [None if at is None else at.isoformat() for at in got], where)
    if row.get("not_next") and got and got[0] == read_time(row["not_next"]):
        differ(f"anything but {row['not_next']}", got[0].isoformat(), where)


def _activations(parse_schedule: Callable[..., Any], row: Row) -> list[datetime | None]:
    schedule = parse_schedule(row["schedule"], row["timezone"] or "", seconds=bool(row.get("seconds_field")))
    found: list[datetime | None] = []
    at = read_time(row["after"]) if row["after"] else None
    for _ in range(len(row.get("next") or ()) or 1):
        if at is None:
            break
        at = schedule.next_after(at)
        found.append(at)
    return found


def _jsonpath_k8s(row: Row) -> None:
    from flowcore.language.kubectl_jsonpath import evaluate

    got, error = asked(lambda: evaluate(row["expr"], row["input"], allow_missing=bool(row.get("allow_missing_keys"))))
    agree = (lambda a, b: as_words(a) == as_words(b)) if row.get("any_order") else same
    _expect(row, got, error, f"{row['expr']}   on {shown(row['input'])}", agree=agree)


def _jsonpath(row: Row) -> None:
    from flowcore.language.jsonpath import jsonpath

    got, error = asked(lambda: jsonpath(row["input"], row["expr"]))
    _expect(row, got, error, f"{row['expr']}   on {row['input']}", agree=same_in_any_order if row.get("any_order") else same)


def _gjson(row: Row) -> None:
    from flowcore.language.gjson import get

    got, error = asked(lambda: get(row["input"], row["expr"]))
    where = f"{row['expr']}   on {row['input']}"
    check_error(None, error, where)
    came = {"exists": got.exists, "string": got.string, "type": got.kind}
    wanted = {key: row["expect"][key] for key in came if key in row["expect"]}
    if wanted != {key: came[key] for key in wanted}:
        differ(wanted, came, where)


def _jq(row: Row) -> None:
    from flowcore.language import jq

    value = json.loads(row["input"])
    results, error = asked(lambda: jq.run(row["expr"], value))
    where = f"{row['expr']}   on {row['input']}"
    check_error(row.get("error"), error, where)
    if error is not None and "expect" in row:
        results = _jq_results_before_error(row["expr"], value)
    if "expect" in row:
        printed = [json.loads(jq.encode(result)) for result in results]
        if not same(row["expect"], printed):
            differ(row["expect"], printed, where)


def _jq_results_before_error(program: str, value: Any) -> list[Any]:
    """What came before the failure: the public function does not give it, as Argo has no use for it."""
    from flowcore.language import jq

    results: list[Any] = []
    with contextlib.suppress(jq.JqFailure), jq.metered():
        results.extend(jq.Machine().results(jq._compile(program), value))
    return results


def _labelselector(row: Row) -> None:
    from flowcore.language.selectors import parse_selector

    where = f"{row['expr']}   on {shown(row['input'])}"
    got, error = asked(lambda: parse_selector(row["expr"]))
    check_error(row.get("error"), error, where)
    if error is None:
        answer = {"expect": got.matches(row["input"]), "canonical": str(got)}
        if answer != {key: row[key] for key in answer}:
            differ({key: row[key] for key in answer}, answer, where)


def _fasttemplate(row: Row) -> None:
    from flowcore.language.delimited import fill

    got, error = asked(
        lambda: fill(
            row["template"], row["start"], row["end"], row["values"], keep_unknown=row["unknown"] == "keep", strict=row["strict_unclosed"]
        )
    )
    _expect(row, got, error, f"{row['template']!r} between {row['start']} and {row['end']}")


_LANGUAGES: dict[str, Callable[[Row], None]] = {
    "expr": _expr,
    "govaluate": _govaluate,
    "sprig": _sprig,
    "cron": _cron,
    "jsonpath_k8s": _jsonpath_k8s,
    "jsonpath": _jsonpath,
    "gjson": _gjson,
    "jq": _jq,
    "labelselector": _labelselector,
    "fasttemplate": _fasttemplate,
}
