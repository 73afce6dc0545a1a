"""Whether this machine gives processes a private view of the file system: found out once for each launcher, by trying."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from flowcore.errors import ExecutorError
from flowcore_backends.local.layout import Layout, Machine
from flowcore_backends.local.options import Isolation
from flowcore_backends.local.process import Launcher


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether views are private, whether that takes a user namespace, and, if they are not, why."""

    isolated: bool
    user_namespace: bool = False
    why_not: str = ""


_found: WeakKeyDictionary[Launcher, Capability] = WeakKeyDictionary()


async def find_capability(launcher: Launcher, machine: Machine, wanted: Isolation) -> Capability:
    """What ``launcher`` can do. Raises ExecutorError if isolation is ``required`` and not to be had."""
    if wanted == "off":
        return Capability(isolated=False, why_not="it is switched off")
    if launcher not in _found:
        _found[launcher] = await _find(launcher, machine)
    found = _found[launcher]
    if wanted == "required" and not found.isolated:
        raise ExecutorError(
            f"LocalExecutor(isolation='required'), but this machine gives no private view of the file system: {found.why_not}"
        )
    return found


async def _find(launcher: Launcher, machine: Machine) -> Capability:
    first_choice = not hasattr(os, "geteuid") or os.geteuid() != 0
    reasons = []
    for user_namespace in sorted({first_choice, True}):
        try:
            await _try(launcher, machine, user_namespace=user_namespace)
            return Capability(isolated=True, user_namespace=user_namespace)
        except ExecutorError as error:
            reasons.append(str(error))
    return Capability(isolated=False, why_not=reasons[0])


async def _try(launcher: Launcher, machine: Machine, *, user_namespace: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="flowcore-trial-") as folder:
        view = Layout(machine, Path(folder, "over")).draw()
        order: dict[str, object] = {"argv": [], "isolate": True, "user": user_namespace, "root": folder, "view": view}
        number = os.open(os.devnull, os.O_WRONLY)
        try:
            container = await launcher.start(order, number, number)
        finally:
            os.close(number)
        try:
            await container.wait_started()
        finally:
            container.close()
