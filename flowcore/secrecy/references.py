"""Which Secrets a document names, and the values behind them. Called for the spec of a run and for each invocation whose template names one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from flowcore.jsontypes import Json, JsonObject, object_of, text_of
from flowcore.ports import Catalog
from flowcore.secrecy.mask import Mask

Reference = tuple[str, str]  # the name of a Secret and a key of it; an empty key means all of them


def references(value: Json) -> Iterator[Reference]:
    """The Secrets that ``value`` refers to: ``secretKeyRef``, ``secretRef``, volumes, and the ``...Secret`` fields of artifacts."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict):
                yield from _reference(key, item)
            yield from references(item)


def _reference(key: str, item: JsonObject) -> Iterator[Reference]:
    name = text_of(item, "name")
    if key == "secretKeyRef" or key.endswith("Secret"):
        if name:
            yield name, text_of(item, "key")
    elif key in ("secretRef", "secret"):
        whole = text_of(item, "secretName") or name
        if whole:
            yield whole, ""


def learn_secrets(mask: Mask, value: Json, catalog: Catalog, namespace: str) -> None:
    """Have ``mask`` know the values of all Secrets that ``value`` refers to and that are there."""
    for name, key in set(references(value)):
        learn_secret(mask, name, key, catalog, namespace)


def learn_secret(mask: Mask, name: str, key: str, catalog: Catalog, namespace: str) -> None:
    """The same for one Secret; an empty key means all of its keys."""
    secret = catalog.get("Secret", name, namespace)
    if secret is None:
        return
    plain, data = object_of(secret, "stringData"), object_of(secret, "data")
    for each in [key] if key else dict.fromkeys([*plain, *data]):
        text = text_of(plain, each) or _decoded(text_of(data, each))
        mask.learn(text, "secret", f"{name}/{each}")


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):  # bytes that are no text are not printed as text either
        return ""


__all__ = ["learn_secret", "learn_secrets", "references"]
