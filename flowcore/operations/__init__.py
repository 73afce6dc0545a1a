"""What can be done with recorded runs, as pure functions of rows and document: retry, resubmit, fork, import and export.

Services and the command line load a run, call one of these, and record what comes of it; the engine is then opened on the new rows.
"""

from __future__ import annotations

from flowcore.operations.exchange import export_run, import_run
from flowcore.operations.fork import fork
from flowcore.operations.resubmit import resubmit
from flowcore.operations.retry import Retried, retry

__all__ = ["Retried", "export_run", "fork", "import_run", "resubmit", "retry"]
