"""What must not be shown of a run: values of Secrets, and of parameters that an annotation marks as sensitive.

``Mask`` knows the values of one run and puts marks in their place; ``references`` finds the Secrets that templates name; ``sealing`` keeps the
values out of stores and puts them back when a run is driven on. The runner, results, services and the command line use it.
"""

from __future__ import annotations

from flowcore.secrecy.mask import NOTHING, SENSITIVE_PARAMETERS, Mask, sensitive_names
from flowcore.secrecy.references import learn_secrets
from flowcore.secrecy.sealing import OpenedRun, SealedCache, SealedStore, Vault, opened_run, sealed_run, with_values

__all__ = [
    "NOTHING",
    "SENSITIVE_PARAMETERS",
    "Mask",
    "OpenedRun",
    "SealedCache",
    "SealedStore",
    "Vault",
    "learn_secrets",
    "opened_run",
    "sealed_run",
    "sensitive_names",
    "with_values",
]
