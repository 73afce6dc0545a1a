"""Faults, thought up by chance: runs in virtual time whose drivers, stores and executors fail at every moment there is."""
