"""Commands on shared documents of a store: ``template`` and ``cron``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from flowcore.cli.inputs import documents_of
from flowcore.cli.linting import lint_files
from flowcore.cli.operating import Format, InNamespace, Namespace, StoreUrl, with_runs
from flowcore.cli.output import Listing, Output, write, write_list, write_table
from flowcore.cli.problems import exits_cleanly
from flowcore.errors import InvalidWorkflow, UsageError
from flowcore.jsontypes import JsonObject, object_of, strings_of, text_of
from flowcore.plan.validate import validate
from flowcore.service import Runs
from flowcore.service.cron import active_of, backfill_times, last_scheduled, name_of, next_time
from flowcore.service.documents import put_shared
from flowcore.service.submission import child_of

Files = Annotated[list[str], typer.Argument(metavar="FILE", help="YAML or JSON files; - is standard input.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the document.")]
ListFormat = Annotated[Listing, typer.Option("--output", "-o", help="How the list is printed.")]
_TEMPLATES = ("WorkflowTemplate", "ClusterWorkflowTemplate", "ConfigMap", "Secret", "WorkflowEventBinding")
_CRON = ("CronWorkflow",)


def _create(kinds: tuple[str, ...]) -> Callable[..., int]:
    def create(files: Files, namespace: InNamespace = None, store: StoreUrl = None) -> int:
        """Keep documents in the store, in place of those of the same name."""
        documents = documents_of(files)
        wrong = sorted({document.kind for document in documents if document.kind not in kinds})
        if wrong or not documents:
            raise UsageError(f"these files hold {', '.join(wrong) or 'nothing'}; wanted are {', '.join(kinds)}")

        async def act(runs: Runs) -> list[str]:
            for document in documents:
                problems = validate(document.model, catalog=runs.catalog) if document.model is not None else []
                errors = [document.placed(problem) for problem in problems if problem.severity == "error"]
                if errors:
                    raise InvalidWorkflow(errors)
            return [f"{document.kind}/{await put_shared(runs.store, document.json, namespace or 'default')}" for document in documents]

        for name in with_runs(store, act):
            typer.echo(f"{name} created")
        return 0

    return create


def _get(kinds: tuple[str, ...]) -> Callable[..., int]:
    def get(name: Name, namespace: Namespace = None, output: Format = None, store: StoreUrl = None) -> int:
        """Print a document of the store."""
        write([with_runs(store, lambda runs: _found(runs, kinds, name, namespace))], output or Output.YAML)
        return 0

    return get


def _delete(kinds: tuple[str, ...]) -> Callable[..., int]:
    def delete(name: Name, namespace: Namespace = None, store: StoreUrl = None) -> int:
        """Forget a document of the store."""

        async def act(runs: Runs) -> None:
            found = await _found(runs, kinds, name, namespace)
            await runs.store.delete_document(text_of(found, "kind"), name, _space(found))

        with_runs(store, act)
        typer.echo(f"{name} deleted")
        return 0

    return delete


async def _found(runs: Runs, kinds: tuple[str, ...], name: str, namespace: str | None) -> JsonObject:
    found = [each for kind in kinds for each in await runs.store.documents(kind, name=name)]
    found = [each for each in found if namespace is None or _space(each) in ("", namespace)]
    if not found:
        command = "cron" if "CronWorkflow" in kinds else "template"
        raise UsageError(f"the store has no {' or '.join(kinds[:2])} {name!r}: flowcore {command} list shows which there are")
    if len(found) > 1:
        raise UsageError(f"there are {len(found)} of that name; say which --namespace: {', '.join(sorted(_space(each) for each in found))}")
    return found[0]


def _space(document: JsonObject) -> str:
    return "" if document.get("kind") == "ClusterWorkflowTemplate" else text_of(object_of(document, "metadata"), "namespace") or "default"


def list_templates(namespace: Namespace = None, output: ListFormat = Listing.TABLE, store: StoreUrl = None) -> int:
    """List the templates of the store."""

    async def act(runs: Runs) -> list[JsonObject]:
        return [each for kind in _TEMPLATES[:2] for each in await runs.store.documents(kind)]

    found = [each for each in with_runs(store, act) if namespace is None or _space(each) in ("", namespace)]
    rows = [(name_of(each), _space(each), text_of(each, "kind")) for each in found]
    if output in (Listing.TABLE, Listing.WIDE):
        write_table([("NAME", "NAMESPACE", "KIND"), *rows], "template")
    else:
        write_list(found, output)
    return 0


def lint_templates(files: Files) -> int:
    """Check templates without keeping them. Exits with 2 if something is wrong."""
    return lint_files(files, templates=(), resources=(), strict=False)


def list_crons(namespace: Namespace = None, output: ListFormat = Listing.TABLE, store: StoreUrl = None) -> int:
    """List the CronWorkflows of the store, and when they run next."""
    documents = with_runs(store, lambda runs: runs.store.documents("CronWorkflow", namespace=namespace))
    if output not in (Listing.TABLE, Listing.WIDE):
        write_list(documents, output)
        return 0
    head = ("NAME", "NAMESPACE", "NEXT RUN", "LAST RUN", "ACTIVE", "SUSPENDED", "SCHEDULES")
    write_table([head, *map(_cron_row, documents)], "CronWorkflow")
    return 0


def _cron_row(cron: JsonObject) -> tuple[str, ...]:
    spec = object_of(cron, "spec")
    times = [f"{at:%Y-%m-%d %H:%M:%SZ}" if at else "-" for at in (next_time(cron, datetime.now(UTC)), last_scheduled(cron))]
    suspended = "yes" if spec.get("suspend") else "no"
    return (name_of(cron), _space(cron), *times, str(len(active_of(cron))), suspended, ", ".join(strings_of(spec, "schedules")))


def _suspend(value: bool) -> Callable[..., int]:
    def suspend(name: Name, namespace: Namespace = None, store: StoreUrl = None) -> int:
        """Suspend a CronWorkflow, or resume it."""

        async def act(runs: Runs) -> None:
            found = await _found(runs, _CRON, name, namespace)
            changed: JsonObject = {**found, "spec": {**object_of(found, "spec"), "suspend": value}}
            await runs.store.put_document("CronWorkflow", name, _space(found), changed)

        with_runs(store, act)
        typer.echo(f"{name} {'suspended' if value else 'resumed'}")
        return 0

    return suspend


def backfill(
    name: Name,
    start: Annotated[str, typer.Option(metavar="TIME", help="From then on, such as 2024-01-01T00:00:00Z.")],
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Up to then; now, if it is not given.")] = None,
    argument: Annotated[str, typer.Option("--argname", metavar="NAME", help="The parameter that gets the time.")] = "cronScheduleTime",
    parallel: Annotated[bool, typer.Option("--parallel", help="Let the runs go at the same time.")] = False,
    namespace: Namespace = None,
    store: StoreUrl = None,
) -> int:
    """Submit the runs that a CronWorkflow would have made in the past."""
    first, last = _time(start, "--start"), _time(end, "--end") if end else datetime.now(UTC)

    async def act(runs: Runs) -> int:
        cron = await _found(runs, _CRON, name, namespace)
        times = backfill_times(cron, first, last)
        for at in times:
            child = child_of(cron, at)
            spec = object_of(child, "spec")
            if not parallel:
                lock: JsonObject = {"mutexes": [{"name": f"backfill-{name}"}]}
                child = {**child, "spec": {**spec, "synchronization": spec.get("synchronization") or lock}}
            given = {argument: at.isoformat()}
            await runs.submit(child, parameters=given, name=f"{name}-backfill-{int(at.timestamp())}", namespace=_space(cron))
        return len(times)

    typer.echo(f"{with_runs(store, act)} runs submitted: flowcore serve runs them")
    return 0


def _time(text: str, option: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: write a time such as 2024-01-01T00:00:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def install(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    template = typer.Typer(
        name="template", help="Templates, ConfigMaps and Secrets that the store keeps for all runs.", no_args_is_help=True
    )
    cron = typer.Typer(name="cron", help="Workflows that run by the clock, while flowcore serve runs.", no_args_is_help=True)
    for group, kinds in ((template, _TEMPLATES), (cron, _CRON)):
        for name, command in (("create", _create(kinds)), ("get", _get(kinds)), ("delete", _delete(kinds))):
            group.command(name)(exits_cleanly(command))
    template.command("list")(exits_cleanly(list_templates))
    template.command("lint")(exits_cleanly(lint_templates))
    cron.command("list")(exits_cleanly(list_crons))
    cron.command("suspend", help="Make no more runs until it is resumed.")(exits_cleanly(_suspend(True)))
    cron.command("resume", help="Make runs again.")(exits_cleanly(_suspend(False)))
    cron.command("backfill")(exits_cleanly(backfill))
    app.add_typer(template)
    app.add_typer(cron)


__all__ = ["install"]
