"""Without a private view: which templates are refused, and how the others still find their files.

Files that lie in the command's working directory are no trouble. Other absolute paths are everybody's on this machine, so they are refused
unless ``allow_shared_paths`` is set; then volumes and input artifacts appear there as symbolic links for as long as the node runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flowcore.errors import ExecutorError
from flowcore_backends.container_paths import within
from flowcore_backends.local.layout import Mount
from flowcore_backends.local.options import LocalOptions
from flowcore_backends.local.pod import OURS, ContainerPlan, PodPlan


def check(pod: PodPlan, options: LocalOptions) -> None:
    """Raise ExecutorError, naming the paths, for a template that needs paths of its own."""
    if options.allow_shared_paths:
        return
    declared = {path for plan in pod.containers for path in _declared(plan) if not within(path, plan.working_dir)}
    if declared:
        raise ExecutorError(
            f"this machine gives the local backend no private view of the file system, and the template declares paths that all nodes would share: "
            f"{', '.join(sorted(declared))}; declare paths relative to the working directory, run on Linux with user namespaces, use another "
            f"backend, or accept the sharing with LocalExecutor(allow_shared_paths=True)"
        )


def _declared(plan: ContainerPlan) -> list[str]:
    return [*(mount.path for mount in plan.mounts if mount.path not in OURS), *plan.outputs]


@contextmanager
def shown(pod: PodPlan, *, isolated: bool) -> Iterator[None]:
    """Without a view, let volumes and artifacts be found at their paths while the pod runs. Raises ExecutorError if something is there."""
    made: list[Path] = []
    try:
        if not isolated:
            mounts = {mount.path: mount for plan in pod.containers for mount in plan.mounts if mount.path not in OURS}
            for mount in mounts.values():
                _link(mount, made)
        yield
    finally:
        for place in made:
            with suppress(OSError):
                place.unlink()


def _link(mount: Mount, made: list[Path]) -> None:
    place = Path(mount.path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(mount.source)
        made.append(place)
    except FileExistsError as error:
        raise ExecutorError(
            f"{place} is already there, on a machine whose paths are shared by all nodes; remove it or declare another path"
        ) from error
    except OSError as error:
        raise ExecutorError(f"{place} cannot be made on this machine: {error}") from error
