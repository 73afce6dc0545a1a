"""The same PostgreSQL server as the tests of stores."""

from __future__ import annotations

from tests.stores.conftest import postgres_url as postgres_url
