"""Python functions as templates: ``@flowcore.template`` makes one, and a run does its work in this process, typed on both sides.

``flowcore.running`` binds the functions of a workflow to its executor; ``flowcore.building`` writes workflows that use them.
"""

from __future__ import annotations

from flowcore.functions.declared import FunctionTemplate, template
from flowcore.functions.executor import FunctionExecutor

__all__ = ["FunctionExecutor", "FunctionTemplate", "template"]
