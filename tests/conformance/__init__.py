"""The conformance runner: plays corpora of cases on the real parts and keeps the score.

``python -m tests.conformance FOLDER`` prints the scoreboard; ``test_conformance.py`` holds every section to its recorded floor.
"""
