"""The engine: a pure state machine. Events come in, rows change, commands come out; see ``engine.py`` for how to read it."""
