"""Servers on loopback for as long as a block lasts: of any request handler, and one of S3's language."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from socketserver import BaseRequestHandler, TCPServer
from typing import Any

import httpx


@contextmanager
def serving(handler: type[BaseRequestHandler], server: type[TCPServer] = ThreadingHTTPServer, **settings: Any) -> Iterator[str]:
    """``host:port`` of a server whose handlers have ``settings`` as attributes."""
    serves = server(("127.0.0.1", 0), type(handler.__name__, (handler,), settings))
    thread = threading.Thread(target=serves.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{serves.server_address[1]}"
    finally:
        serves.shutdown()
        thread.join()
        serves.server_close()


@contextmanager
def s3_server(*buckets: str) -> Iterator[str]:
    """``host:port`` of an S3 server with these buckets, empty. Needs moto."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        for bucket in buckets:
            httpx.put(f"http://{host}:{port}/{bucket}").raise_for_status()
        yield f"{host}:{port}"
    finally:
        running.stop()
