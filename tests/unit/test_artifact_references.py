"""Where an artifact that is named by another lies: sub-paths below keys and URLs."""

from __future__ import annotations

from typing import Any

import pytest

from flowcore.errors import ExpressionError
from flowcore.language.scope import Scope
from flowcore.plan.artifacts import resolve_artifact


@pytest.mark.parametrize(
    ("source", "sub_path", "where"),
    [
        ({"s3": {"key": "a/b"}}, "c", {"s3": {"key": "a/b/c"}}),
        ({"s3": {"key": "a", "bucket": "x"}}, "/{{sub}}/e", {"s3": {"key": "a/d/e", "bucket": "x"}}),
        ({"azure": {"blob": "a/"}}, "c", {"azure": {"blob": "a/c"}}),
        ({"http": {"url": "https://example.com"}}, "a/b", {"http": {"url": "https://example.com/a/b"}}),
        ({"http": {"url": "https://example.com/x?y=1"}}, "a", {"http": {"url": "https://example.com/x/a?y=1"}}),
        ({"artifactory": {"url": "http://host:81/some/path"}}, "{{sub}}", {"artifactory": {"url": "http://host:81/some/path/d"}}),
        ({"raw": {"data": "x"}, "optional": True}, "c", {"raw": {"data": "x"}, "optional": True}),
    ],
)
def test_a_sub_path_is_put_after_the_key(source: Any, sub_path: str, where: Any) -> None:
    scope = Scope({"steps.a.outputs.artifacts.x": {"name": "x", **source}, "sub": "d"})
    assert resolve_artifact({"from": "{{steps.a.outputs.artifacts.x}}", "subPath": sub_path}, scope) == {"name": "x", **where}


@pytest.mark.parametrize("source", [{"raw": {"data": "x"}}, {"http": {"url": "http://[oops"}}])
def test_what_has_no_key_has_no_sub_path(source: Any) -> None:
    with pytest.raises(ExpressionError, match=r"key unsupported|cannot be read"):
        resolve_artifact({"from": "{{a}}", "subPath": "b"}, Scope({"a": source}))
