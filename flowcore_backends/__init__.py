"""Executors, stores and drivers that are injected into flowcore; each is found by its entry point."""
