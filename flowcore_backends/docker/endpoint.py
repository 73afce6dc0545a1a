"""Where the engine is: found as the docker CLI finds it, and then in the places where rootless Docker and Podman put their sockets.

The order: what the user's options say, ``DOCKER_HOST``, ``DOCKER_CONTEXT``, the CLI's current context, sockets. Reads files, connects to nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, text_of

_SCHEMES = ("unix://", "tcp://", "http://", "https://", "npipe://", "ssh://")
_LARGEST_CONFIG = 4 << 20


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An engine's address, what told us of it, and the folder with its TLS files, if there is one."""

    url: str
    found_by: str
    tls: Path | None = None
    verify: bool = True

    @property
    def socket(self) -> str | None:
        """The path of its socket on this machine."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None

    def ssl_context(self) -> ssl.SSLContext | None:
        """How to speak TLS with it, or None where that is not wanted. Raises ExecutorError for files that are not there."""
        if self.tls is None:
            return None
        try:
            context = ssl.create_default_context(cafile=str(ca) if (ca := self.tls / "ca.pem").exists() else None)
            if (self.tls / "cert.pem").exists():
                context.load_cert_chain(self.tls / "cert.pem", self.tls / "key.pem")
        except (OSError, ssl.SSLError) as error:
            raise ExecutorError(f"the TLS files of the Docker engine {self.url} in {self.tls} cannot be used: {error}") from error
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def config_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The folder of the docker CLI's configuration."""
    given = (os.environ if environment is None else environment).get("DOCKER_CONFIG")
    return Path(given) if given else Path.home() / ".docker"


def find_endpoint(host: str | None = None, environment: Mapping[str, str] | None = None) -> Endpoint:
    """The engine to talk to. Raises ExecutorError, with advice, where there is none or where a context cannot be read."""
    variables = os.environ if environment is None else environment
    if host:
        return _checked(Endpoint(host, "the options", _tls_of(variables), _verifies(variables)))
    if given := variables.get("DOCKER_HOST"):
        return _checked(Endpoint(given, "DOCKER_HOST", _tls_of(variables), _verifies(variables)))
    folder = config_folder(variables)
    if (name := variables.get("DOCKER_CONTEXT") or _current_context(folder)) not in (None, "", "default"):
        return _checked(_context(folder, str(name)))
    for place in sockets(variables):
        if _is_socket(place):
            return Endpoint(f"unix://{place}", "the usual places")
    raise ExecutorError(
        f"no Docker engine was found: no DOCKER_HOST, no docker context, and no socket at {', '.join(map(str, sockets(variables)))}; "
        "start Docker or Podman, or set DOCKER_HOST"
    )


def sockets(environment: Mapping[str, str]) -> list[Path]:
    """Where sockets of Docker and Podman may be, best first."""
    return list(_sockets(environment))


def _sockets(environment: Mapping[str, str]) -> Iterator[Path]:
    yield Path("/var/run/docker.sock")
    runtime = Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid() if hasattr(os, 'getuid') else 0}")
    yield runtime / "docker.sock"
    yield Path.home() / ".docker/run/docker.sock"
    yield Path.home() / ".docker/desktop/docker.sock"
    yield Path.home() / ".colima/default/docker.sock"
    yield runtime / "podman/podman.sock"
    yield Path("/run/podman/podman.sock")


def _is_socket(place: Path) -> bool:
    try:
        return stat.S_ISSOCK(place.stat().st_mode) and os.access(place, os.R_OK | os.W_OK)
    except OSError:
        return False


def _checked(endpoint: Endpoint) -> Endpoint:
    if not endpoint.url.startswith(_SCHEMES):
        raise ExecutorError(
            f"the Docker engine's address {endpoint.url!r}, from {endpoint.found_by}, has no scheme; it begins with {', '.join(_SCHEMES)}"
        )
    return endpoint


def _tls_of(environment: Mapping[str, str]) -> Path | None:
    if not environment.get("DOCKER_TLS_VERIFY") and not environment.get("DOCKER_TLS"):
        return None
    given = environment.get("DOCKER_CERT_PATH")
    return Path(given) if given else config_folder(environment)


def _verifies(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("DOCKER_TLS_VERIFY"))


def _current_context(folder: Path) -> str | None:
    try:
        return text_of(read_json(folder / "config.json"), "currentContext")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ExecutorError(f"{folder / 'config.json'} cannot be read: {error}; mend it, or set DOCKER_HOST") from error


def _context(folder: Path, name: str) -> Endpoint:
    """The docker CLI keeps contexts below the hash of their name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    file = folder / "contexts" / "meta" / digest / "meta.json"
    try:
        docker = object_of(object_of(read_json(file), "Endpoints"), "docker")
    except (OSError, ValueError) as error:
        raise ExecutorError(f"the docker context {name!r} cannot be read: {error}; see docker context ls, or set DOCKER_HOST") from error
    tls = folder / "contexts" / "tls" / digest / "docker"
    return Endpoint(
        text_of(docker, "Host"), f"the docker context {name!r}", tls if tls.is_dir() else None, not docker.get("SkipTLSVerify", False)
    )


def read_json(file: Path) -> JsonObject:
    """A JSON object in a file of bounded size. Raises OSError and ValueError."""
    with file.open("rb") as opened:
        content = opened.read(_LARGEST_CONFIG + 1)
    if len(content) > _LARGEST_CONFIG:
        raise ValueError(f"{file} is larger than {_LARGEST_CONFIG} bytes")
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError(f"{file} holds no JSON object")  # noqa: TRY004 - to be caught like text that is no JSON
    return value
