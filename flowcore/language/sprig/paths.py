"""Sprig: slash-separated paths, as texts only. Paths of the operating system (``osBase``...) are those of Linux, where Argo runs."""

from __future__ import annotations

from flowcore.language.sprig.registry import sprig


@sprig("base", "osBase")
def base(path: str) -> str:
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


@sprig("clean", "osClean")
def clean(path: str) -> str:
    """The shortest path to the same place, by its text alone."""
    rooted = path.startswith("/")
    kept: list[str] = []
    for part in path.split("/"):
        if part == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif part not in ("", ".") and not (part == ".." and rooted):
            kept.append(part)
    return ("/" if rooted else "") + "/".join(kept) or "."


@sprig("dir", "osDir")
def directory(path: str) -> str:
    return str(clean(path[: path.rfind("/") + 1]))


@sprig("ext", "osExt")
def extension(path: str) -> str:
    name = path.rpartition("/")[2]
    return name[name.rfind(".") :] if "." in name else ""


@sprig("isAbs", "osIsAbs")
def is_absolute(path: str) -> bool:
    return path.startswith("/")
