"""Structured logs: ``RunLog`` tells the standard logging module of runs and nodes, ``JsonLines`` writes records as one JSON object a line.

Every record carries what it is about as attributes (``workflow``, ``namespace``, ``node``, ``phase`` ...), so that any handler or formatter can
use them. Runs are told at INFO under the logger ``flowcore.runs``, nodes at DEBUG, failed ones at WARNING.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from flowcore.audience import Change, NodeChanged, Observed, RunChanged, Tell
from flowcore.nodes import Node, Phase, RunRow

_log = logging.getLogger("flowcore.runs")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class RunLog:
    """An observer that writes phases of runs and nodes to the log."""

    def watch(self, run: Observed) -> Tell:
        """Tell of one run from now on."""
        row = run.row
        _log.info("run %s is driven", row.name, extra=_of_run(row))
        phase = row.phase

        def tell(change: Change) -> None:
            nonlocal phase
            if isinstance(change, NodeChanged):
                if change.previous is None or change.previous.phase is not change.node.phase:
                    _tell_node(row, change.node)
            elif isinstance(change, RunChanged) and change.run.phase is not phase:
                phase = change.run.phase
                _log.info("run %s: %s%s", row.name, phase, _after(change.run.message), extra=_of_run(change.run))

        return tell


def _tell_node(row: RunRow, node: Node) -> None:
    level = logging.WARNING if node.phase in (Phase.FAILED, Phase.ERROR) else logging.DEBUG
    if _log.isEnabledFor(level):
        about = {
            **_of_run(row),
            "node": node.id,
            "node_name": node.name,
            "node_type": str(node.type),
            "template": node.template_name,
            "phase": str(node.phase),
        }
        _log.log(level, "node %s: %s%s", node.name, node.phase, _after(node.message), extra=about)


def _of_run(row: RunRow) -> dict[str, str]:
    return {"workflow": row.name, "namespace": row.namespace, "uid": row.uid, "phase": str(row.phase)}


def _after(message: str) -> str:
    return f" ({message})" if message else ""


class JsonLines(logging.Formatter):
    """Writes each record as one line of JSON: time, level, logger, message, and all attributes that the record was given beyond the standard ones."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


__all__ = ["JsonLines", "RunLog"]
