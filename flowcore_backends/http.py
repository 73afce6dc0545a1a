"""``HttpExecutor``: ``http`` templates, one request each, made in this process. Usable beside every backend.

Rules are those of Argo's agent: no success condition means status 200 to 299, one decides alone; the whole body is the result;
what goes wrong on the way is Failed, not Error.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPException

import anyio
from anyio import to_thread

from flowcore.artifacts.secrets import SecretReader
from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import ArtifactError, ExpressionError
from flowcore.language.expressions import evaluate_bool
from flowcore.models.templates import HTTP
from flowcore.nodes import Phase
from flowcore.ports import Reporter, RunContext
from flowcore_backends.in_process import InProcessExecutor

SECONDS = 30.0
LARGEST_BODY = 8 << 20
_SENSITIVE = frozenset({"authorization", "cookie", "proxy-authorization"})
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Request:
    """A request, complete: values of Secrets are filled in."""

    method: str
    url: str
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    verify: bool = True
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Response:
    """What was answered."""

    status: int
    body: bytes
    headers: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


class HttpExecutor(InProcessExecutor):
    """Runs ``http`` templates: at most 30 seconds unless the template says otherwise, bodies up to 8 MiB."""

    async def work(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Make the request and judge the answer."""
        template = invocation.template.http
        assert template is not None
        try:
            request = request_of(template, SecretReader(context.catalog, invocation.namespace))
            with anyio.fail_after(request.seconds):
                response = await to_thread.run_sync(send, request, abandon_on_cancel=True)
        except TimeoutError:
            return _failed(template, f"no complete answer within {request.seconds:g} seconds")
        except (OSError, HTTPException, ValueError, ArtifactError) as error:
            return _failed(template, str(getattr(error, "reason", None) or error) or type(error).__name__)
        return judge(template, request, response)


def request_of(template: HTTP, secrets: SecretReader) -> Request:
    """The request of a template. Raises ArtifactError for a Secret that is not there, ValueError for a body that is not base64."""
    if urllib.parse.urlsplit(template.url).scheme not in ("http", "https"):
        raise ValueError(f"unsupported protocol scheme in {template.url[:200]!r}; a url begins with http:// or https://")
    headers = []
    for header in template.headers:
        reference = (header.value_from or {}).get("secretKeyRef")
        value = secrets.value(reference) if reference is not None else header.value
        if any(character in header.name + value for character in "\r\n\0"):
            raise ValueError(f"the header {header.name!r} has a line break in its name or value")
        headers.append((header.name, value))
    seconds = float(template.timeout_seconds) if template.timeout_seconds else SECONDS
    return Request(template.method.upper() or "GET", template.url, _body(template), headers, not template.insecure_skip_verify, seconds)


def _body(template: HTTP) -> bytes:
    if template.body_from is None:
        return template.body.encode()
    try:
        return base64.b64decode(template.body_from.bytes, validate=True)
    except binascii.Error as error:
        raise ValueError(f"bodyFrom.bytes is not base64: {error}") from error


def send(request: Request) -> Response:
    """Make the request; blocks. Raises OSError, HTTPException or ValueError for what goes wrong on the way."""
    asked = urllib.request.Request(request.url, data=request.body or None, method=request.method)  # noqa: S310 - the scheme is checked
    for name, value in request.headers:
        if name.lower() in _SENSITIVE:
            asked.add_unredirected_header(name, value)  # a redirect must not carry it to somebody else
        else:
            asked.add_header(name, value)
    try:
        answer = _opener(verify=request.verify).open(asked, timeout=request.seconds)
    except urllib.error.HTTPError as error:
        answer = error  # an answer like any other
    with answer:
        body = bytearray()
        while len(body) <= LARGEST_BODY and (data := answer.read(_CHUNK)):
            body += data
        if len(body) > LARGEST_BODY:
            raise ValueError(f"the answer is larger than {LARGEST_BODY} bytes")
        return Response(answer.status or 0, bytes(body), list(answer.headers.items()))


def _opener(*, verify: bool) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def judge(template: HTTP, request: Request, response: Response) -> Outcome:
    """The outcome of an answer. Pure."""
    condition = template.success_condition
    if not condition:
        good = 200 <= response.status < 300
        message = f"received non-2xx response code: {response.status}"
    else:
        try:
            good = evaluate_bool(condition, _environment(template, request, response))
        except ExpressionError as error:
            return Outcome(phase=Phase.FAILED, message=str(error))
        message = f"successCondition '{condition}' evaluated false"
    return Outcome(phase=Phase.SUCCEEDED if good else Phase.FAILED, message="" if good else message, result=response.text)


def _environment(template: HTTP, request: Request, response: Response) -> dict[str, object]:
    return {
        "request": {
            "method": template.method,
            "url": template.url,
            "body": template.body,
            "bodyBytes": request.body,
            "headers": _by_name([(header.name, header.value) for header in template.headers]),
        },
        "response": {"statusCode": response.status, "body": response.text, "headers": _by_name(response.headers)},
    }


def _by_name(headers: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Headers as conditions see them: lists of values under names such as ``Content-Type``."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
    return found


def _failed(template: HTTP, reason: str) -> Outcome:
    return Outcome(phase=Phase.FAILED, message=f'{template.method.capitalize() or "Get"} "{template.url}": {reason}')
