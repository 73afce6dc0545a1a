"""HDFS by WebHDFS, its REST interface, over the standard library's HTTP client. Blocks; called in threads by ``hdfs.py``.

Of several name nodes the one that is active answers; bytes go to and come from the data node that it names, in small pieces. Rule: Hadoop's
"WebHDFS REST API".
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
import urllib.request
from collections.abc import Sequence
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from io import BufferedReader
from pathlib import Path

from flowcore.artifacts.http_files import write_body
from flowcore.errors import ArtifactError, MissingArtifact
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of

PORT = 9870  # where name nodes serve WebHDFS
RPC_PORTS = frozenset({8020, 9000})  # where they speak Hadoop's own protocol
SECONDS = 60.0  # without any progress
_SCHEMES = {"http": "http", "https": "https", "webhdfs": "http", "swebhdfs": "https", "hdfs": "http"}
_LARGEST_ANSWER = 64 << 20
_LARGEST_ERROR = 1 << 16
_MOST_REDIRECTS = 3
_ELSEWHERE = ("StandbyException", "RetriableException")  # said by a name node that is not the active one


class WebHdfs:
    """The file system behind ``addresses`` as ``user`` sees it. Every method raises ArtifactError for what the cluster refuses."""

    def __init__(self, addresses: Sequence[str], user: str, *, encrypted: bool = False) -> None:
        self._bases = [base_url(address) for address in addresses]
        self._user, self._encrypted = user, encrypted

    def status(self, path: str) -> JsonObject | None:
        """What the file or folder ``path`` is, a ``FileStatus``; None if it is not there."""
        try:
            return object_of(self._told("GET", path, op="GETFILESTATUS"), "FileStatus")
        except MissingArtifact:
            return None

    def listed(self, path: str) -> list[JsonObject]:
        """The ``FileStatus`` of everything in a folder; its name is ``pathSuffix``. Raises MissingArtifact too."""
        return objects_of(object_of(self._told("GET", path, op="LISTSTATUS"), "FileStatuses"), "FileStatus")

    def make_folder(self, path: str) -> None:
        """Make the folder and those around it; that it is there already is no error."""
        if self._told("PUT", path, op="MKDIRS").get("boolean") is not True:
            raise ArtifactError(f"the folder {path} cannot be made in HDFS")

    def rename(self, path: str, new: str) -> bool:
        """Give a file another name; false if that is taken."""
        return self._told("PUT", path, op="RENAME", destination=new).get("boolean") is True

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with everything in it; that it is not there is no error."""
        self._told("DELETE", path, op="DELETE", recursive="true")

    def read(self, path: str, target: Path) -> None:
        """Write the file's bytes to the file ``target``. Raises MissingArtifact too."""
        response = self._ask("GET", path, op="OPEN")
        for _ in range(_MOST_REDIRECTS):
            if not _redirects(response):
                break
            response = self._follow("GET", response)
        with _accepted(response, path) as answer:
            write_body(answer, target, f"reading {path} in HDFS")

    def write(self, path: str, source: Path) -> None:
        """Make the new file ``path`` of the bytes in the file ``source``."""
        response = self._ask("PUT", path, op="CREATE", overwrite="false")
        if not _redirects(response):
            _accepted(response, path).close()
            raise ArtifactError(f"the name node did not say where {path} is to be written; is it WebHDFS that is served there?")
        with source.open("rb") as file:
            _accepted(self._follow("PUT", response, file), path).close()

    def _told(self, method: str, path: str, **query: str) -> JsonObject:
        """The JSON that a name node answers with."""
        with _accepted(self._ask(method, path, **query), path) as response:
            return _json_of(response)

    def _ask(self, method: str, path: str, **query: str) -> HTTPResponse:
        """The answer of the active name node. One that is away, or is not the active one, is passed over."""
        failed = "no address is given"
        for number, base in enumerate(self._bases):
            words = urllib.parse.urlencode({**query, **({"user.name": self._user} if self._user else {})})
            try:
                response = _sent(method, f"{base}/webhdfs/v1{urllib.parse.quote(path)}?{words}", None)
            except ArtifactError as error:
                failed = str(error)
                continue
            if response.status == 403:
                name, said = _exception(response)
                if name not in _ELSEWHERE:
                    raise _refusal(403, name, said, path)
                failed = f"{base} is not the active name node ({name})"
                continue
            self._bases[0], self._bases[number] = base, self._bases[0]  # it is asked first from now on
            return response
        raise ArtifactError(
            f"no name node of HDFS answers: {failed}; WebHDFS is served at dfs.namenode.http-address (port {PORT} by default)"
        )

    def _follow(self, method: str, response: HTTPResponse, data: BufferedReader | None = None) -> HTTPResponse:
        """Ask the data node that the name node names."""
        response.close()
        url = response.headers.get("Location", "")
        scheme = urllib.parse.urlsplit(url).scheme
        if scheme not in ("http", "https") or (self._encrypted and scheme != "https"):
            raise ArtifactError(
                f"the name node of HDFS sends to {url.partition('?')[0][:200]!r}, which is not {'https' if self._encrypted else 'http'}"
            )
        return _sent(method, url, data)


