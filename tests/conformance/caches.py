"""Memoization caches of a case, kept where Argo keeps them: in ConfigMaps of the catalog."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from flowcore.engine.messages import Recall, Recalled, Remember
from tests.conformance.submission import PlainCatalog
from tests.conformance.values import read_time

TYPE_LABEL = "workflows.argoproj.io/configmap-type"


class Caches:
    """Answers ``Recall`` and keeps what ``Remember`` says."""

    def __init__(self, catalog: PlainCatalog) -> None:
        self._catalog = catalog

    def recall(self, asked: Recall, now: datetime) -> Recalled:
        """A hit, a miss, or the error of an entry that cannot be read."""
        document = self._catalog.get("ConfigMap", asked.cache)
        text = ((document or {}).get("data") or {}).get(asked.key)
        if text is None:
            return Recalled(asked.node, hit=False)
        try:
            entry = {key.lower(): value for key, value in json.loads(text).items()}  # as Go reads it
        except (ValueError, AttributeError) as error:
            return Recalled(asked.node, hit=False, error=f"malformed cache entry: could not unmarshal JSON; unable to parse: {error}")
        created = entry.get("creationtimestamp")
        if asked.max_age is not None and created and now - read_time(created) > asked.max_age:
            return Recalled(asked.node, hit=False)
        return Recalled(asked.node, hit=True, outputs=entry.get("outputs"))

    def remember(self, said: Remember, now: datetime) -> None:
        """Write an entry; the ConfigMap is made if need be."""
        document = self._catalog.get("ConfigMap", said.cache)
        if document is None:
            document = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": said.cache, "labels": {TYPE_LABEL: "Cache"}}}
            self._catalog.add(document)
        stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        entry: dict[str, Any] = {"nodeID": said.node, "outputs": said.outputs, "creationTimestamp": stamp, "lastHitTimestamp": stamp}
        document.setdefault("data", {})[said.key] = json.dumps(entry)
