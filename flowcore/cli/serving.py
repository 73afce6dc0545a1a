"""``flowcore serve``: a service over a store, with its metrics and its log."""

from __future__ import annotations

import logging
import re
import signal
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import anyio
import typer

from flowcore.artifacts import FolderArtifacts
from flowcore.catalogs import FolderCatalog
from flowcore.cli.backends import executors_named, host_among, surroundings
from flowcore.cli.forgetting import length_of
from flowcore.cli.problems import exits_cleanly
from flowcore.driving import single_error
from flowcore.errors import UsageError
from flowcore.observing import JsonLines
from flowcore.observing.serving import address_of, serve_metrics
from flowcore.ports import Cache, Catalog
from flowcore.service import Service
from flowcore.stores import open_store, state_folder

_PASSWORD = re.compile(r"(//[^:/@]*):[^/@]*@")


class LogFormat(StrEnum):
    """What ``--log-format`` takes."""

    TEXT = "text"
    JSON = "json"


def serve(
    backend: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]BACKEND",
            help="What runs the leaves; several may be given. A template runs on the one that its annotation flowcore.dev/executor names, else "
            "on one that is called like its kind (http=local), else on the first.  [default: auto]",
        ),
    ] = None,
    backend_option: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME:]OPTION=VALUE", help="An option of a backend, with its name before it if there are several."),
    ] = None,
    template: Annotated[list[Path] | None, typer.Option("--template", metavar="PATH", help="Shared templates.")] = None,
    resource: Annotated[list[Path] | None, typer.Option("--resource", metavar="PATH", help="ConfigMaps and Secrets.")] = None,
    parallelism: Annotated[int | None, typer.Option(metavar="NUMBER", min=1, help="How many runs at once.")] = None,
    namespace_parallelism: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="How many runs of one namespace at once.")
    ] = None,
    archive: Annotated[
        bool, typer.Option("--archive", help="Archive runs that ttlStrategy or a history limit would delete, instead of deleting them.")
    ] = False,
    archive_ttl: Annotated[
        str | None, typer.Option(metavar="DURATION", help="With --archive: how long archived runs are kept, such as 180d; else for good.")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="[HOST:]PORT", help="Show Prometheus metrics at http://HOST:PORT/metrics; without a host, here only."),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="How the log is written to standard error; json is one object a line.")
    ] = LogFormat.TEXT,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="Where runs are recorded: sqlite:///FILE or postgresql://... Also FLOWCORE_STORE."),
    ] = None,
) -> int:
    """Run what is submitted, and what the schedules say, until Ctrl-C or SIGTERM. Runs that are under way then go on with the next `serve`."""
    if archive_ttl is not None and not archive:
        raise UsageError("--archive-ttl says how long archived runs are kept: give --archive too")
    kept_for = length_of(archive_ttl, "--archive-ttl") if archive_ttl is not None else None
    catalog = FolderCatalog([*(template or ()), *(resource or ())])
    address = address_of(metrics) if metrics is not None else None
    executors = executors_named(backend or ["auto"], backend_option or ())
    host = host_among(executors)

    async def serving(reachable: Catalog, cache: Cache | None) -> None:
        opened = open_store(store)
        artifacts = FolderArtifacts(state_folder() / "artifacts")
        service = Service(
            opened,
            executors if len(executors) > 1 else host,
            reachable,
            artifacts=artifacts,
            parallelism=parallelism,
            namespace_parallelism=namespace_parallelism,
            cache=cache,
            archive=archive,
            archive_ttl=kept_for,
        )
        try:
            await _serve(service, address)
        finally:
            with anyio.CancelScope(shield=True):
                await opened.close()

    _write_log(log_format)
    on = f" on {', '.join(executors)}" if len(executors) > 1 else ""
    logging.getLogger("flowcore").info("serving %s%s; Ctrl-C ends it", _PASSWORD.sub(r"\1@", store or "the default store"), on)
    try:
        with surroundings(host, catalog) as surrounding:
            anyio.run(serving, *surrounding)
    except KeyboardInterrupt:
        return 0
    return 0


async def _serve(service: Service, address: tuple[str, int] | None) -> None:
    """Work until somebody wants it to end, and show metrics beside it. Raises FlowError."""
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_when_told, tasks.cancel_scope)
            if address is not None:
                port = await tasks.start(serve_metrics, service.metrics.text, *address)
                logging.getLogger("flowcore").info("metrics at http://%s:%s/metrics", address[0], port)
            await service.serve()
    except BaseExceptionGroup as group:
        raise single_error(group) from None


async def _end_when_told(work: anyio.CancelScope) -> None:
    """Look away from what is under way when Ctrl-C is pressed or the system asks; a second time it ends on the spot."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for told in signals:
            logging.getLogger("flowcore").info("ending (%s); what is under way goes on with the next serve", signal.Signals(told).name)
            break
    work.cancel()


def _write_log(kind: LogFormat) -> None:
    """Write what flowcore tells the standard logging module to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if kind is LogFormat.JSON else _TextLines("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("flowcore")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _TextLines(logging.Formatter):
    """Lines for people, with times as in JSON."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the standard library's name
        """The time of the record, to the second."""
        return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def install(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("serve")(exits_cleanly(serve))


__all__ = ["install"]
