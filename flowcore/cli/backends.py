"""The executors that the command line names: which one ``auto`` is, with what options it is made, and what it brings along."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from flowcore.cli.inputs import options_of
from flowcore.errors import MissingBackend, UsageError
from flowcore.executors import EMBEDDED, executor_class
from flowcore.jsontypes import Json
from flowcore.ports import Cache, Catalog, Executor, HostExecutor, Watched

_PREFERRED = ("docker", EMBEDDED)  # what `auto` takes: the first of these that is installed and usable here


def executor_named(name: str, *, stubs: Path | None = None, options: Mapping[str, Json] | None = None, **settings: object) -> Executor:
    """The executor called ``name`` (``auto``: Docker where an engine answers, else the embedded default; which one is told), made with its own ``options`` and those of ``settings`` that it knows.

    ``stubs`` is a file for executors that can be scripted. Raises MissingBackend when there is none of that name or when it cannot be
    loaded, and UsageError for stubs and options that the executor has no use for.
    """
    make = executor_class(_chosen() or name if name == "auto" else name)
    given = _known(make, settings) | dict(options or {})
    if stubs is not None:
        from_stubs = getattr(make, "from_stubs", None)
        if from_stubs is None:
            raise UsageError(f"--stubs: the backend {name!r} cannot be scripted; --backend fake can")
        make = partial(from_stubs, stubs)
    try:
        return make(**given)
    except TypeError as error:
        if not options:
            raise
        raise UsageError(f"--backend-option: the backend {name!r} does not take this: {error}") from error


def executors_named(names: Sequence[str], options: Sequence[str]) -> dict[str, Executor]:
    """Several executors by what they are called: ``docker``, or ``big=docker`` for another name; ``options`` are ``name=value`` texts, before which
    stands whose they are (``big:claims.data=/srv``) if there are several. Raises UsageError and MissingBackend.
    """
    backends: dict[str, str] = {}
    for name in names:
        called, sign, backend = name.partition("=")
        if not called or (sign and not backend):
            raise UsageError(f"--backend {name}: write the name of a backend, or NAME=BACKEND to call it otherwise")
        if called in backends:
            raise UsageError(
                f"--backend {name}: there is one called {called!r} already; give this one another name: --backend NAME={called}"
            )
        backends[called] = backend or called
    given: dict[str, list[str]] = {called: [] for called in backends}
    for text in options:
        called, option = _whose(text, backends)
        given[called].append(option)
    return {called: executor_named(backend, options=options_of(given[called])) for called, backend in backends.items()}


def _whose(text: str, backends: Mapping[str, str]) -> tuple[str, str]:
    """Whose an option is, and the option."""
    called, colon, option = text.partition(":")
    if colon and called in backends:
        return called, option
    if len(backends) > 1:
        raise UsageError(f"--backend-option {text}: say whose it is: {' or '.join(f'{called}:{text}' for called in backends)}")
    return next(iter(backends)), text


def host_among(executors: Mapping[str, Executor]) -> Executor:
    """The first executor that has documents and caches of its own (a cluster), else the first of all."""
    return next((each for each in executors.values() if isinstance(each, HostExecutor)), next(iter(executors.values())))


@contextmanager
def surroundings(executor: Executor, catalog: Catalog) -> Iterator[tuple[Catalog, Cache | None]]:
    """The catalog and the cache of runs on ``executor``: what the backend has of its own comes after ``catalog``; None is no cache of its own."""
    if not isinstance(executor, HostExecutor):
        yield catalog, None
        return
    held = executor.catalog(catalog)
    try:
        yield held, executor.cache()
    finally:
        held.close()


def shown(executor: Executor, run: Watched) -> AbstractAsyncContextManager[None]:
    """Show a run to others where the backend can."""
    return executor.shown(run) if isinstance(executor, HostExecutor) else nullcontext()


def _chosen() -> str | None:
    """What ``auto`` takes. An executor may have a function ``usable_here`` that says whether it can run something on this machine."""
    for name in _PREFERRED:
        if _is_usable(name):
            sys.stderr.write(f"flowcore: running on the {name} backend\n")
            return name
    return None


def _is_usable(name: str) -> bool:
    try:
        usable_here = getattr(executor_class(name), "usable_here", None)
    except MissingBackend:
        return False
    return usable_here is None or bool(usable_here())


def _known(make: Callable[..., object], settings: dict[str, object]) -> dict[str, object]:
    """Those of ``settings`` that ``make`` takes; what is None was not given."""
    takes = inspect.signature(make).parameters
    return {name: value for name, value in settings.items() if name in takes and value is not None}


__all__ = ["executor_named", "executors_named", "host_among", "shown", "surroundings"]
