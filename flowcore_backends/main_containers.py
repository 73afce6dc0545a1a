"""The main containers of a pod template: of a container or script template there is one, called ``main``.

Used by the backends that run containers themselves.
"""

from __future__ import annotations

from datetime import timedelta

from flowcore.errors import ExecutorError, ExpressionError
from flowcore.language.quantities import parse_duration
from flowcore.models.containers import Container
from flowcore.models.templates import Template

MAIN = "main"


def main_containers(template: Template, backend: str) -> list[Container]:
    """The main containers in the template's order, with the mounts that a set has for all. Raises ExecutorError for a template without any."""
    if template.container_set is not None:
        shared = template.container_set.volume_mounts
        return [node.model_copy(update={"volume_mounts": [*node.volume_mounts, *shared]}) for node in template.container_set.containers]
    only = template.script or template.container
    if only is None:
        raise ExecutorError(f"the {backend} backend cannot run templates of the type {template.template_type}")
    return [only.model_copy(update={"name": MAIN})]


def retries_of(template: Template) -> tuple[int, timedelta]:
    """How often a container of a set is run again, and after which pause. Raises ExecutorError for a number or duration that is none."""
    strategy = template.container_set.retry_strategy if template.container_set is not None else None
    if strategy is None or strategy.retries is None:
        return 0, timedelta(0)
    try:
        return max(0, int(strategy.retries)), parse_duration(strategy.duration) if strategy.duration else timedelta(0)
    except (ValueError, ExpressionError) as error:
        raise ExecutorError(f"containerSet.retryStrategy of template {template.name}: {error}") from error
