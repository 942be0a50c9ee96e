"""The rule of the rooms: who may import whom."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parent.parent / "app"
EVERYWHERE = {"settings", "errors", "periods", "access", "wire"}
ROOMS = {
    "store": set(),
    "accounts": {"store"},
    "ledger": {"store", "accounts"},
    "ingest": {"store", "accounts", "ledger"},
    "metrics": {"store", "accounts", "ledger.measures", "ledger.sums"},
    "reports": {"store", "accounts", "ledger", "metrics"},
    "feedback": {"store", "accounts", "ledger", "ingest"},
    "proof": {"store", "accounts", "ledger", "metrics"},
}
AT_THE_DOOR = {"main.py", "access.py", "errors.py", "wire.py", "routes.py"}


def modules() -> list[Path]:
    return sorted(APP.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """The full names of everything that a module imports; of `from a import b`, a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_within(name: str, places: set[str]) -> bool:
    return any(name == place or name.startswith(place + ".") for place in places)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_before_it(room: str) -> None:
    allowed = {f"app.{name}" for name in ROOMS[room] | {room} | EVERYWHERE}
    for path in (APP / room).rglob("*.py"):
        ours = {name for name in imports_of(path) if name.startswith("app.")}
        assert {name for name in ours if not is_within(name, allowed)} == set(), path


def test_what_may_be_imported_everywhere_imports_no_room_but_the_store_and_ids() -> None:
    allowed = {f"app.{name}" for name in EVERYWHERE | {"store", "accounts.ids"}} | {"app"}
    for name in EVERYWHERE:
        ours = {found for found in imports_of(APP / f"{name}.py") if found.startswith("app")}
        assert {found for found in ours if not is_within(found, allowed - {"app"}) and found != "app.wire"} == set(), (
            name
        )


def test_a_metric_knows_nothing_but_how_metrics_are_defined() -> None:
    for path in (APP / "metrics" / "catalogue").glob("*.py"):
        allowed = {"app.metrics.define", "app.metrics.catalogue", "fractions"}
        assert {name for name in imports_of(path) if not is_within(name, allowed)} == set(), path


def test_the_web_framework_is_known_at_the_doors_only() -> None:
    inside = [path for path in modules() if path.name not in AT_THE_DOOR]
    knowing = {path for path in inside if any(is_within(name, {"fastapi", "starlette"}) for name in imports_of(path))}
    assert knowing == set()


def test_the_environment_is_read_by_the_settings_only() -> None:
    readers = {
        path.relative_to(APP).as_posix()
        for path in modules()
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }
    assert readers <= {"settings.py"}


def test_files_fit_a_room_and_functions_a_screen() -> None:
    for path in modules():
        text = path.read_text()
        assert text.count("\n") <= 330, f"{path} has outgrown its room"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None and node.end_lineno - node.lineno <= 50, f"{path}: {node.name}"
