"""One set of connections to a cluster with one set of credentials. kubernetes-asyncio reads these, keeps them fresh and sets TLS up; requests are our own.

Its own request costs more than the rest of a pod together: it looks up proxies and passwords in two threads each time. Called by ``api.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic_core import PydanticSerializationError, from_json, to_json

from flowcore.errors import ExecutorError, MissingBackend
from flowcore.jsontypes import Json
from flowcore_backends.kubernetes.options import KubernetesOptions

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientTimeout, ClientWebSocketResponse
    from kubernetes_asyncio.client import ApiClient

Query: TypeAlias = Sequence[tuple[str, str]]
_BUFFER = 1 << 21
_LONGEST_MESSAGE = 16 << 20


class Connection:
    """``connect`` makes one, for the running event loop."""

    def __init__(self, client: ApiClient) -> None:
        from aiohttp import ClientSession, DummyCookieJar

        self._client = client
        self._host = str(client.configuration.host).rstrip("/")
        self._session = ClientSession(
            connector=client.rest_client.pool_manager.connector,
            connector_owner=False,
            cookie_jar=DummyCookieJar(),
            read_bufsize=_BUFFER,
            json_serialize=_unused,
        )
        self._fixed: dict[str, Any] = {"server_hostname": client.rest_client.server_hostname or None}
        if (proxy := client.rest_client.proxy or _proxy_for(self._host)) is not None:
            self._fixed |= {"proxy": proxy, "proxy_headers": client.rest_client.proxy_headers}

    async def close(self) -> None:
        """Close all of them."""
        await self._session.close()
        await self._client.close()

    async def request(
        self, method: str, path: str, query: Query, body: bytes | None, content_type: str, limits: ClientTimeout
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """Begin a request; the answer is read in the block. Raises what aiohttp raises."""
        from yarl import URL

        headers, given = await self._authorised(query)
        headers["Accept"] = "application/json"
        headers["Content-Type"] = content_type
        url = URL(f"{self._host}{path}?{urlencode(given)}" if given else f"{self._host}{path}", encoded=True)
        return self._session.request(method, url, data=body, headers=headers, timeout=limits, **self._fixed)

    async def websocket(self, path: str, query: Query, protocols: Sequence[str]) -> AbstractAsyncContextManager[ClientWebSocketResponse]:
        """Begin a WebSocket."""
        headers, given = await self._authorised(query)
        url = self._host.replace("http", "ws", 1) + path
        proxy = cast("str | None", self._fixed.get("proxy"))
        return self._session.ws_connect(
            url, params=given, headers=headers, protocols=tuple(protocols), max_msg_size=_LONGEST_MESSAGE, heartbeat=30.0, proxy=proxy
        )

    async def _authorised(self, query: Query) -> tuple[dict[str, str], list[tuple[str, str]]]:
        headers, given = dict(self._client.default_headers), list(query)
        await self._client.update_params_for_auth(headers, given, ["BearerToken"])
        return headers, given


async def connect(options: KubernetesOptions, connections: int) -> Connection:
    """At most so many connections at once. Raises MissingBackend, and ExecutorError for a kubeconfig that cannot be used."""
    try:
        from kubernetes_asyncio.client import ApiClient, Configuration
    except ImportError as error:
        raise MissingBackend(f"the Kubernetes backend needs kubernetes-asyncio ({error}): pip install 'flowcore[kubernetes]'") from error
    made = Configuration(host=options.api_server) if options.api_server else Configuration()
    if not options.api_server:
        await _configure(made, options)
    made.connection_pool_maxsize = connections
    return Connection(ApiClient(configuration=made))


async def _configure(made: object, options: KubernetesOptions) -> None:
    """Read the kubeconfig; without one, take the account of the pod that this runs in."""
    from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

    kubeconfig = _kubeconfig(options)
    try:
        await load_kube_config(config_file=kubeconfig, context=options.kube_context, client_configuration=made)
    except (ConfigException, OSError, ValueError, TypeError, KeyError) as error:
        if options.kubeconfig or options.kube_context:
            raise ExecutorError(f"the kubeconfig cannot be used: {error}; see kubectl config get-contexts") from error
        try:
            load_incluster_config(client_configuration=made)  # type: ignore[no-untyped-call]  # the library has no types here
        except ConfigException as inner:
            raise ExecutorError(
                f"no cluster to talk to: neither a kubeconfig ({error}) nor a pod's account ({inner}); "
                "set KUBECONFIG or pass kubeconfig=, kube_context= or api_server="
            ) from inner


def _kubeconfig(options: KubernetesOptions) -> str | None:
    """The file that is asked for. Raises ExecutorError if it is not there: kubernetes-asyncio would take it for an empty one."""
    if options.kubeconfig is None:
        return None
    file = Path(options.kubeconfig).expanduser()
    if not file.exists():
        raise ExecutorError(f"the kubeconfig {file} is not there")
    return str(file)


def _proxy_for(host: str) -> str | None:
    """The proxy that the environment names for an address, as other programs take it."""
    parts = urlsplit(host)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def _unused(value: object) -> str:
    raise AssertionError("bodies are bytes")


def written(value: Json) -> bytes:
    """A body as JSON."""
    try:
        return to_json(value)
    except (PydanticSerializationError, ValueError):  # half a surrogate pair, which only escapes can hold
        return json.dumps(value).encode()


def read(content: bytes) -> Json:
    """The JSON of an answer. Raises ValueError."""
    try:
        return cast("Json", from_json(content))
    except ValueError:
        return cast("Json", json.loads(content))  # takes escapes that stand alone


__all__ = ["Connection", "Query", "connect", "read", "written"]
