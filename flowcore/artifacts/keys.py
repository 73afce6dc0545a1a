"""The keys of artifacts: which are allowed, and what they mean as paths. Used by the stores."""

from __future__ import annotations

from flowcore.errors import ArtifactError

_LONGEST = 1024  # bytes, as in S3


def parts_of_key(key: str) -> tuple[str, ...]:
    """The parts of ``key`` between slashes. Raises ArtifactError for a key that is empty, too long, absolute, or could leave its store."""
    parts = tuple(part for part in key.split("/") if part)
    if not parts or len(key.encode("utf-8", "surrogatepass")) > _LONGEST:
        raise ArtifactError(f"an artifact's key must have 1 to {_LONGEST} bytes, not {key[:80]!r}")
    if key.startswith("/") or "." in parts or ".." in parts:
        raise ArtifactError(f"the artifact key {key!r} is a path that could leave its store; name it without a leading slash, '.' and '..'")
    if any(not character.isprintable() for character in key) or "\\" in key or ":" in parts[0][1:2]:
        raise ArtifactError(f"the artifact key {key!r} has a character that cannot be part of a file name")
    return parts
