"""Starting a command in a forked process, and saying why it cannot be started as a container runtime would. Used by the minder."""

from __future__ import annotations

import errno
import os
import resource
import signal
from contextlib import suppress
from typing import NoReturn, cast

from flowcore_backends.local import namespaces
from flowcore_backends.local.wire import Message

_NOT_STARTED = 128


def start(order: Message, stdout: int, stderr: int) -> tuple[int | None, str]:
    """Start ``order``'s command in a session of its own; its process id, and why it could not be started."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        _become(order, stdout, stderr, writer)
    os.close(writer)
    with open(reader, "rb") as problem:  # noqa: PTH123 - a file number
        text = problem.read().decode(errors="replace")
    if text:
        with suppress(ChildProcessError):
            os.waitpid(process, 0)
    return process, text


def _become(order: Message, stdout: int, stderr: int, problem: int) -> NoReturn:
    """Turn this new process into the command; tell ``problem`` (closed by a successful exec) why not."""
    try:
        os.setsid()
        if not order["isolate"]:
            namespaces.die_with_parent(signal.SIGKILL)
        _plain_signals()
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((null, stdout, stderr)):
            os.dup2(source, target)
        os.dup2(problem, 3, inheritable=False)
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.umask(0o022)
        _change_folder(str(order["cwd"]))
        for name, amount in cast("dict[str, int]", order.get("limits") or {}).items():
            _, most = resource.getrlimit(getattr(resource, name))
            resource.setrlimit(getattr(resource, name), (amount, most))
        _execute(cast("list[str]", order["argv"]), cast("dict[str, str]", order["env"]))
    except BaseException as error:  # noqa: BLE001 - this process has nobody else to tell
        with suppress(OSError):
            os.write(3, str(error).encode(errors="replace")[:4000])
    finally:
        os._exit(_NOT_STARTED)


def _plain_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class StartError(Exception):
    """Why a container runtime would not start this command."""


def _change_folder(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise StartError(f'chdir to cwd ("{folder}") failed: {_reason(error)}') from error


def _execute(argv: list[str], environment: dict[str, str]) -> NoReturn:
    name = argv[0]
    found = False
    for candidate in _candidates(name, environment):
        try:
            os.execve(candidate, argv, environment)  # noqa: S606 - no shell is wanted
        except FileNotFoundError as error:
            if "/" in name:
                raise StartError(f'exec: "{name}": stat {name}: no such file or directory') from error
        except PermissionError:
            found = True
        except OSError as error:
            raise StartError(f"exec {candidate}: {_reason(error)}") from error
    raise StartError(f'exec: "{name}": {"permission denied" if found else "executable file not found in $PATH"}')


def _candidates(name: str, environment: dict[str, str]) -> list[str]:
    if "/" in name:
        return [name]
    return [f"{folder or '.'}/{name}" for folder in environment.get("PATH", os.defpath).split(":")]


def _reason(error: OSError) -> str:
    return {errno.ENOEXEC: "exec format error"}.get(error.errno or 0, (error.strerror or str(error)).lower())
