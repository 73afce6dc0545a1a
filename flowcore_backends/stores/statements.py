"""The tables of a store and how they came to be: one statement list for each version of the schema.

Both databases read the same statements; ``{big}``, ``{key}`` and ``{serial}`` stand for the types that they name differently.
"""

from __future__ import annotations

VERSION_1 = (
    """CREATE TABLE runs (
        id {key}, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, open {big} NOT NULL, created_at TEXT NOT NULL,
        record TEXT NOT NULL, manifest TEXT NOT NULL, fence {big} NOT NULL DEFAULT 0, driver TEXT, expires DOUBLE PRECISION,
        UNIQUE (namespace, name))""",
    "CREATE INDEX runs_open ON runs (open)",
    "CREATE TABLE nodes (id {key}, record TEXT NOT NULL)",
    """CREATE TABLE logs (
        id {serial}, run {big} NOT NULL, node TEXT NOT NULL, container TEXT NOT NULL, stream TEXT NOT NULL, at TEXT NOT NULL,
        text TEXT NOT NULL)""",
    "CREATE INDEX logs_run ON logs (run, id)",
    """CREATE TABLE memos (
        namespace TEXT NOT NULL, cache TEXT NOT NULL, memo TEXT NOT NULL, node TEXT NOT NULL, outputs TEXT, created_at TEXT NOT NULL,
        last_hit_at TEXT, PRIMARY KEY (namespace, cache, memo))""",
    "CREATE TABLE locks (lock TEXT NOT NULL, holder TEXT NOT NULL, PRIMARY KEY (holder, lock))",
    "CREATE TABLE orders (id {serial}, namespace TEXT NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL)",
    """CREATE TABLE documents (
        kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (kind, namespace, name))""",
)
# Archived runs are kept under another name, so that their own can be given again.
VERSION_2 = ("ALTER TABLE runs ADD COLUMN archived {big} NOT NULL DEFAULT 0",)
# What brings a store from version n (its place here) to n + 1. Never change an entry that was released: add one.
MIGRATIONS: tuple[tuple[str, ...], ...] = (VERSION_1, VERSION_2)

# A node's key holds the number of its run above this many bits, and its place in the order of creation below.
SEQ_BITS = 32

SAVE_RUN = "UPDATE runs SET record = ?, open = ?, expires = ? WHERE id = ? AND fence = ?"
SAVE_NODE = "INSERT INTO nodes (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record"
INSERT_RUN = (
    "INSERT INTO runs (namespace, name, uid, open, created_at, record, manifest) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (namespace, name) DO UPDATE SET uid = excluded.uid, open = excluded.open, created_at = excluded.created_at, "
    "record = excluded.record, manifest = excluded.manifest"
)
FIND_RUN = "SELECT id, fence, driver, expires FROM runs WHERE namespace = ? AND name = ?"
TAKE_RUN = "UPDATE runs SET fence = fence + 1, driver = ?, expires = ? WHERE id = ? AND fence = ?"
RENEW_RUN = "UPDATE runs SET expires = ? WHERE id = ? AND fence = ?"
GIVE_BACK = "UPDATE runs SET driver = NULL, expires = NULL WHERE id = ? AND fence = ?"
ADD_LOG = "INSERT INTO logs (run, node, container, stream, at, text) VALUES (?, ?, ?, ?, ?, ?)"
PUT_MEMO = (
    "INSERT INTO memos (namespace, cache, memo, node, outputs, created_at) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (namespace, cache, memo) DO UPDATE SET node = excluded.node, outputs = excluded.outputs, "
    "created_at = excluded.created_at, last_hit_at = NULL"
)
PUT_DOCUMENT = (
    "INSERT INTO documents (kind, namespace, name, record) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, namespace, name) DO UPDATE SET record = excluded.record"
)
NOTE_LOCK = "INSERT INTO locks (lock, holder) VALUES (?, ?) ON CONFLICT (holder, lock) DO NOTHING"
FIND_LOGS = (
    "SELECT logs.id, node, container, stream, at, text FROM logs JOIN runs ON runs.id = logs.run "
    "WHERE runs.namespace = ? AND runs.name = ? AND logs.id > ? AND (? = '' OR node = ?) ORDER BY logs.id LIMIT 10000"
)
FIND_RUNS = "SELECT record, driver, expires, archived FROM runs WHERE record <> '' AND archived = ?"
MOVE_RUN = "UPDATE runs SET name = ?, archived = ?, open = ?, record = ? WHERE id = ?"
# The kinds of documents that belong to one run and go with it.
OF_A_RUN = ("RunTemplates", "RunSettings", "RunPods")
