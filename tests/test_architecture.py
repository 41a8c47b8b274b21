"""The rooms of the house and the one way in which they may import each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bpcli"

# room -> the rooms it may import from, each of them further down
ROOMS = {
    "errors": set(),
    "text": set(),
    "system": {"text"},
    "engine": {"errors", "text"},
    "data": {"engine", "errors", "text"},
    "config": {"data", "engine", "errors", "text"},
    "runs": {"data", "engine", "errors", "text"},
    "examples": {"runs", "errors", "text"},
    "build": {"config", "data", "engine", "errors", "text"},
    "workflows": {"build", "runs", "config", "data", "engine", "errors", "text", "system"},
    "views": {"workflows", "build", "config", "data", "engine", "errors", "text"},
    "cli": {"views", "workflows", "examples", "build", "runs", "config", "data", "engine", "errors", "text", "system"},
    "api": {"workflows", "build", "config", "errors"},
    "__init__": {"api"},
    "__main__": {"cli", "system"},
}
FORBIDDEN_IN_ENGINE = {"yaml", "pydantic", "typer", "tqdm", "csv", "json"}
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.rglob("*.py"))
READERS = {"iterdir", "glob", "rglob", "scandir"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, also late and for type checking."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "bpcli" else {node.module}
            )
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way_only(path: Path) -> None:
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imports_of(path) if name.startswith("bpcli.")} - {room, "__version__"}
    assert rooms <= ROOMS[room]


def test_no_room_imports_from_one_further_up() -> None:
    order = list(ROOMS)
    assert [
        (room, low) for room, others in ROOMS.items() for low in others if order.index(low) > order.index(room)
    ] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in MODULES}
    waiting = {name: imports_of(path) & set(modules) - {name} for name, path in modules.items()}
    while free := [name for name, imports in waiting.items() if not imports & set(waiting)]:
        for name in free:
            del waiting[name]
    assert not waiting, "in or behind a circle: " + ", ".join(sorted(waiting))


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) == "engine"], ids=lambda path: path.name)
def test_the_engine_needs_only_numpy(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports_of(path)} & FORBIDDEN_IN_ENGINE


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) == "engine"], ids=lambda path: path.name)
def test_in_the_engine_measure_sees_training_and_training_sees_the_parts(path: Path) -> None:
    floors = ["measure", "training"]
    own = path.relative_to(PACKAGE / "engine").parts[0]
    above = floors[: floors.index(own)] if own in floors else floors
    rooms = {name.split(".")[2] for name in imports_of(path) if name.startswith("bpcli.engine.")}
    assert not rooms & set(above)


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) == "engine"], ids=lambda path: path.name)
def test_the_engine_never_prints_nor_opens_files(path: Path) -> None:
    calls = {node.func.id for node in ast.walk(ast.parse(path.read_text())) if _is_plain_call(node)}
    assert not calls & {"print", "open", "input"}


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_folders_are_read_to_their_end(path: Path) -> None:
    """What is left half-way keeps the folder open until the garbage collector finds it, with a ResourceWarning."""
    half_way = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if _calls(node, {"any", "all", "next", "islice"}) and any(_calls(inner, READERS) for inner in ast.walk(node))
    ]
    assert half_way == []


def _calls(node: ast.AST, names: set[str]) -> bool:
    """Whether it is a call of a function or method of one of these names."""
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    return getattr(called, "id", None) in names or getattr(called, "attr", None) in names


def _is_plain_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
