"""Write results as Markdown pages, from JSON files in the cache."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.run_questions import is_wrong, verdict

Result = dict[str, Any]

_SLOWEST = 8
_ENGINES = ("service", "postgres", "duckdb")


def write_page(cache: Path, folder: Path, result: Result) -> Path:
    """Store a result and write its page. Return the page.

    What an earlier run measured of the same size, and this one did not, is taken from the cache.
    """
    for path in (cache, folder):
        path.mkdir(parents=True, exist_ok=True)
    file = cache / f"{result['name']}.json"
    if file.exists():
        result = json.loads(file.read_text()) | result
    file.write_text(json.dumps(result, indent=1) + "\n")
    page = folder / f"{result['name']}.md"
    page.write_text(_page(result))
    return page


def write_comparison(cache: Path, folder: Path) -> Path:
    """Write the page that compares the sizes, once there are several of them in the cache. Return the page."""
    stored = [json.loads(path.read_text()) for path in cache.glob("*.json")]
    stored.sort(key=lambda result: (result["data"]["accounts"], result["data"]["usage_events"]))
    page = folder / "README.md"
    if len(stored) > 1:
        page.write_text(_comparison({result["name"]: result for result in stored}))
    return page


def _page(result: Result) -> str:
    data = result["data"]
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in data.items())
    parts = [f"# {result['name']}", f"The data: {rows}."]
    if "questions" in result:
        parts += _questions(result["questions"])
    if "ingest" in result:
        parts += _ingest(result["ingest"])
    return "\n\n".join(parts) + "\n"


def _questions(section: Result) -> list[str]:
    loaded = section["load"]
    seconds = ", ".join(f"{name} {number:,.0f} s" for name, number in loaded["seconds"].items())
    ways = {
        "http": "all were sent to `POST /v1/events`",
        "copy": "usage events were copied into the table `event` and posted by `csmetrics rebuild`, all others were sent to "
        "`POST /v1/events`",
    }
    sizes = ", ".join(f"`{name}` {size / 2**20:,.0f} MB" for name, size in loaded["bytes"].items())
    floor = section["floor"]["p50"]
    rows = []
    for question in section["questions"]:
        times = {engine: question[engine]["p50"] if engine in question else None for engine in _ENGINES}
        ratios = [_ratio(times["service"], times[engine]) for engine in ("duckdb", "postgres")]
        name = f"{question['name']} {question['title']}"
        rows.append([name, *map(_number, times.values()), *ratios, verdict(question)])
    header = [
        "p50 in ms",
        "service over HTTP",
        "raw SQL on PostgreSQL",
        "DuckDB",
        "÷ DuckDB",
        "÷ SQL",
        "same numbers",
    ]
    notes = [f"- {question['name']}: {question['note']}" for question in section["questions"] if question["note"]]
    stale = " **The code that writes has changed since then.**" if loaded["stale"] else ""
    return [
        "## Questions",
        _conditions(section),
        f"The service's database has {loaded['events']:,} events: {ways[loaded['way']]}, on {loaded['loaded_on']} ({seconds}). "
        f"After that `VACUUM ANALYZE`, as for the raw tables.{stale} Its largest tables: {sizes}.",
        f"One worker, one kept-alive connection, a key that is looked up for each request, nothing cached. `GET /healthz` takes "
        f"{floor:.2f} ms, which is the least that HTTP costs. Times are medians of {section['questions'][0]['postgres']['runs']} "
        f"runs, and of fewer for DuckDB and for SQL that takes seconds. A ratio below 1 means that the service is faster. q9 is "
        f"about an account that responded to all three surveys in that month; of these, the one with the median amount of usage.",
        _table(header, rows),
        "\n".join(["Where definitions differ:", "", *notes]),
        *(_catalogue(section["catalogue"]) if "catalogue" in section else []),
    ]


def _catalogue(section: Result) -> list[str]:
    alone = sorted(section["alone"].items(), key=lambda item: -item[1]["p50"])
    together = section["together"]
    median = alone[len(alone) // 2][1]["p50"]
    return [
        "## The whole catalogue",
        f"Each of the {len(alone)} metrics by month and plan over two years, over HTTP like the questions. Half of them take at "
        f"most {median:.1f} ms. The slowest are:",
        _table(
            ["metric", "p50 in ms", "p95"], [[n, _number(t["p50"]), _number(t["p95"])] for n, t in alone[:_SLOWEST]]
        ),
        f"{together['metrics']} metrics in one request take {together['p50']:.0f} ms, {together['p50'] / together['one']:.1f} "
        f"times as long as one of them alone ({together['one']:.1f} ms on average).",
    ]


def _ingest(section: Result) -> list[str]:
    cases = sorted(section["cases"], key=_order)
    singles = [_row(case) for case in cases if case["batch"] == 1]
    batches = [_row(case) for case in cases if case["batch"] > 1]
    header = ["events per request", "clients", "workers", "events/s"]
    times = ["ratio", "request p50 ms", "p95 ms", "times busy"]
    return [
        "## Ingest over HTTP",
        _conditions(section),
        "Usage events in the order of time, into a database that has all accounts, users, surveys, tickets and subscriptions and "
        f"no usage yet. Numbers are medians of {section['rounds']} rounds. Each case has new events, and the comparison is "
        "measured right after it with the same events. A ratio above 1 means that the service is faster. A request for which the "
        "service was too busy (503) is sent again, and its time goes on.",
        "Batches, compared with `COPY` of the same rows into a table like `event`, a thousand rows per transaction, on one "
        "connection:",
        _table([*header, "COPY rows/s", *times], batches),
        "Single events, compared with the least that an insert over HTTP costs (FastAPI, a Pydantic model, one row in its own "
        "transaction; [minimal_insert.py](../minimal_insert.py)), with the same number of workers:",
        _table([*header, "minimal inserts/s", *times], singles),
    ]


def _order(case: Result) -> tuple[int, int, int]:
    return case["batch"], case["workers"], case["clients"]


def _row(case: Result) -> list[Any]:
    request = case["request"]
    times = [_number(request["p50"]), _number(request["p95"])]
    rates = [f"{case['rate']:,}", f"{case['comparison']:,}", f"{case['ratio']:.3f}"]
    return [f"{case['batch']:,}", case["clients"], case["workers"], *rates, *times, case["busy"]]


def _conditions(section: Result) -> str:
    machine = section["machine"]
    settings = ", ".join(f"`{name}={value}`" for name, value in machine["postgres"].items() if name != "server_version")
    return (
        f"{section['measured_at']}, {machine['cores']} cores, {machine['memory_gb']} GB, load at the start "
        f"{machine['load']:.2f}; Python {machine['python']}, PostgreSQL {machine['postgres']['server_version']} "
        f"({settings}), DuckDB {machine['duckdb']}. Everything ran on the same machine, so only ratios within this run mean "
        "anything."
    )


def _comparison(results: dict[str, Result]) -> str:
    parts = [
        "# Results",
        f"Written by `make bench`: {', '.join(f'[{name}]({name}.md)' for name in results)}. Each page says what was measured and "
        "how.",
    ]
    answered = {name: result for name, result in results.items() if "questions" in result}
    if answered:
        parts += [
            "## Questions: the service's time, in brackets divided by DuckDB's",
            _by_question(answered, answered, _time_and_ratio),
        ]
    for larger in ("10m", "1m-10x-accounts"):
        if larger in answered and "1m" in answered:
            pair = {"larger": answered[larger], "smaller": answered["1m"]}
            table = _by_question(dict.fromkeys(_ENGINES, pair), answered, _growth)
            parts += [f"## Growth: {larger} compared with 1m", table]
    ingested = {name: result["ingest"]["cases"] for name, result in results.items() if "ingest" in result}
    if ingested:
        parts += [
            "## Ingest: events per second, in brackets divided by those of COPY or the minimal insert",
            _by_case(ingested),
        ]
    return "\n\n".join(parts) + "\n"


def _by_question(columns: dict[str, Any], answered: dict[str, Result], cell: Callable[[Any, str, str], str]) -> str:
    questions = next(iter(answered.values()))["questions"]["questions"]
    titles = {question["name"]: question["title"] for question in questions}
    rows = [
        [f"{name} {title}", *(cell(content, name, column) for column, content in columns.items())]
        for name, title in titles.items()
    ]
    return _table(["", *columns], rows)


def _time_and_ratio(result: Result, name: str, _: str) -> str:
    question = _find_question(result, name)
    if "service" not in question:
        return ""
    mark = " **DIFF**" if is_wrong(question) else ""
    time, duckdb = question["service"]["p50"], question["duckdb"]["p50"]
    return f"{_number(time)} ms ({_ratio(time, duckdb)}){mark}"


def _growth(pair: dict[str, Result], name: str, engine: str) -> str:
    larger, smaller = (_find_question(pair[size], name).get(engine) for size in ("larger", "smaller"))
    return f"{_ratio(larger['p50'], smaller['p50'])}×" if larger and smaller else ""


def _find_question(result: Result, name: str) -> Result:
    return next(question for question in result["questions"]["questions"] if question["name"] == name)


def _by_case(ingested: dict[str, list[Result]]) -> str:
    by_case = [
        {_order(case): f"{case['rate']:,} ({case['ratio']:.3f})" for case in cases} for cases in ingested.values()
    ]
    rows = []
    for batch, workers, clients in sorted({case for cells in by_case for case in cells}):
        name = f"batches of {batch:,}" if batch > 1 else "single events"
        rows.append([name, clients, workers, *(cells.get((batch, workers, clients), "") for cells in by_case)])
    return _table(["", "clients", "workers", *ingested], rows)


def _ratio(number: float | None, divisor: float | None) -> str:
    return f"{number / divisor:.2f}" if number is not None and divisor else ""


def _number(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:.2f}" if number < 10 else f"{number:,.0f}"


def _table(header: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
