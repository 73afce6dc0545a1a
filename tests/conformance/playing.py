"""Plays cases: finds the player of each, holds it to its time, and spreads the work over processes.

Players are imported when their section is first played, so a part that is missing fails its own section only. A case that hangs is first
interrupted in its own process, then loses that process.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from tests.conformance.corpus import Case
from tests.conformance.scope import Rule, reason_for
from tests.conformance.verdicts import HangError, Mismatch, OutOfScope, PartMissing, Verdict

LIMIT_SECONDS = 20.0
GRACE_SECONDS = 5.0
MEMORY_BYTES = 4 << 30
PLAYERS = {
    "language": "languages",
    "oracle": "oracle",
    "expressions": "expressions",
    "util": "utilities",
    "validate": "validation",
    "examples": "examples",
    "controller": "controller",
    "e2e": "endtoend",
    "e2e-files": "endtoend_files",
}

Player = Callable[[Case], "Verdict | None"]


def player_for(case: Case, backend: str = "fake") -> Player:
    """The ``play`` function of the module that knows the case's format, and the backend."""
    player: Player = importlib.import_module(f"tests.conformance.{PLAYERS[case.kind] if backend == 'fake' else f'on_{backend}'}").play
    return player


def judge(case: Case, rules: Sequence[Rule] = (), limit: float = LIMIT_SECONDS, backend: str = "fake") -> Verdict:
    """Play one case in this process and say how it ended; never raises, never takes longer than ``limit`` seconds of Python code."""
    reason = reason_for(case, rules)
    if reason is not None:
        return Verdict("out_of_scope", reason)
    previous = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        return player_for(case, backend)(case) or Verdict("passed")
    except OutOfScope as error:
        return Verdict("out_of_scope", str(error))
    except Mismatch as error:
        return Verdict("failed", str(error), error.level)
    except (ImportError, PartMissing) as error:
        return Verdict("failed", f"part missing: {error}", "part missing")
    except HangError:
        return Verdict("failed", f"hangs: not done after {limit:.0f} s", "hang")
    except RecursionError as error:
        return Verdict("failed", _told(error, 2), "crash")
    except Exception as error:  # noqa: BLE001 - whatever a part raises is the case's failure
        return Verdict("failed", _told(error, 6), "crash")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _interrupt(_signal: int, _frame: object) -> None:
    raise HangError


def _told(error: Exception, frames: int) -> str:
    lines = [f"{type(error).__name__}: {error}"]
    for frame in reversed(traceback.extract_tb(error.__traceback__)[-frames:]):
        lines.append(f"  at {frame.filename}:{frame.lineno} {frame.name}: {frame.line}")
    return "\n".join(lines)


# --- many cases -------------------------------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    index: int = -1
    deadline: float = 0.0


def play_all(
    cases: Sequence[Case], rules: Sequence[Rule], *, jobs: int = 2, limit: float = LIMIT_SECONDS, backend: str = "fake"
) -> Iterator[tuple[Case, Verdict]]:
    """Play ``cases`` on ``jobs`` processes; yields as they end. A process that does not answer in time is ended and replaced."""
    todo = iter(range(len(cases)))
    workers: list[_Worker] = []
    try:
        for _ in range(max(1, min(jobs, len(cases)))):
            worker = _spawn(cases, rules, limit, backend)
            if _give(worker, todo, limit):
                workers.append(worker)
            else:
                _end(worker)
        while workers:
            for position, verdict in _answers(workers, limit):
                worker = workers[position]
                yield cases[worker.index], verdict
                if worker.process.exitcode is not None or verdict.level == "lost":
                    _end(worker)
                    workers[position] = worker = _spawn(cases, rules, limit, backend)
                _give(worker, todo, limit)
            for worker in [worker for worker in workers if worker.index < 0]:
                _end(worker)
                workers.remove(worker)
    finally:
        for worker in workers:
            _end(worker)


def _answers(workers: list[_Worker], limit: float) -> Iterator[tuple[int, Verdict]]:
    ready = wait([worker.pipe for worker in workers], timeout=1.0)
    for position, worker in enumerate(workers):
        if worker.pipe in ready:
            try:
                yield position, worker.pipe.recv()
            except (EOFError, ConnectionResetError):
                yield position, Verdict("failed", "the process that played the case died (memory or stack)", "lost")
        elif time.monotonic() > worker.deadline:
            yield position, Verdict("failed", f"hangs: not done after {limit + GRACE_SECONDS:.0f} s", "lost")


def _spawn(cases: Sequence[Case], rules: Sequence[Rule], limit: float, backend: str) -> _Worker:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(cases, rules, limit, backend, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, todo: Iterator[int], limit: float) -> bool:
    worker.index = next(todo, -1)
    worker.deadline = time.monotonic() + limit + GRACE_SECONDS
    if worker.index >= 0:
        worker.pipe.send(worker.index)
    return worker.index >= 0


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _work(cases: Sequence[Case], rules: Sequence[Rule], limit: float, backend: str, pipe: Connection) -> None:
    _bound_memory()
    gc.freeze()
    while True:
        try:
            index = pipe.recv()
        except EOFError:
            return
        pipe.send(judge(cases[index], rules, limit, backend))


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # not on this platform; the time limit stays
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    bound = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
