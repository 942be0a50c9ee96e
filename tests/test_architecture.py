"""The layers of the packages: who may import whom."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from app.cli.main import COMMANDS, WITHOUT_CATALOGUES

APP = Path(__file__).parent.parent / "app"

CORE = {"core"}
DATA = CORE | {"database", "books"}
ENGINE = DATA | {"accounts", "ledger"}
ROUTES = {"access", "http"}
# What each package may import besides itself. Only `routes.py` may also import ROUTES.
LAYERS = {
    "core": set(),
    "http": CORE,
    "database": CORE,
    "embedded": CORE,
    "server": CORE | {"http"},
    "books": CORE | {"database", "embedded"},
    "access": DATA | {"http"},
    "accounts": DATA,
    "ledger": DATA | {"accounts"},
    "ingest": ENGINE,
    "metrics": ENGINE,
    "charts": ENGINE | {"metrics"},
    "audit": ENGINE | {"metrics"},
    "reports": ENGINE | {"metrics"},
    "feedback": ENGINE | {"metrics", "ingest"},
    "health": ENGINE | {"metrics"},
    "scorecard": ENGINE | {"metrics"},
    "insights": ENGINE | {"metrics"},
    "inbound": ENGINE | {"ingest"},
    "demo": ENGINE | {"ingest", "health", "scorecard", "alerts"},
    "webhooks": ENGINE | {"metrics", "ingest"},
    "alerts": ENGINE | {"metrics", "ingest"},
    "bi": ENGINE | {"metrics"},
    "monitoring": DATA,
    "changes": ENGINE | {"metrics"},
    "polling": DATA | {"http", "access"},
    "ui": DATA | {"http", "access"},
    # A way to ask them all, as the command line is: it is above the features.
    "agents": ENGINE | {"metrics", "audit", "reports", "health", "insights", "scorecard"},
    "odata": ENGINE | {"metrics", "feedback", "health", "scorecard"},
}
FEATURES = {
    *(
        "charts",
        "audit",
        "reports",
        "feedback",
        "health",
        "scorecard",
        "insights",
        "inbound",
        "webhooks",
        "alerts",
        "monitoring",
        "bi",
        "changes",
    ),
}
# Modules of `http` without the web framework, which any package may use.
PLAIN_HTTP = {
    *(
        "app.http.chart_formats",
        "app.http.csv_table",
        "app.http.encoding",
        "app.http.formats",
        "app.http.openapi",
        "app.http.row_parameters",
        "app.http.vocabularies",
    ),
    "app.http.tables",
}
MAY_USE_THE_FRAMEWORK = {"http", "server", "access", "polling", "ui"}


def modules() -> list[Path]:
    return sorted(APP.rglob("*.py"))


def package_of(path: Path) -> str:
    return path.relative_to(APP).parts[0]


@cache
def imports_of(path: Path) -> frozenset[str]:
    """The full names of everything that a module imports; of `from a import b`, a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def is_within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def file_of(name: str) -> Path | None:
    """The file of the module that an imported name is, or is in."""
    parts = name.split(".")
    for end in (len(parts), len(parts) - 1):
        path = APP.parent.joinpath(*parts[:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.exists():
                return file
    return None


def reachable_from(path: Path) -> set[Path]:
    """All modules of the application that a module imports, directly or through others."""
    reached: set[Path] = set()
    pending = [path]
    while pending:
        for name in imports_of(pending.pop()):
            if name.startswith("app.") and (file := file_of(name)) and file not in reached:
                reached.add(file)
                pending.append(file)
    return reached


def test_every_package_has_a_layer() -> None:
    assert {path.name for path in APP.iterdir() if path.is_dir() and path.name != "__pycache__"} == {*LAYERS, "cli"}


def test_only_what_assembles_the_packages_is_beside_them() -> None:
    assert {path.name for path in APP.glob("*.py")} == {"__init__.py", "catalogues.py", "main.py"}


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_only_the_layers_below_it(package: str) -> None:
    for path in (APP / package).rglob("*.py"):
        allowed = LAYERS[package] | {package} | (ROUTES if path.name == "routes.py" else set())
        names = {f"app.{layer}" for layer in allowed} | PLAIN_HTTP
        ours = {name for name in imports_of(path) if name.startswith("app.")}
        assert {name for name in ours if not is_within(name, names)} == set(), path


def test_no_routes_import_the_routes_of_another_package() -> None:
    for path in APP.rglob("routes.py"):
        assert {name for name in imports_of(path) if ".routes" in name} == set(), path


def test_features_do_not_import_each_other() -> None:
    for package in FEATURES:
        others = {f"app.{other}" for other in FEATURES - {package}}
        for path in (APP / package).rglob("*.py"):
            assert {name for name in imports_of(path) if is_within(name, others)} == set(), path


def test_the_core_imports_nothing_of_the_application() -> None:
    for path in (APP / "core").glob("*.py"):
        assert {name for name in imports_of(path) if is_within(name, {"app"})} <= {
            name for name in imports_of(path) if is_within(name, {"app.core"})
        }, path


def test_the_application_does_not_import_the_migrations() -> None:
    for path in modules():
        assert {name for name in imports_of(path) if is_within(name, {"migrations"})} == set(), path
    env = APP.parent / "migrations" / "env.py"
    ours = {name for name in imports_of(env) if is_within(name, {"app"})}
    assert {name for name in ours if not is_within(name, {"app.core", "app.database"})} == set()


def framework_users() -> Iterator[Path]:
    for path in modules():
        if any(is_within(name, {"fastapi", "starlette", "fastapi_offline"}) for name in imports_of(path)):
            yield path


def test_only_routes_and_what_serves_them_use_the_web_framework() -> None:
    for path in framework_users():
        assert path.name in ("main.py", "routes.py") or package_of(path) in MAY_USE_THE_FRAMEWORK, path


# The API of a vendor, for what its deliveries only name: the host is of the catalogue, and the answer becomes part of a delivery.
MAY_USE_THE_NETWORK = {"app/inbound/fetch.py", "app/webhooks/deliver.py"}


def test_only_few_modules_send_requests() -> None:
    for path in modules():
        if any(is_within(name, {"httpx"}) for name in imports_of(path)):
            assert path.relative_to(APP.parent).as_posix() in MAY_USE_THE_NETWORK, path


def test_packages_that_compute_do_not_load_the_web_framework() -> None:
    users = set(framework_users())
    for package in (
        "core",
        "database",
        "embedded",
        "books",
        "accounts",
        "ledger",
        "ingest",
        "metrics",
        "inbound",
        "demo",
    ):
        for path in (APP / package).rglob("*.py"):
            if path.name != "routes.py":
                assert reachable_from(path) & users == set(), path


def test_commands_do_not_load_the_web_framework() -> None:
    users = set(framework_users())
    for name in COMMANDS.keys() - {"serve", "publish"}:
        path = file_of(COMMANDS[name])
        assert path is not None and reachable_from(path) & users == set(), name


def test_a_command_without_catalogues_uses_no_package_that_has_one() -> None:
    with_catalogues = {
        file for package in ("ledger", "ingest", "metrics", "audit") for file in (APP / package).rglob("*.py")
    }
    for name in WITHOUT_CATALOGUES:
        path = file_of(COMMANDS[name])
        assert path is not None and reachable_from(path) & with_catalogues == set(), name


def test_a_metric_imports_only_what_defines_metrics() -> None:
    for path in (APP / "metrics" / "catalogue").glob("*.py"):
        allowed = {"app.metrics.define", "app.metrics.catalogue", "app.core.catalogues", "fractions"}
        assert {name for name in imports_of(path) if not is_within(name, allowed)} == set(), path


def test_the_environment_is_read_by_the_settings_only() -> None:
    readers = {
        path.relative_to(APP).as_posix()
        for path in modules()
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }
    assert readers <= {"core/settings.py"}


def test_files_and_functions_stay_small() -> None:
    for path in modules():
        text = path.read_text()
        assert text.count("\n") <= 330, f"{path} is too long"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None and node.end_lineno - node.lineno <= 50, f"{path}: {node.name}"
