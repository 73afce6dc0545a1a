"""What all tests share: runs that are recorded by default go into a folder of the test session, and never into the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    os.environ["FLOWCORE_STATE"] = str(tmp_path_factory.mktemp("state"))
    os.environ.pop("FLOWCORE_STORE", None)
    yield
    os.environ.pop("FLOWCORE_STATE", None)
