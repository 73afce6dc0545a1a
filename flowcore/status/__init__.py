"""Rows to Argo's status JSON and back: what ``kubectl get workflow -o json`` shows, and what can be carried on from.

``workflow_with_status`` writes, ``rows_from_status`` reads. The command line, results of runs and services use both.
"""

from __future__ import annotations

from flowcore.status.progress import progress_of
from flowcore.status.reading import rows_from_status
from flowcore.status.writing import children_of, workflow_with_status

__all__ = ["children_of", "progress_of", "rows_from_status", "workflow_with_status"]
