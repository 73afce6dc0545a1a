"""The expr-lang dialect in its rooms; ``flowcore.language.expressions`` is the front door, nothing else is imported from outside.

A text becomes tokens (``tokens``), a tree (``parser``, ``nodes``), is checked against the kinds of the values at hand (``check``), simplified
(``fold``), written as Python's own syntax tree (``emit``) and walked by a locked-down ``SimpleEval`` (``evaluator``).
"""
