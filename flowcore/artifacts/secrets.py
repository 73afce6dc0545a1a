"""Values of Secrets that artifact locations refer to. Used by ``locations.py`` and handed to drivers."""

from __future__ import annotations

import base64
import binascii

from flowcore.errors import ArtifactError
from flowcore.jsontypes import Json
from flowcore.ports import Catalog


class SecretReader:
    """Looks up ``{name, key}`` references in the Secrets of one namespace."""

    def __init__(self, catalog: Catalog, namespace: str) -> None:
        self._catalog, self._namespace = catalog, namespace

    def value(self, reference: Json) -> str:
        """The text behind a reference. Raises ArtifactError if the Secret or its key is not there."""
        if not isinstance(reference, dict):
            raise ArtifactError(f"a secret reference must be {{name, key}}, not {reference!r}")
        name, key = str(reference.get("name", "")), str(reference.get("key", ""))
        secret = self._catalog.get("Secret", name, self._namespace)
        if secret is None:
            raise ArtifactError(f'secret "{name}" not found')
        plain, data = secret.get("stringData"), secret.get("data")
        if isinstance(plain, dict) and isinstance(plain.get(key), str):
            return str(plain[key])
        if not isinstance(data, dict) or not isinstance(data.get(key), str):
            raise ArtifactError(f"couldn't find key {key} in Secret {self._namespace}/{name}")
        try:
            return base64.b64decode(str(data[key]), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise ArtifactError(f"key {key} of Secret {self._namespace}/{name} is not base64 of a text") from error

    def optional(self, reference: Json) -> str | None:
        """The same, or None when there is no reference."""
        return None if reference is None else self.value(reference)
