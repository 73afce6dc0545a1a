"""The layers of the house: imports only go down, the pure floors touch no world, and the core needs no backend and no extra."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "flowcore"

# Lowest first; a name is a module or a package directly below flowcore, or a dotted one where parts of a package stand on different floors.
FLOORS = (
    "errors jsontypes",
    "models nodes manifests manifest_problems manifest_renames yaml",
    "language",
    "plan",
    "engine",
    "ports catalog artifacts durable records",
    "runner in_process deep_calls running results timers clocks memory status tree locks catalogs executors functions building stores operations orders kept_templates keeping driving selection secrecy observing audience",
    "lint graphs schema testing service pytest_plugin",
    "cli",
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names.split()}
# The package itself (flowcore/__init__.py) stands on the seventh floor: it re-exports what is below.
ROOT_LEVEL = 7

# What the pure floors may not know: the clock, chance, the machine, other threads of control.
WORLD = {
    "anyio",
    "asyncio",
    "io",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "trio",
}
WORLDLY = {"open", "print", "input", "datetime.now", "datetime.utcnow", "date.today", "uuid.uuid1", "uuid.uuid4"}
PURE = ("language", "plan", "engine")
# The one door through which expressions may ask for time and chance, which whoever evaluates them can keep shut; and the clock of a budget,
# which can end an evaluation but not change its value.
ALLOWED = {
    "flowcore/language/sources.py": {"random", "datetime.now"},
    "flowcore/language/expr/limits.py": {"time"},
    "flowcore/language/jq/meter.py": {"time"},
}

REQUIRED = {"anyio", "pydantic", "pydantic_core", "ruamel", "simpleeval", "tenacity", "annotated_types", "typing_extensions"}
# The command line, the pytest plugin and spans are what the extras `cli`, `test` and `otel` are for.
EXTRAS = {"observing": {"opentelemetry"}, "cli": {"typer", "rich", "click"}, "pytest_plugin": {"pytest"}, "testing": {"pytest"}}

# What a backend has no business with: how a run is planned, driven and shown.
INNER = {"plan", "runner", "running", "results", "timers", "memory", "cli"}
# Kubernetes' own way to merge, which the plan needs for podSpecPatch and a cluster's executor for the pods it makes.
SHARED = {"flowcore.plan.strategic"}

MODULES = sorted(CORE.rglob("*.py"))
PURE_MODULES = [path for path in MODULES if path.relative_to(CORE).parts[0] in PURE]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part_of(path: Path) -> str:
    """The room a file belongs to: the first name below flowcore, or nothing for the package's own __init__."""
    first = path.relative_to(CORE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether only for annotations (below ``if TYPE_CHECKING``)."""
    tree = tree_of(path)
    annotations = {id(node) for block in ast.walk(tree) if _only_for_types(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in annotations
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} uses a relative import"
            module = node.module or ""
            if module == "pathlib" and all(alias.name.startswith("Pure") for alias in node.names):
                continue  # paths as text, without a file system
            if module == "flowcore":
                yield from ((f"flowcore.{alias.name}", id(node) in annotations) for alias in node.names)
            else:
                yield module, id(node) in annotations


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_import_goes_up_a_floor(path: Path) -> None:
    """A room may use its own floor and those below it, and every room of the core has its floor."""
    part = part_of(path)
    assert not part or part in LEVEL, f"give {part} a floor in {Path(__file__).name}"
    here = LEVEL.get(part, ROOT_LEVEL)
    for module, _ in imports_of(path):
        if module.split(".")[0] != "flowcore":
            continue
        room = module.removeprefix("flowcore").strip(".").split(".")[0]
        # A name that is no room is a public one, taken from the package itself.
        level = LEVEL.get(room, ROOT_LEVEL)
        assert level <= here, f"{name_of(path)} (floor {here}) reaches up to {module} (floor {level})"


@pytest.mark.parametrize("path", PURE_MODULES, ids=name_of)
def test_the_pure_floors_touch_no_world(path: Path) -> None:
    """Language, plan and engine decide from what they are given: no clock, chance or I/O, nothing asynchronous."""
    for module, _ in imports_of(path):
        assert module.split(".")[0] not in WORLD - ALLOWED.get(name_of(path), set()), f"{name_of(path)} imports {module}"
    for node in ast.walk(tree_of(path)):
        asynchronous = isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
        assert not asynchronous, f"{name_of(path)}:{getattr(node, 'lineno', 0)} is asynchronous"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in WORLDLY - ALLOWED.get(name_of(path), set()), f"{name_of(path)}:{node.lineno} calls {called}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_core_imports_only_what_it_declares(path: Path) -> None:
    """Backends are found by name and extras are optional, so no file of the core may import either."""
    allowed = REQUIRED | EXTRAS.get(part_of(path), set()) | set(sys.stdlib_module_names) | {"flowcore"}
    for module, for_types in imports_of(path):
        assert module.split(".")[0] != "flowcore_backends", f"{name_of(path)} imports {module}"
        assert for_types or module.split(".")[0] in allowed, f"{name_of(path)} imports {module}, which is no required dependency"


def test_importing_the_core_loads_no_backend_and_no_extra() -> None:
    """The same at run time, whatever the required packages import themselves."""
    optional = [
        "flowcore_backends",
        "typer",
        "rich",
        "aiodocker",
        "aiohttp",
        "kubernetes_asyncio",
        "obstore",
        "opentelemetry",
        "psycopg",
        "bcrypt",
        "cryptography",
        "jsonschema",
        "opentelemetry",
        "click",
        "hera",
        "pytest",
        "trio",
        "httpx",
    ]
    program = f"import sys, flowcore; print(*sorted(set({optional!r}) & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60)
    assert answer.stdout.split() == []


def test_a_backend_uses_only_its_own_client_library() -> None:
    """A backend stands on the public names, the ports, the models and the artifacts, as a third party's would."""
    for path in sorted((ROOT / "flowcore_backends").rglob("*.py")):
        for module, _ in imports_of(path):
            if module.startswith("flowcore."):
                room = module.split(".")[1]
                assert room not in INNER or module in SHARED, f"{name_of(path)} imports {module}"
