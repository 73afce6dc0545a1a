"""What stands before an S3 server in tests to make of it Google's store, or Alibaba's: their addresses and credentials, checked as they are sent.

Both speak S3's language in the requests themselves: Google in its XML interface, Alibaba with the bucket in the host name.
"""

from __future__ import annotations

import base64
import http.client
import json
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

_SOMEBODY = "AWS4-HMAC-SHA256 Credential=front/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


class Front(BaseHTTPRequestHandler):
    """Passes on to ``behind`` what ``welcome`` lets in, at the path that it says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    behind: ClassVar[str]
    seen: ClassVar[list[str]]

    def welcome(self) -> str | None:
        """The path of the request behind; None for a stranger."""
        raise NotImplementedError

    def do_GET(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(f"{self.command} {self.path}")
        path = self.welcome()
        if path is None:
            self._answer(403, {}, b"<Error><Code>AccessDenied</Code><Message>who is this?</Message></Error>")
            return
        connection = http.client.HTTPConnection(self.behind, timeout=30)
        connection.request(self.command, path, body, {"Content-Type": "application/octet-stream", "Authorization": _SOMEBODY})
        answer = connection.getresponse()
        kept = {name: answer.headers[name] for name in ("ETag", "Last-Modified", "Content-Type") if name in answer.headers}
        self._answer(answer.status, kept, answer.read())
        connection.close()

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


class Google(Front):
    """Lets in who shows a token that ``account`` has signed with the key of ``public``."""

    public: ClassVar[RSAPublicKey]
    account: ClassVar[str]

    def welcome(self) -> str | None:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        signed, _, signature = token.rpartition(".")
        try:
            self.public.verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
            claims = json.loads(_decoded(signed.partition(".")[2]))
        except (InvalidSignature, ValueError):
            return None
        if kind != "Bearer" or claims["iss"] != self.account:
            return None
        path, mark, query = self.path.replace("%2D", "-").partition("?")  # it need not be written so, and not everybody reads that
        return f"{path}{'/' if path.count('/') == 1 else ''}{mark}{query}"


class Alibaba(Front):
    """Is asked as a proxy, as nobody knows the host; lets in who signs as ``user``. The bucket is the first part of the host's name."""

    user: ClassVar[str]
    host: ClassVar[str]

    def welcome(self) -> str | None:
        address = urlsplit(self.path)
        bucket, _, host = (address.hostname or "").partition(".")
        said = self.headers.get("Authorization", "")
        if host != self.host or not said.startswith(f"AWS4-HMAC-SHA256 Credential={self.user}/"):
            return None
        return f"/{bucket}{address.path}{f'?{address.query}' if address.query else ''}"


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
