"""The Docker backend, on tables and on a real engine."""
