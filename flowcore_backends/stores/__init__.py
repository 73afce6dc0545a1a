"""Stores that last: one SQLite file, or a PostgreSQL database. Found by the entry points ``flowcore.stores``."""
