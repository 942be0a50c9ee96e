"""What was measured, as Markdown for people; beside each page a file of JSON for machines."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.asking import is_wrong, verdict

Result = dict[str, Any]

_SLOWEST = 8


def keep(folder: Path, result: Result) -> Path:
    """Write a result, and what an earlier run measured of the same size but this one did not; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result['name']}.json"
    if file.exists():
        result = json.loads(file.read_text()) | result
    file.write_text(json.dumps(result, indent=1) + "\n")
    page = file.with_suffix(".md")
    page.write_text(_page(result))
    return page


def compare(folder: Path) -> Path:
    """Write the page that lays the sizes side by side."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    found.sort(key=lambda result: (result["data"]["accounts"], result["data"]["usage_events"]))
    results = {result["name"]: result for result in found}
    page = folder / "README.md"
    page.write_text(_comparison(results))
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
    took = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in loaded["seconds"].items())
    ways = {
        "http": "all events came in through `POST /v1/events`",
        "copy": "usage events were copied into the table `event` and posted by `csmetrics rebuild`, all others came in "
        "through `POST /v1/events`",
    }
    sizes = ", ".join(f"`{name}` {size / 2**20:,.0f} MB" for name, size in loaded["bytes"].items())
    floor = section["floor"]["p50"]
    rows = []
    for found in section["questions"]:
        times = {peer: found[peer]["p50"] if peer in found else None for peer in ("service", "postgres", "duckdb")}
        ratios = [_ratio(times["service"], times[peer]) for peer in ("duckdb", "postgres")]
        name = f"{found['name']} {found['title']}"
        rows.append([name, *map(_number, times.values()), *ratios, verdict(found)])
    header = [
        "p50 in ms",
        "service over HTTP",
        "raw SQL on PostgreSQL",
        "DuckDB",
        "÷ DuckDB",
        "÷ SQL",
        "the same numbers",
    ]
    notes = [f"- {found['name']}: {found['note']}" for found in section["questions"] if found["note"]]
    stale = " **The code that writes has changed since it was loaded.**" if loaded["stale"] else ""
    return [
        "## Questions",
        _measured(section),
        f"The service's database: {loaded['events']:,} events; {ways[loaded['way']]}, on {loaded['loaded_on']} ({took}); "
        f"then `VACUUM ANALYZE`, as for the raw tables.{stale} Its largest tables: {sizes}.",
        f"One worker, one connection that is kept alive, a key that is looked up for each request, nothing cached. "
        f"`GET /healthz` takes {floor:.2f} ms, which is the floor of HTTP. Runs, of which p50 is taken: "
        f"{section['questions'][0]['postgres']['runs']}; DuckDB, and SQL that takes seconds, fewer. "
        f"A ratio below 1 means that the service is faster. q9 is of an account that answered all three surveys in that month; "
        f"of these, the one with the median amount of usage.",
        _table(header, rows),
        "\n".join(["Where definitions differ:", "", *notes]),
        *(_catalogue(section["catalogue"]) if "catalogue" in section else []),
    ]


def _catalogue(found: Result) -> list[str]:
    alone = sorted(found["alone"].items(), key=lambda item: -item[1]["p50"])
    together = found["together"]
    median = alone[len(alone) // 2][1]["p50"]
    return [
        "## The whole catalogue",
        f"Each of the {len(alone)} metrics by month and plan over two years, over HTTP like the questions: half of them take at "
        f"most {median:.1f} ms. The slowest:",
        _table(
            ["metric", "p50 in ms", "p95"], [[n, _number(t["p50"]), _number(t["p95"])] for n, t in alone[:_SLOWEST]]
        ),
        f"{together['metrics']} metrics in one answer take {together['p50']:.0f} ms, {together['p50'] / together['one']:.1f} "
        f"times one of them alone ({together['one']:.1f} ms on average).",
    ]


def _ingest(section: Result) -> list[str]:
    cases = sorted(section["cases"], key=_order)
    singles = [_row(case) for case in cases if case["batch"] == 1]
    batches = [_row(case) for case in cases if case["batch"] > 1]
    header = ["events a request", "clients", "workers", "events/s"]
    times = ["ratio", "request p50 ms", "p95 ms", "times busy"]
    return [
        "## Ingest over HTTP",
        _measured(section),
        "Usage events in the order of their time into books that know all accounts, users, surveys, tickets and subscriptions "
        f"and no usage yet. Medians of {section['rounds']} rounds; each case has fresh events and, right after it, its peer "
        "gets the same ones. A ratio above 1 means that the service is faster. A request that the service was too busy for (503) "
        "is sent again, and its time goes on.",
        "Batches, beside `COPY` of the same rows into a table like `event`, a thousand rows a transaction, on one connection:",
        _table([*header, "COPY rows/s", *times], batches),
        "Single events, beside the least that an insert over HTTP costs (FastAPI, a Pydantic model, one row in its own "
        "transaction; [bench/bare.py](../bare.py)), with as many workers:",
        _table([*header, "bare events/s", *times], singles),
    ]


def _order(case: Result) -> tuple[int, int, int]:
    return case["batch"], case["workers"], case["clients"]


def _row(case: Result) -> list[Any]:
    request = case["request"]
    times = [_number(request["p50"]), _number(request["p95"])]
    rates = [f"{case['rate']:,}", f"{case['peer']:,}", f"{case['ratio']:.3f}"]
    return [f"{case['batch']:,}", case["clients"], case["workers"], *rates, *times, case["busy"]]


def _measured(section: Result) -> str:
    machine = section["machine"]
    settings = ", ".join(f"`{name}={value}`" for name, value in machine["postgres"].items() if name != "server_version")
    return (
        f"{section['measured_at']}, {machine['cores']} cores, {machine['memory_gb']} GB, load at the start "
        f"{machine['load']:.2f}; Python {machine['python']}, PostgreSQL {machine['postgres']['server_version']} "
        f"({settings}), DuckDB {machine['duckdb']}. Everything ran on the same machine, so only ratios within this run count."
    )


def _comparison(results: dict[str, Result]) -> str:
    parts = [
        "# Results",
        "Written by `make bench`: "
        + ", ".join(f"[{name}]({name}.md)" for name in results)
        + ". What is measured and how "
        "is said on each page.",
    ]
    asked = {name: result for name, result in results.items() if "questions" in result}
    if asked:
        parts += [
            "## Questions: the service's time, in brackets divided by DuckDB's",
            _by_question(asked, asked, _time_and_ratio),
        ]
    pairs = [(one, other) for one in ("10m", "1m-10x-accounts") if one in asked and (other := "1m") in asked]
    for larger, smaller in pairs:
        columns = {peer: peer for peer in ("service", "postgres", "duckdb")}
        names = {name: {"larger": asked[larger], "smaller": asked[smaller]} for name in columns}
        parts += [
            f"## Growth: {larger} against {smaller}",
            _by_question(names, asked, lambda pair, question, name: _growth(pair, question, name)),
        ]
    ingested = {name: result["ingest"]["cases"] for name, result in results.items() if "ingest" in result}
    if ingested:
        parts += [
            "## Ingest: events per second, in brackets divided by COPY's or the bare insert's",
            _by_case(ingested),
        ]
    return "\n\n".join(parts) + "\n"


def _by_question(columns: dict[str, Any], asked: dict[str, Result], cell: Callable[[Any, str, str], str]) -> str:
    titles = {question["name"]: question["title"] for question in next(iter(asked.values()))["questions"]["questions"]}
    rows = [
        [f"{name} {title}", *(cell(content, name, column) for column, content in columns.items())]
        for name, title in titles.items()
    ]
    return _table(["", *columns], rows)


def _time_and_ratio(result: Result, question: str, _: str) -> str:
    found = _found(result, question)
    if "service" not in found:
        return ""
    mark = " **DIFF**" if is_wrong(found) else ""
    return f"{_number(found['service']['p50'])} ms ({_ratio(found['service']['p50'], found['duckdb']['p50'])}){mark}"


def _growth(pair: dict[str, Result], question: str, peer: str) -> str:
    larger, smaller = (_found(pair[name], question).get(peer) for name in ("larger", "smaller"))
    return f"{_ratio(larger['p50'], smaller['p50'])}×" if larger and smaller else ""


def _found(result: Result, question: str) -> Result:
    return next(found for found in result["questions"]["questions"] if found["name"] == question)


def _by_case(ingested: dict[str, list[Result]]) -> str:
    by_case = [
        {_order(case): f"{case['rate']:,} ({case['ratio']:.3f})" for case in cases} for cases in ingested.values()
    ]
    rows = []
    for batch, workers, clients in sorted({case for cells in by_case for case in cells}):
        name = f"batches of {batch:,}" if batch > 1 else "single events"
        rows.append([name, clients, workers, *(cells.get((batch, workers, clients), "") for cells in by_case)])
    return _table(["", "clients", "workers", *ingested], rows)


def _ratio(one: float | None, other: float | None) -> str:
    return f"{one / other:.2f}" if one is not None and other else ""


def _number(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:.2f}" if number < 10 else f"{number:,.0f}"


def _table(header: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
