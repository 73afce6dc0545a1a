"""Pictures of workflows before they run: what calls what, in which order, under which condition. ``flowcore graph`` prints them.

``graph_of`` reads a workflow into boxes and edges; ``mermaid``, ``dot`` and ``svg`` write them down. Nothing but Python is needed.
"""

from __future__ import annotations

from flowcore.graphs.model import Box, Edge, Graph, graph_of
from flowcore.graphs.notations import dot, mermaid
from flowcore.graphs.svg import svg

__all__ = ["Box", "Edge", "Graph", "dot", "graph_of", "mermaid", "svg"]
