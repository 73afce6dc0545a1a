"""Documents on standard output: JSON, YAML or just names, for programs to read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import cast

from flowcore import yaml
from flowcore.jsontypes import Json, JsonObject, object_of, text_of


class Output(StrEnum):
    """What ``--output`` takes."""

    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def write(documents: Sequence[JsonObject], output: Output) -> None:
    """Write the documents to standard output: one as itself, several as a List, as kubectl does."""
    for text in texts(documents, output):
        sys.stdout.write(text)
    sys.stdout.flush()


class Listing(StrEnum):
    """What ``--output`` of lists takes."""

    TABLE = "table"
    WIDE = "wide"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


def write_list(documents: Sequence[JsonObject], output: Listing) -> None:
    """Write a list of documents, of whatever length, as a List; or their names."""
    if output is Listing.NAME:
        write(documents, Output.NAME)
    else:
        write([_listed(documents)], Output(output))


def write_table(rows: Sequence[Sequence[str]], what: str) -> None:
    """Write rows, the first of which has the headings, in columns; that there is nothing of ``what`` is told beside."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        sys.stdout.write("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    sys.stdout.flush()
    if len(rows) == 1:
        sys.stderr.write(f"there is no {what}\n")


def texts(documents: Sequence[JsonObject], output: Output) -> Iterator[str]:
    """The text that is written, in pieces."""
    if output is Output.NAME:
        for document in documents:
            yield text_of(object_of(document, "metadata"), "name") + "\n"
        return
    whole = documents[0] if len(documents) == 1 else _listed(documents)
    if output is Output.YAML:
        yield yaml.write(whole)
    else:
        yield json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _listed(documents: Sequence[JsonObject]) -> JsonObject:
    return {"apiVersion": "v1", "kind": "List", "items": cast("list[Json]", list(documents))}


__all__ = ["Listing", "Output", "texts", "write", "write_list", "write_table"]