def base_url(address: str) -> str:
    """Where WebHDFS is for an address of a name node, such as Argo has it: ``host``, ``host:port`` or a URL.

    Ports of Hadoop's own protocol stand for the name node's default WebHDFS port. Raises ArtifactError for what is no address.
    """
    text = address if "://" in address else f"hdfs://{address}"
    try:
        parts = urllib.parse.urlsplit(text)
        port, scheme = parts.port, _SCHEMES[parts.scheme]
    except (ValueError, KeyError):
        raise ArtifactError(f"hdfs.addresses: {address[:200]!r} is neither host:port nor an http(s) URL") from None
    if not parts.hostname or "@" in parts.netloc or any(character.isspace() for character in text):
        raise ArtifactError(f"hdfs.addresses: {address[:200]!r} does not name a host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.scheme not in ("http", "https") and (port is None or port in RPC_PORTS):
        port = PORT
    return f"{scheme}://{host}{f':{port}' if port is not None else ''}{parts.path.rstrip('/').removesuffix('/webhdfs/v1')}"


def _sent(method: str, url: str, data: BufferedReader | None) -> HTTPResponse:
    """The answer, whatever its status."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - the scheme is checked by those who call
    if method == "PUT":
        request.data = data if data is not None else b""
        size = Path(data.name).stat().st_size if data is not None else 0
        request.add_unredirected_header("Content-Length", str(size))  # after the data, which makes it forgotten
        request.add_unredirected_header("Content-Type", "application/octet-stream")  # HttpFS wants it
    place = url.partition("?")[0]
    try:
        response = _opener().open(request, timeout=SECONDS)
    except (OSError, HTTPException, ValueError) as error:
        raise ArtifactError(f"{method} {place} failed: {getattr(error, 'reason', error)}") from error
    if not isinstance(response, HTTPResponse):
        raise ArtifactError(f"{method} {place} failed: no HTTP answer")
    return response


@lru_cache(maxsize=1)
def _opener() -> urllib.request.OpenerDirector:
    """Without following redirects and without raising for a status: both mean something of their own here."""
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    return opener


def _redirects(response: HTTPResponse) -> bool:
    return response.status in (301, 302, 303, 307, 308)


def _accepted(response: HTTPResponse, path: str) -> HTTPResponse:
    """The response if it is a success. Raises MissingArtifact, ArtifactError with what the cluster said."""
    if 200 <= response.status < 300:
        return response
    raise _refusal(response.status, *_exception(response), path)


def _refusal(status: int, name: str, said: str, path: str) -> ArtifactError:
    """What a ``RemoteException`` of that name, or a status without one, means."""
    if name == "FileNotFoundException" or (not name and status == 404):
        return MissingArtifact(f"{path} is not in HDFS: {said}")
    if name == "FileAlreadyExistsException":
        return ArtifactError(f"{path} is in HDFS already: {said}")
    if name == "AccessControlException":
        return ArtifactError(f"{path}: no permission in HDFS: {said}")
    if status == 401:
        return ArtifactError(
            f"{path}: HDFS wants to know who asks, by more than a name ({said}): give the address of a gateway that takes hdfsUser"
        )
    return ArtifactError(f"{path}: HDFS answered with status {status}: {f'{name}: ' if name else ''}{said}")


def _exception(response: HTTPResponse) -> tuple[str, str]:
    """The name and the first line of a ``RemoteException``; without one, no name and the reason of the status."""
    with response:
        try:
            told: Json = json.loads(response.read(_LARGEST_ERROR))
        except (ValueError, RecursionError, OSError, http.client.HTTPException):
            told = None
    remote = object_of(told, "RemoteException") if isinstance(told, dict) else {}
    words = text_of(remote, "message").strip().split("\n", 1)[0]
    return text_of(remote, "exception"), (words or response.reason)[:300]


def _json_of(response: HTTPResponse) -> JsonObject:
    try:
        read = response.read(_LARGEST_ANSWER + 1)
        told = json.loads(read) if len(read) <= _LARGEST_ANSWER else None
    except (ValueError, RecursionError, OSError, HTTPException):
        told = None
    if not isinstance(told, dict):
        raise ArtifactError("the answer of HDFS cannot be read: is it WebHDFS that is served there?")
    return told
