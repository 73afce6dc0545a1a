"""Stores by URL and by environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowcore.errors import MissingBackend
from flowcore.stores import open_store
from flowcore_backends.stores.sqlite import SqliteStore


def test_the_default_is_a_file_in_the_users_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FLOWCORE_STORE", raising=False)
    monkeypatch.delenv("FLOWCORE_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = open_store()
    assert isinstance(store, SqliteStore)
    assert store.path == str(tmp_path / "flowcore" / "runs.db")
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STORE", str(tmp_path / "x.db"))
    store = open_store()
    assert isinstance(store, SqliteStore)
    assert store.path == str(tmp_path / "x.db")


def test_a_store_that_nobody_installed() -> None:
    with pytest.raises(MissingBackend, match=r"no store for redis://; installed are: .*sqlite"):
        open_store("redis://x")
