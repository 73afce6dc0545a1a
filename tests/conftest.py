"""What all tests share: runs that are recorded by default go into a folder of the test session, and never into the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A change is judged by the same examples each time; looking for new ones is what a run on a developer's machine and the nightly target do.
settings.register_profile("judging", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("judging")


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    os.environ["FLOWCORE_STATE"] = str(tmp_path_factory.mktemp("state"))
    os.environ.pop("FLOWCORE_STORE", None)
    yield
    os.environ.pop("FLOWCORE_STATE", None)
