"""Artifacts behind a URL: GET for inputs, PUT for outputs, bounded in size and time. Blocks; called in a thread by ``locations.py``."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from flowcore.artifacts.secrets import SecretReader
from flowcore.errors import ArtifactError, MissingArtifact
from flowcore.jsontypes import JsonObject, objects_of, text_of

LARGEST = 16 << 30
SECONDS = 60.0  # without any progress
_CHUNK = 1 << 16
_LARGEST_TOKEN = 1 << 20


def download(place: JsonObject, target: Path, secrets: SecretReader) -> None:
    """GET ``place["url"]`` into the file ``target``. Raises MissingArtifact for 404, ArtifactError for everything else that goes wrong."""
    with _open(_request(place, "GET", secrets)) as response:
        write_body(response, target, f"GET {place.get('url')}")


def write_body(response: HTTPResponse, target: Path, what: str) -> None:
    """Write what comes to the file ``target``, in small pieces. Raises ArtifactError, naming ``what``, if it is too large or ends too early."""
    announced, read = response.headers.get("Content-Length", ""), 0
    try:
        with target.open("wb") as file:
            while data := response.read(_CHUNK):
                read += len(data)
                if read > LARGEST:
                    raise ArtifactError(f"{what} gives more than {LARGEST} bytes")
                file.write(data)
    except (OSError, HTTPException) as error:
        raise ArtifactError(f"{what} broke off: {error}") from error
    if announced.isdecimal() and read < int(announced):  # reading in pieces, Python does not notice
        raise ArtifactError(f"{what} broke off after {read} of {announced} bytes")


def upload(place: JsonObject, source: Path, secrets: SecretReader) -> None:
    """PUT the file ``source`` to ``place["url"]``. Raises ArtifactError, for folders too."""
    if source.is_dir():
        raise ArtifactError(f"a folder cannot be sent to {place.get('url')}; pack it (remove archive: none)")
    request = _request(place, "PUT", secrets)
    with source.open("rb") as file:
        request.data = file
        request.add_unredirected_header("Content-Length", str(source.stat().st_size))  # last: setting data forgets it
        with _open(request):
            pass


def _request(place: JsonObject, method: str, secrets: SecretReader) -> urllib.request.Request:
    url = str(place.get("url", ""))
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ArtifactError(f"an artifact's url must begin with http:// or https://, not {url[:80]!r}")
    request = urllib.request.Request(url, method=method)  # noqa: S310 - the scheme is checked above
    for header in objects_of(place, "headers"):
        request.add_unredirected_header(text_of(header, "name"), text_of(header, "value"))
    if (authorization := _authorization(place, secrets)) is not None:
        request.add_unredirected_header("Authorization", authorization)
    return request


def _authorization(place: JsonObject, secrets: SecretReader) -> str | None:
    auth = place.get("auth")
    auth = auth if isinstance(auth, dict) else {}
    basic, oauth = auth.get("basicAuth"), auth.get("oauth2")
    if auth.get("clientCert"):
        raise ArtifactError("client certificates are not supported for http artifacts; use basicAuth, oauth2 or a header")
    if "usernameSecret" in place:  # as Artifactory locations have it
        basic = place
    if isinstance(basic, dict):
        user, password = secrets.optional(basic.get("usernameSecret")), secrets.optional(basic.get("passwordSecret"))
        return "Basic " + base64.b64encode(f"{user or ''}:{password or ''}".encode()).decode()
    if isinstance(oauth, dict):
        return "Bearer " + _token(oauth, secrets)
    return None


def _token(oauth: JsonObject, secrets: SecretReader) -> str:
    """A token by OAuth2 client credentials."""
    form = {"grant_type": "client_credentials"}
    for field, name in (("clientIDSecret", "client_id"), ("clientSecretSecret", "client_secret")):
        form[name] = secrets.value(oauth.get(field))
    if isinstance(scopes := oauth.get("scopes"), list) and scopes:
        form["scope"] = " ".join(map(str, scopes))
    for parameter in objects_of(oauth, "endpointParams"):
        form[str(parameter.get("key"))] = str(parameter.get("value"))
    request = _request({"url": secrets.value(oauth.get("tokenURLSecret"))}, "POST", secrets)
    request.data = urllib.parse.urlencode(form).encode()
    with _open(request) as response:
        try:
            return str(json.loads(response.read(_LARGEST_TOKEN))["access_token"])
        except (ValueError, KeyError, TypeError, OSError, HTTPException) as error:
            raise ArtifactError(f"the token server gave no access_token: {error}") from error


def _open(request: urllib.request.Request) -> HTTPResponse:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    try:
        response = opener.open(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        kind = MissingArtifact if error.code == 404 else ArtifactError
        raise kind(f"{request.get_method()} {request.full_url} was answered with status {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise ArtifactError(f"{request.get_method()} {request.full_url} failed: {error}") from error
    if not isinstance(response, HTTPResponse):
        raise ArtifactError(f"{request.get_method()} {request.full_url} failed: it was redirected to something that is not http")
    return response
