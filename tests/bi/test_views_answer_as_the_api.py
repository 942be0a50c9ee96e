"""The views answer what the API answers, for every metric, convention, account, month and group."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest

from app.bi.health import renew_health
from app.bi.metric_views import entries
from app.metrics.define import METRICS
from tests.bi.company import UNICODE, fill, query
from tests.support.service import Service

RATIOS = [(own.metric.name, own.metric.convention) for own in entries() if own.ratio is not None]
_TOLERANCE = Decimal("0.000001")
START = "2025-11-01"

Key = tuple[Any, ...]
Parts = tuple[Decimal, Decimal | None]


@pytest.fixture(scope="module")
def company(shared: Service) -> Service:
    fill(shared)
    return shared


def end_of(service: Service) -> str:
    """The day after the running month."""
    month = service.now.date().replace(day=1)
    return str(month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1))


def rows_of(service: Service, metric: str, convention: str, **question: Any) -> list[dict[str, Any]]:
    question = {"granularity": "month", "start": START, "end": end_of(service), "convention": convention} | question
    return service.rows(metric, **question)


def is_near(left: Any, right: Decimal) -> bool:
    return abs(Decimal(str(left)) - right) <= _TOLERANCE * max(Decimal(1), abs(right))


def check(row: dict[str, Any], parts: Parts | None, scale: Decimal | None) -> None:
    """Check that the sums of the view are the number of the API."""
    numerator, denominator = parts or (Decimal(0), None if scale is None else Decimal(0))
    if scale is None:
        assert is_near(row["value"] or 0, numerator), (row, parts)
        return
    assert is_near(row["numerator"] or 0, numerator), (row, parts)
    assert is_near(row["denominator"] or 0, denominator or Decimal(0)), (row, parts)
    if denominator:
        assert row["value"] is not None and is_near(row["value"], scale * numerator / denominator), (row, parts)
    else:
        assert row["value"] is None, (row, parts)


def scales(service: Service) -> dict[tuple[str, str], Decimal | None]:
    rows = query(service, "SELECT metric, convention, scale FROM bi.metrics")
    return {(metric, convention): scale for metric, convention, scale in rows}


@pytest.fixture(scope="module")
def by_account(company: Service) -> dict[Key, dict[Key, Any]]:
    rows: dict[Key, dict[Key, Any]] = defaultdict(dict)
    for account, month, metric, convention, *parts in query(
        company,
        "SELECT account_id, month::text, metric, convention, numerator, denominator, value FROM bi.metric_operands",
    ):
        assert (account, month) not in rows[metric, convention], "one row for each account and month"
        rows[metric, convention][account, month] = parts
    return rows


def test_the_views_have_metrics_of_every_kind() -> None:
    assert len(RATIOS) == 78
    assert len({metric for metric, _ in RATIOS}) >= 55


@pytest.mark.parametrize(("metric", "convention"), RATIOS)
def test_each_account_and_month_has_the_numbers_of_the_api(
    company: Service, by_account: dict[Key, dict[Key, Any]], metric: str, convention: str
) -> None:
    scale = scales(company)[metric, convention]
    expected = dict(by_account[metric, convention])
    for row in rows_of(company, metric, convention, group_by="account"):
        parts = expected.pop((row["group"]["account"], row["start"]), None)
        check(row, parts and (parts[0], parts[1]), scale)
        if parts and parts[2] is not None:
            assert is_near(row["value"], parts[2])
    assert {key for key in expected if key[1] >= START} == set()


@pytest.mark.parametrize(("metric", "convention"), RATIOS)
def test_sums_over_all_accounts_are_the_numbers_of_the_api(
    company: Service, by_account: dict[Key, dict[Key, Any]], metric: str, convention: str
) -> None:
    sums = add_up(by_account[metric, convention].items(), lambda key: key[1])
    for row in rows_of(company, metric, convention):
        check(row, sums.get(row["start"]), scales(company)[metric, convention])


def add_up(items: Any, group_of: Any) -> dict[Any, Parts]:
    sums: dict[Any, list[Any]] = {}
    for key, (numerator, denominator, _) in items:
        own = sums.setdefault(group_of(key), [Decimal(0), None if denominator is None else Decimal(0)])
        own[0] += numerator
        if denominator is not None:
            own[1] += denominator
    return {key: (own[0], own[1]) for key, own in sums.items()}


GROUPED = [
    ("nps", "default"),
    ("mrr", "default"),
    ("nrr", "opening_customers"),
    ("active_users", "default"),
    ("grr", "movements"),
]


@pytest.mark.parametrize(("metric", "convention"), GROUPED)
@pytest.mark.parametrize("key", ["plan", "seats", "vip"])
def test_groups_by_an_attribute_are_those_of_the_api(company: Service, metric: str, convention: str, key: str) -> None:
    rows = query(
        company,
        """
        SELECT own.month::text, held.value_json, sum(numerator), sum(denominator) FROM bi.metric_operands AS own
        LEFT JOIN bi.account_attributes AS held ON held.account_id = own.account_id AND held.key = %s
            AND coalesce(held.valid_from, '-infinity') <= own.month AND own.month < coalesce(held.valid_until, 'infinity')
        WHERE metric = %s AND convention = %s GROUP BY 1, 2""",
        key,
        metric,
        convention,
    )
    sums = {(month, repr(value)): (numerator, denominator) for month, value, numerator, denominator in rows}
    groups = set()
    for row in rows_of(company, metric, convention, group_by=key):
        groups.add(group := row["group"][key])
        check(row, sums.get((row["start"], repr(group))), scales(company)[metric, convention])
    assert groups


@pytest.mark.parametrize(
    ("metric", "convention"),
    [(own.metric.name, own.metric.convention) for own in entries() if own.adds_over_months],
)
def test_months_of_flows_add_up_to_quarters(
    company: Service, by_account: dict[Key, dict[Key, Any]], metric: str, convention: str
) -> None:
    quarters = {"2025-11": "2025-10-01", "2025-12": "2025-10-01", "2026-01": "2026-01-01", "2026-02": "2026-01-01"}
    quarters |= {"2026-03": "2026-01-01", "2025-10": "2025-10-01"}
    sums = add_up(by_account[metric, convention].items(), lambda key: quarters.get(key[1][:7]))
    for row in rows_of(company, metric, convention, start="2025-10-01", end="2026-04-01", granularity="quarter"):
        check(row, sums.get(row["start"]), scales(company)[metric, convention])


def test_the_catalogue_has_every_metric_by_every_convention(company: Service) -> None:
    rows = query(
        company, "SELECT metric, convention, is_default, title, unit, in_metric_operands, reason FROM bi.metrics"
    )
    expected = {(name, own) for name, metric in METRICS.items() for own in metric.conventions}
    assert {row[:2] for row in rows} == expected and len(rows) == len(expected)
    assert {row[0] for row in rows if row[2]} == {metric["name"] for metric in company.get("/v1/metrics")["metrics"]}
    assert all((reason is None) == is_there for *_, is_there, reason in rows)
    there = {row[0] for row in query(company, "SELECT DISTINCT metric FROM bi.metric_operands")}
    assert there <= {row[0] for row in rows if row[5]}


def test_mrr_by_month_is_the_bridge_of_the_api(company: Service) -> None:
    names = {
        "opening": "mrr_opening",
        "new": "mrr_new",
        "reactivated": "mrr_reactivated",
        "expansion": "mrr_expansion",
        "contraction": "mrr_contraction",
        "churned": "mrr_churned",
        "closing": "mrr",
    }
    stored = query(company, f"SELECT account_id, month::text, {', '.join(names)} FROM bi.mrr_by_month")
    by_key = {row[:2]: dict(zip(names, row[2:], strict=True)) for row in stored}
    assert len(by_key) == len(stored) > 10
    for column, metric in names.items():
        for row in rows_of(company, metric, "default", group_by="account"):
            own = by_key.get((row["group"]["account"], row["start"]), {})
            assert is_near(row["value"], own.get(column, Decimal(0))), (column, row)
    for own in by_key.values():
        gains = own["new"] + own["reactivated"] + own["expansion"]
        assert abs(own["opening"] + gains - own["contraction"] - own["churned"] - own["closing"]) < Decimal("1e-10")


@pytest.mark.parametrize(
    ("column", "metric"), [("is_customer_at_start", "customers_opening"), ("is_customer_at_end", "customers")]
)
def test_mrr_by_month_knows_who_is_a_customer(company: Service, column: str, metric: str) -> None:
    customers = set(query(company, f"SELECT account_id, month::text FROM bi.mrr_by_month WHERE {column}"))
    rows = rows_of(company, metric, "default", group_by="account")
    assert {(row["group"]["account"], row["start"]) for row in rows if row["value"]} == {
        key for key in customers if key[1] >= START
    }


def test_mrr_movements_are_those_of_the_api(company: Service) -> None:
    rows = query(company, "SELECT account_id, month::text, kind, amount, change FROM bi.mrr_movements")
    amounts = {row[:3]: row[3] for row in rows}
    assert len(amounts) == len(rows) and {row[2] for row in rows} >= {"new", "expansion", "contraction", "churned"}
    for kind in ("new", "reactivated", "expansion", "contraction", "churned"):
        for row in rows_of(company, f"mrr_{kind}", "default", group_by="account"):
            assert is_near(row["value"], amounts.get((row["group"]["account"], row["start"], kind), Decimal(0)))
    changes: dict[Key, Decimal] = defaultdict(Decimal)
    for account, month, _, _, change in rows:
        changes[account, month] += change
    for row in rows_of(company, "mrr_net_change", "default", group_by="account"):
        assert is_near(row["value"], changes[row["group"]["account"], row["start"]])


@pytest.mark.parametrize("view", ["metric_operands", "mrr_by_month", "mrr_movements"])
def test_the_month_that_runs_is_not_complete(company: Service, view: str) -> None:
    rows = query(company, f"SELECT DISTINCT month::text, complete FROM bi.{view} WHERE month >= '{START}'")
    expected = {row["start"]: row["complete"] for row in rows_of(company, "mrr", "default")}
    assert all(expected[month] is complete for month, complete in rows)
    assert {complete for _, complete in rows} == {True, False}


def test_entries_dated_after_today_do_not_count_yet(company: Service) -> None:
    [(closing,)] = query(
        company,
        "SELECT closing FROM bi.mrr_by_month WHERE account_id = %s AND month = date_trunc('month', %s::date)",
        UNICODE,
        company.now.date(),
    )
    assert closing.quantize(_TOLERANCE, ROUND_HALF_EVEN) == Decimal("108.333333"), "what is scheduled is ahead"


def test_accounts_are_those_of_the_api(company: Service) -> None:
    rows = query(company, "SELECT account_id, name, attributes FROM bi.accounts")
    listed = company.get("/v1/accounts", limit=1000)["accounts"]
    assert {row[0]: row[1:] for row in rows} == {own["id"]: (own["name"], own["attributes"]) for own in listed}
    assert (UNICODE, "Zoë's", {"name": "Zoë's", "plan": "pro", "seats": 3, "vip": True}) in rows


def test_attributes_have_intervals_without_overlap_and_those_of_today_are_the_current_ones(company: Service) -> None:
    rows = query(company, "SELECT account_id, key, value, valid_from, valid_until FROM bi.account_attributes")
    assert (UNICODE, "plan", "größer") in {row[:3] for row in rows}
    stretches: dict[Key, list[Any]] = defaultdict(list)
    for account, key, _, start, end in rows:
        stretches[account, key].append((str(start or "0"), str(end or "9")))
    for own in stretches.values():
        own.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(own))
    current = query(company, "SELECT account_id, key, value_json FROM bi.account_attributes WHERE is_current")
    by_account: dict[str, dict[str, Any]] = defaultdict(dict)
    for account, key, value in current:
        by_account[account][key] = value
    for own in company.get("/v1/accounts", limit=1000)["accounts"]:
        assert by_account[own["id"]] == own["attributes"]


def test_responses_are_counted_as_the_api_counts_them(company: Service) -> None:
    rows = query(
        company,
        "SELECT account_id, month::text, survey_id, class, count(*) FROM bi.survey_responses GROUP BY 1, 2, 3, 4",
    )
    assert len(rows) > 5
    counts: dict[Key, int] = defaultdict(int)
    for account, month, survey, own_class, count in rows:
        counts[account, month, survey] += count
        counts[account, month, survey, own_class] += count
    for row in rows_of(company, "survey_responses", "default", group_by="account,subject"):
        assert row["value"] == counts[row["group"]["account"], row["start"], row["group"]["subject"]]
    for metric, classes in {
        "nps": ("promoter", "detractor"),
        "csat": ("satisfied", ""),
        "ces_easy_rate": ("easy", ""),
    }.items():
        convention = METRICS[metric].convention
        for row in rows_of(company, metric, convention, group_by="account,subject"):
            key = (row["group"]["account"], row["start"], row["group"]["subject"])
            assert row["numerator"] == counts[*key, classes[0]] - counts[*key, classes[1]], row
            assert row["denominator"] == counts[key]


def test_responses_have_their_channel_score_and_comment(company: Service) -> None:
    rows = query(
        company,
        "SELECT score, class, channel, user_id, comment, kind FROM bi.survey_responses WHERE account_id = %s ORDER BY 1",
        UNICODE,
    )
    rest = ("email", "zoë", "Très bien 🎉", "nps")
    assert rows == [(3, "detractor", *rest), (7, "passive", *rest), (10, "promoter", *rest)]
    counts = query(
        company, "SELECT survey_id, count(*), count(comment), sum(score) FROM bi.survey_responses GROUP BY 1"
    )
    comments = rows_of(company, "feedback_comments", "default", group_by="subject")
    by_survey: dict[str, int] = defaultdict(int)
    for row in comments:
        by_survey[row["group"]["subject"]] += row["value"]
    assert {survey: comments for survey, _, comments, _ in counts if comments} == {
        survey: count for survey, count in by_survey.items() if survey and count
    }


def test_surveys_are_those_of_the_api(company: Service) -> None:
    rows = query(
        company,
        "SELECT survey_id, kind, lowest_score, highest_score, satisfied_from, easy_is, question FROM bi.surveys",
    )
    assert {row[0]: row[1:] for row in rows} == {
        own["id"]: (
            own["kind"],
            own["scale"]["min"],
            own["scale"]["max"],
            own["satisfied_from"],
            own["easy_is"],
            own["question"],
        )
        for own in company.get("/v1/surveys")["surveys"]
    }


TICKETS = {
    "support_tickets": ("default", "month", "count(*)", "value"),
    "tickets_resolved": ("default", "date_trunc('month', resolved_on)::date", "count(*)", "value"),
    "first_contact_resolution_rate": ("opened", "month", "count(*) FILTER (WHERE is_first_contact)", "numerator"),
    "average_first_response_hours": ("default", "month", "sum(first_response_seconds) / 3600.0", "numerator"),
    "average_resolution_hours": ("by_opening", "month", "sum(resolution_seconds) / 3600.0", "numerator"),
}


@pytest.mark.parametrize("metric", TICKETS)
def test_tickets_are_counted_as_the_api_counts_them(company: Service, metric: str) -> None:
    convention, month, count, member = TICKETS[metric]
    rows = query(company, f"SELECT account_id, channel, ({month})::text, {count} FROM bi.tickets GROUP BY 1, 2, 3")
    counts = {row[:3]: row[3] or 0 for row in rows}
    compared = 0
    for row in rows_of(company, metric, convention, group_by="account,channel"):
        own = counts.get((row["group"]["account"], row["group"]["channel"], row["start"]), 0)
        assert is_near(row[member] or 0, Decimal(own)), (row, own)
        compared += bool(own)
    assert compared > 1


def test_open_tickets_are_those_of_the_overview(company: Service) -> None:
    for account in (own["id"] for own in company.get("/v1/accounts", limit=1000)["accounts"]):
        rows = query(
            company, "SELECT ticket_id, channel, priority FROM bi.tickets WHERE account_id = %s AND is_open", account
        )
        overview = company.request("GET", f"/v1/accounts/{quote(account, safe='')}/overview").json()
        assert sorted(rows, key=str) == sorted(
            ((own["ticket_id"], own["channel"], own["priority"]) for own in overview["open_tickets"]), key=str
        )


@pytest.fixture
def health(company: Service) -> Iterator[Service]:
    company.run(renew_health(company.books, is_forced=True))
    yield company


def test_health_is_that_of_the_api(health: Service) -> None:
    rows = query(
        health,
        "SELECT account_id, score, band, coverage, flags, is_customer, mrr, override_score, model_version, day::text "
        "FROM bi.health",
    )
    answer = health.get("/v1/health", accounts="all")
    assert len(rows) == len(answer["accounts"]) > 3
    by_account = {row[0]: row[1:] for row in rows}
    for own in answer["accounts"]:
        score, band, coverage, flags, is_customer, mrr, override, version, day = by_account[own["account"]]
        assert (score if score is None else float(score), band, float(coverage)) == (
            own["score"],
            own["band"],
            own["coverage"],
        )
        assert (flags, is_customer, str(mrr)) == (own["flags"], own["customer"], own["mrr"])
        assert override == (own["override"] and own["override"]["score"])
        assert (version, day) == (answer["model_version"], answer["as_of"])


def test_components_of_health_are_those_of_the_api(health: Service) -> None:
    rows = query(
        health,
        "SELECT component, title, kind, unit, value::float, score::float, weight::float, contribution::float "
        "FROM bi.health_components WHERE account_id = %s",
        UNICODE,
    )
    names = ("id", "title", "kind", "unit", "value", "score", "weight", "contribution")
    components = health.get(f"/v1/accounts/{quote(UNICODE, safe='')}/health")["components"]
    assert rows == [tuple(own[name] for name in names) for own in components] != []


def test_the_books_say_what_holds_for_all_numbers(company: Service) -> None:
    assert query(company, "SELECT base_currency, reporting_timezone, week_start, today::text FROM bi.books") == [
        (
            company.books.currency,
            str(company.books.calendar.zone),
            company.books.calendar.week_start,
            str(company.now.date()),
        )
    ]
