"""Names of documents as names of folders: nobody's name leads anywhere else."""

from __future__ import annotations

import hashlib

_LONGEST = 120


def folder_name(name: str) -> str:
    """``name`` itself if it is short and plain, else a hash of it."""
    plain = name.isascii() and all(character.isalnum() or character in "-." for character in name)
    if plain and len(name) <= _LONGEST and name.strip("."):
        return name
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
