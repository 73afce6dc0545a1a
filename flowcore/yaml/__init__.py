"""YAML text in and out, as Kubernetes reads it: plain JSON data, the place of every value, and bounds for texts from strangers."""

from __future__ import annotations

from flowcore.yaml.bounds import Limits, dotted, split_path
from flowcore.yaml.reader import Parsed, check_data, read
from flowcore.yaml.writer import write

__all__ = ["Limits", "Parsed", "check_data", "dotted", "read", "split_path", "write"]
