"""The engine for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.docker.engine import NoEngine, shared_engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a private engine. Without dockerd tests are skipped, but not where everything is supposed to run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    try:
        with shared_engine(Path(shared, "dockerd")) as address:
            yield address
    except NoEngine as reason:
        if os.environ.get("CI"):
            pytest.fail(f"the tests of the Docker backend need an engine: {reason}")
        pytest.skip(f"no Docker engine: {reason}")


@pytest.fixture(autouse=True)
def no_other_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer's shell says of other engines is no business of tests."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
