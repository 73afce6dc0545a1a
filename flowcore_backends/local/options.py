"""What a user can choose about the local backend."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict

Isolation: TypeAlias = Literal["auto", "required", "off"]

_PLACES = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TERM")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
INHERITED = (*_PLACES, *_CERTIFICATES, *_PROXIES)


def _default_parallelism() -> int:
    return max(32, 4 * (os.cpu_count() or 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """The options of ``LocalExecutor``, by their meaning:

    - ``isolation``: ``auto`` gives nodes a private view where the machine can, ``required`` refuses to run without, ``off`` never does.
    - ``allow_shared_paths``: without isolation, let templates use the machine's own absolute paths instead of refusing them.
    - ``commands``: what an image runs when the template names no command, by image.
    - ``programs``: programs by name that commands find when ``PATH`` has none of that name; ``python`` is this interpreter unless said otherwise.
    - ``environment``: variables for every process; ``inherit``: names of variables taken over from this process.
    - ``host_paths``: folders of the machine that hostPath volumes may show, with all below them.
    - ``claims``: folders for persistent volume claims that are not made by the workflow, by claim name.
    - ``working_dir``: where a command runs whose template gives no workingDir; the default is ``/`` in a private view, else an empty folder.
    - ``visible``: files and folders that stay visible although they lie below ``/tmp``.
    - ``parallelism``: how many invocations run at once, daemons not counted.
    - ``folder``: where scratch folders are made when the run has no folder; ``keep_folders`` leaves them behind, for looking at.
    - ``sidecar_grace``: how long a sidecar may take to end after the main container did, and every container after being asked to stop.
    """

    isolation: Isolation = "auto"
    allow_shared_paths: bool = False
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    programs: Mapping[str, str | Path] = field(default_factory=lambda: {"python": sys.executable})
    environment: Mapping[str, str] = field(default_factory=dict)
    inherit: Sequence[str] = INHERITED
    host_paths: Sequence[str | Path] = ()
    claims: Mapping[str, str | Path] = field(default_factory=dict)
    working_dir: str | Path | None = None
    visible: Sequence[str | Path] = ()
    parallelism: int = field(default_factory=_default_parallelism)
    folder: str | Path | None = None
    keep_folders: bool = False
    sidecar_grace: timedelta = timedelta(seconds=30)

    def inherited_environment(self) -> dict[str, str]:
        """The variables that every process starts with."""
        taken = {name: os.environ[name] for name in self.inherit if name in os.environ}
        return {"PATH": os.defpath, **taken, **self.environment}

    def missing_programs(self) -> dict[str, Path]:
        """Those of ``programs`` that are not found in ``PATH``, with what stands for them."""
        path = self.inherited_environment()["PATH"]
        return {name: Path(program) for name, program in self.programs.items() if shutil.which(name, path=path) is None}

    def always_visible(self) -> list[str]:
        """What has to be shown in a view whose ``/tmp`` is empty: the user's choice, programs, and the working directory."""
        below_tmp = [path for path in (*self.inherited_environment()["PATH"].split(os.pathsep), sys.prefix, sys.base_prefix) if path]
        chosen = [str(path) for path in (*self.visible, *([self.working_dir] if self.working_dir else []))]
        return sorted({path for path in (*chosen, *below_tmp) if path.startswith("/tmp/") and Path(path).exists()})  # noqa: S108 - hidden by a view's own


class LocalChoices(TypedDict, total=False):
    """The same as keyword arguments of ``LocalExecutor``."""

    isolation: Isolation
    allow_shared_paths: bool
    commands: Mapping[str, Sequence[str]]
    programs: Mapping[str, str | Path]
    environment: Mapping[str, str]
    inherit: Sequence[str]
    host_paths: Sequence[str | Path]
    claims: Mapping[str, str | Path]
    working_dir: str | Path | None
    visible: Sequence[str | Path]
    parallelism: int
    folder: str | Path | None
    keep_folders: bool
    sidecar_grace: timedelta
