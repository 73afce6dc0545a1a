"""Credentials of registries: from ``imagePullSecrets`` and from the docker CLI's configuration, credential helpers included."""

from __future__ import annotations

import base64
import binascii
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.ports import Catalog
from flowcore_backends.docker.endpoint import read_json
from flowcore_backends.environment import catalog_values

HUB = "docker.io"
_HUB_KEYS = ("index.docker.io", "docker.io", "registry-1.docker.io")
_HELPER_SECONDS = 30.0
_SECRET_KEYS = (".dockerconfigjson", ".dockercfg")
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers answer instead of a user's name


def registry_of(image: str) -> str:
    """The registry that an image's name stands for."""
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else HUB


def secret_credentials(registry: str, names: list[str], namespace: str, catalog: Catalog) -> JsonObject | None:
    """What the Secrets called ``names`` hold for a registry. A Secret that is not there is skipped, as Kubernetes does."""
    for name in names:
        for auths in _auths(catalog_values("Secret", name, namespace, catalog, optional=True)):
            if (found := _entry(auths, registry)) is not None:
                return credentials_in(found, registry)
    return None


async def configured_credentials(registry: str, folder: Path) -> JsonObject | None:
    """What the docker CLI's configuration in ``folder`` has for a registry. Raises ExecutorError if it cannot be read."""
    try:
        config = read_json(folder / "config.json")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ExecutorError(f"{folder / 'config.json'} cannot be read: {error}") from error
    helper = _entry_text(object_of(config, "credHelpers"), registry) or text_of(config, "credsStore")
    if helper and (answer := await _ask_helper(helper, registry)) is not None:
        return answer
    found = _entry(object_of(config, "auths"), registry)
    return credentials_in(found, registry) if found else None


def header_of(credentials: JsonObject) -> str:
    """The value of the header ``X-Registry-Auth``."""
    return base64.urlsafe_b64encode(json.dumps(credentials).encode()).decode()


def credentials_in(entry: JsonObject, registry: str) -> JsonObject | None:
    """The credentials in an entry of a docker configuration, as the engine takes them; None if there are none."""
    address = _address(registry)
    if token := text_of(entry, "identitytoken"):
        return {"identitytoken": token, "serveraddress": address}
    user, password = text_of(entry, "username"), text_of(entry, "password")
    if auth := text_of(entry, "auth"):
        try:
            user, _, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as error:
            raise ExecutorError(f"the credentials for the registry {registry} are not base64") from error
    return {"username": user, "password": password.rstrip("\0"), "serveraddress": address} if user else None


def _auths(values: Mapping[str, bytes] | None) -> Iterator[JsonObject]:
    for key in _SECRET_KEYS:
        if values is None or key not in values:
            continue
        try:
            held = json.loads(values[key])
        except ValueError as error:
            raise ExecutorError(f"an imagePullSecret has a {key} that is no JSON") from error
        if isinstance(held, dict):
            yield object_of(held, "auths") if key == _SECRET_KEYS[0] else held


def _entry(auths: JsonObject, registry: str) -> JsonObject | None:
    for key, entry in auths.items():
        if isinstance(entry, dict) and _host(key) in _names(registry):
            return entry
    return None


def _entry_text(helpers: JsonObject, registry: str) -> str:
    return next((str(value) for key, value in helpers.items() if _host(key) in _names(registry)), "")


def _names(registry: str) -> tuple[str, ...]:
    return _HUB_KEYS if registry == HUB else (registry,)


def _host(key: str) -> str:
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]


def _address(registry: str) -> str:
    return "https://index.docker.io/v1/" if registry == HUB else registry


async def _ask_helper(helper: str, registry: str) -> JsonObject | None:
    """Ask a credential helper, a program of the user's; one that fails has nothing for us, as for the docker CLI."""
    try:
        with anyio.fail_after(_HELPER_SECONDS):
            done = await anyio.run_process([f"docker-credential-{helper}", "get"], input=_address(registry).encode(), check=False)
        answer = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, TimeoutError, subprocess.SubprocessError):
        return None
    if not isinstance(answer, dict):
        return None
    user, secret = text_of(answer, "Username"), text_of(answer, "Secret")
    if user == _TOKEN_USER:
        return {"identitytoken": secret, "serveraddress": _address(registry)}
    return {"username": user, "password": secret, "serveraddress": _address(registry)}
