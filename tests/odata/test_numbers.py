"""`MetricValues` and the other sets have the numbers that the API has: over questions, groups, reasons and awkward names."""

import json
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from app.metrics.define import METRICS
from app.odata import attribute_types
from tests.odata.feeds import NAMES, get, rows, text
from tests.support.service import Service, account_update, event, session, survey_responses

RANGE = {"start": "2026-01-01", "end": "2026-04-01"}
IN_RANGE = "start ge 2026-01-01 and start lt 2026-04-01"


def shown(row: dict[str, Any], attributes: list[str]) -> dict[str, Any]:
    """A row of the API as the feed shows it, without its constant columns."""
    group = row["group"]
    values = [group[name] for name in attributes] + [None] * (3 - len(attributes))
    low, high = row["interval"] or (None, None)
    return {name: row[name] for name in ("metric", "convention", "period", "start", "end", "complete")} | {
        "group": json.dumps(group, ensure_ascii=False),
        "segment": group.get("segment"),
        "account_id": group.get("account"),
        "subject": group.get("subject"),
        "channel": group.get("channel"),
        **{
            f"group_{number}": value if value is None or isinstance(value, str) else json.dumps(value)
            for number, value in enumerate(values, 1)
        },
        **{name: row[name] for name in ("value", "numerator", "denominator", "sample_size")},
        "interval_low": low,
        "interval_high": high,
        "amount": None if row.get("amount") is None else float(row["amount"]),
        "reason": row.get("reason"),
    }


def check(
    service: Service, filter: str, question: dict[str, Any], *attributes: str, page_rows: int = 7, **options: Any
) -> None:
    answer = service.get("/v1/query", **question)
    expected = [shown(row, list(attributes)) for row in answer["rows"]]
    found = rows(service, "MetricValues", filter=filter, headers={"Prefer": f"maxpagesize={page_rows}"}, **options)
    assert [{name: row[name] for name in expected[0]} for row in found] == expected
    units = {name: METRICS[name].unit for name in METRICS}
    for row in found:
        assert row["unit"] == units[row["metric"]] and row["start_at"] == f"{row['start']}T00:00:00Z"
        assert row["currency"] == ("USD" if row["unit"] == "money" else None)


GROUPINGS = [
    ("plan", ["plan"]),
    ("plan,vip", ["plan", "vip"]),
    ("seats,plan,vip", ["seats", "plan", "vip"]),
    ("account", []),
    ("segment", []),
    ("plan,segment,account", ["plan"]),
]


@pytest.mark.parametrize(("group_by", "attributes"), GROUPINGS, ids=[name for name, _ in GROUPINGS])
def test_groups_have_the_numbers_of_the_api(group_by: str, attributes: list[str], company: Service) -> None:
    names = "nps,mrr,sessions,nrr,csat"
    choice = ",".join(f"'{name}'" for name in names.split(","))
    filter = f"metric in ({choice}) and {IN_RANGE} and group_by eq {text(group_by)}"
    check(company, filter, RANGE | {"metrics": names, "group_by": group_by}, *attributes)
    check(company, f"metric in ({choice}) and {IN_RANGE}", RANGE | {"metrics": names, "group_by": group_by},
          *attributes, group_by=group_by)  # fmt: skip


@pytest.mark.parametrize("granularity", ["day", "week", "month", "quarter", "year", "total"])
def test_every_granularity_has_the_numbers_of_the_api(granularity: str, company: Service) -> None:
    whole = {"week": ("2026-01-05", "2026-03-16"), "year": ("2026-01-01", "2027-01-01")}
    start, end = whole.get(granularity, ("2026-01-01", "2026-04-01"))
    filter = (
        f"(metric eq 'nps' or metric eq 'mrr') and granularity eq '{granularity}' and start ge {start} and end le {end}"
    )
    check(company, filter, {"metrics": "nps,mrr", "granularity": granularity, "start": start, "end": end})


def test_all_metrics_of_the_last_months_are_there_without_any_filter(company: Service) -> None:
    # Each page computes all metrics again.
    check(company, "", {"metrics": ",".join(sorted(METRICS))}, page_rows=500)


def test_subjects_channels_and_segments_narrow_and_group(company: Service) -> None:
    check(company, f"metric eq 'nps' and subject eq 'nps' and {IN_RANGE}",
          RANGE | {"metrics": "nps", "subject": "nps", "group_by": "subject"})  # fmt: skip
    check(company, f"metric eq 'nps' and channel in ('email') and {IN_RANGE}",
          RANGE | {"metrics": "nps", "channel": "email", "group_by": "channel"})  # fmt: skip
    check(company, f"metric eq 'mrr' and segment eq 'o''neil' and {IN_RANGE}",
          RANGE | {"metrics": "mrr", "segment": "o'neil", "group_by": "segment"})  # fmt: skip
    check(company, f"metric eq 'mrr' and {IN_RANGE}", RANGE | {"metrics": "mrr", "segment": "vips"}, segment="vips")
    for name in NAMES:
        check(company, f"metric eq 'mrr' and account_id eq {text(name)} and {IN_RANGE}",
              RANGE | {"metrics": "mrr", "account": name, "group_by": "account"})  # fmt: skip


def test_conventions_are_asked_for_by_name(company: Service) -> None:
    [metric] = [own for own in METRICS.values() if own.name == "nrr"]
    for name in metric.conventions:
        check(company, f"metric eq 'nrr' and convention eq '{name}' and {IN_RANGE}",
              RANGE | {"metrics": "nrr", "convention": name})  # fmt: skip
    found = rows(company, "MetricValues", filter=f"metric eq 'nrr' and convention ne null and {IN_RANGE}")
    assert {row["convention"] for row in found} == {*metric.conventions}


def test_a_number_without_a_value_has_a_reason(company: Service) -> None:
    [row] = rows(company, "MetricValues", filter="metric eq 'nps' and period eq '2026-01'")
    assert (row["value"], row["reason"]) == (None, "no_responses")
    assert rows(company, "MetricValues", filter=f"metric eq 'nps' and reason eq null and {IN_RANGE}") != []
    nothing = rows(company, "MetricValues", filter=f"metric eq 'nps' and reason ne null and {IN_RANGE}")
    assert [row["period"] for row in nothing] == ["2026-01", "2026-02"]


def test_what_was_known_on_a_day_is_an_option(service: Service) -> None:
    service.send(*survey_responses("nps", [0, 0, 10], "x y"))
    service.later(days=3).send(*survey_responses("nps", [0], "x y"))
    question = RANGE | {"metrics": "nps", "as_of": "2026-03-15"}
    check(service, f"metric eq 'nps' and {IN_RANGE}", question, as_of="2026-03-15")


def test_the_rest_of_a_filter_is_applied_to_the_rows(company: Service) -> None:
    all_rows = rows(company, "MetricValues", filter=f"group_by eq 'account' and {IN_RANGE}")
    found = rows(
        company,
        "MetricValues",
        filter=f"group_by eq 'account' and {IN_RANGE} and (value gt 50 or contains(account_id,'o''n')) "
        "and not (complete eq true)",
    )
    expected = [
        row
        for row in all_rows
        if ((row["value"] is not None and row["value"] > 50) or "o'n" in row["account_id"]) and not row["complete"]
    ]
    assert found == expected and expected


@pytest.mark.parametrize(
    ("condition", "periods"),
    [
        ("start ge 2026-01-15", ["2026-02", "2026-03"]),
        ("start_at ge 2026-01-01T00:00:00Z and start_at lt 2026-03-01T00:00:00Z", ["2026-01", "2026-02"]),
        ("start_at ge 2026-01-01T01:00:00%2B01:00 and start_at lt 2026-02-01T00:00:00Z", ["2026-01"]),
        ("end eq 2026-03-01", ["2026-02"]),
        ("end gt 2026-02-01 and end le 2026-03-01", ["2026-02"]),
        ("not (start lt 2026-02-01) and not (start gt 2026-02-01)", ["2026-02"]),
        ("period in ('2026-01','2025-12')", ["2025-12", "2026-01"]),
        ("2026-02-01 le start", ["2026-02", "2026-03"]),
        ("start eq 2026-01-01 or start eq 2026-03-01", ["2026-01", "2026-03"]),
        ("start ge 2027-01-01", []),
        ("start ge 2026-02-01 and start lt 2026-02-01", []),
        ("start gt 2026-03-01 and start lt 2026-06-01", ["2026-04", "2026-05"]),
        ("period eq '2026-02' and complete eq true", ["2026-02"]),
        ("start ge 2026-01-01 and complete eq true", ["2026-01", "2026-02"]),
    ],
)
def test_ranges_select_whole_periods(condition: str, periods: list[str], service: Service) -> None:
    filter = f"metric eq 'sessions' and ({condition})".replace("%2B", "+")
    assert [row["period"] for row in rows(service, "MetricValues", filter=filter)] == periods


def test_without_a_lower_limit_a_range_begins_twelve_months_before_the_upper_one(service: Service) -> None:
    found = rows(service, "MetricValues", filter="metric eq 'sessions' and start lt 2024-03-01")
    assert (found[0]["period"], found[-1]["period"], len(found)) == ("2023-03", "2024-02", 12)


def test_partitions_of_an_incremental_refresh_have_each_row_once(company: Service) -> None:
    bounds = ["2025-12-01", "2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"]
    parts = [
        row
        for first, after in pairwise(bounds)
        for row in rows(
            company,
            "MetricValues",
            filter=f"group_by eq 'plan' and start_at ge {first}T00:00:00Z and start_at lt {after}T00:00:00Z",
        )
    ]
    whole = rows(company, "MetricValues", filter="group_by eq 'plan' and start ge 2025-12-01 and start lt 2026-04-01")
    identity = ("metric", "period", "group")
    # A group has a row for each period of a question in which it has anything.
    by_identity = {tuple(row[name] for name in identity): row for row in whole}
    by_part = {tuple(row[name] for name in identity): row for row in parts}
    assert len(by_part) == len(parts) and by_part.items() <= by_identity.items()
    assert {by_identity[own]["value"] for own in by_identity.keys() - by_part.keys()} <= {0, None}


@pytest.mark.parametrize("name", ["SurveyResponses", "Feedback"])
def test_partitions_by_time_have_each_row_once_however_their_limits_are_written(name: str, company: Service) -> None:
    # Limits at which something has occurred, with the decimals of Power BI and with another offset from UTC.
    bounds = ["2026-01-01T00:00:00Z", "2026-02-11T12:00:00.0000000Z", "2026-03-10T13:00:00+01:00", "2026-04-01T00:00Z"]
    whole = rows(company, name)
    found: list[dict[str, Any]] = []
    for first, after in pairwise(bounds):
        part = rows(company, name, filter=f"occurred_at ge {first} and occurred_at lt {after}")
        times = {datetime.fromisoformat(row["occurred_at"]) for row in part}
        assert all(datetime.fromisoformat(first) <= time < datetime.fromisoformat(after) for time in times)
        found += part
    assert found == whole and whole


def test_accounts_have_the_attributes_of_the_api(company: Service) -> None:
    listed = company.get("/v1/accounts", limit=1_000)["accounts"]
    found = rows(company, "Accounts")
    assert [json.loads(row["attributes"]) for row in found] == [own["attributes"] for own in listed]
    assert [(row["account_id"], row["name"]) for row in found] == [(own["id"], own["name"]) for own in listed]
    for row, own in zip(found, listed, strict=True):
        for name in ("plan", "seats", "vip"):
            assert row[name] == own["attributes"].get(name)


def test_an_attribute_is_a_text_once_it_has_values_of_several_types(service: Service) -> None:
    service.send(account_update("half", seats=10.5), account_update("none", plan="pro"))
    assert [row["seats"] for row in rows(service, "Accounts")] == [10.5, None]
    service.send(account_update("late", seats="many"), account_update("yes", seats=True))
    service.send(account_update("tiny", seats=0.0000001), account_update("huge", seats=123456789012345))
    found = {row["account_id"]: row["seats"] for row in rows(service, "Accounts")}
    texts = {"late": "many", "yes": "true", "tiny": "0.0000001", "huge": "123456789012345", "half": "10.5"}
    assert {name: found[name] for name in texts} == texts
    for name, value in texts.items():
        # The text that is shown is the one that is compared.
        assert name in {row["account_id"] for row in rows(service, "Accounts", filter=f"seats eq {text(value)}")}
    assert '<Property Name="seats" Type="Edm.String">' in get(service, "$metadata").text


def test_a_link_is_refused_once_the_order_is_that_of_texts(service: Service) -> None:
    service.send(*(account_update(f"a{seats}", seats=seats) for seats in (10, 9, 100)))
    first = get(service, "Accounts", orderby="seats", headers={"Prefer": "maxpagesize=1"}).json()
    assert first["value"][0]["seats"] == 9
    service.send(account_update("late", seats="many"))
    # From now on the column is a text, by which 10 and 100 come before 9.
    assert [row["seats"] for row in rows(service, "Accounts", orderby="seats")] == ["10", "100", "9", "many"]
    answer = service.request("GET", first["@odata.nextLink"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_cursor")


def test_an_attribute_that_has_one_type_again_is_no_text_for_long(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.send(account_update("half", seats=10.5))
    assert [row["seats"] for row in rows(service, "Accounts")] == [10.5]
    service.send(account_update("late", seats="many") | {"id": "wrong"}, session("late"))
    assert [row["seats"] for row in rows(service, "Accounts")] == ["10.5", "many"]
    service.retract("late", "wrong")
    assert [row["seats"] for row in rows(service, "Accounts")] == ["10.5", None]
    later = attribute_types.monotonic() + 301
    monkeypatch.setattr(attribute_types, "monotonic", lambda: later)
    assert [row["seats"] for row in rows(service, "Accounts")] == [10.5, None]


def test_attributes_with_any_key_have_names_of_their_own(service: Service) -> None:
    keys = {
        "a b": 1,
        "a-b": 2,
        "a_b": 3,
        "1st": 4,
        "eq": 5,
        "name": "x",
        "account_id": 6,
        "日本": 7,
        "²": 8,
        "e\u0301": 9,
    }
    service.send(event("account.updated", "acme", at="2026-01-01", attributes=keys))
    [row] = rows(service, "Accounts")
    assert json.loads(row["attributes"]) == {**{name: keys[name] for name in keys if name != "e\u0301"}, "é": 9}
    assert (row["a_b"], row["attribute_1st"], row["attribute_eq"], row["日本"], row["é"]) == (3, 4, 5, 7, 9)
    assert row["account_id"] == "acme" and row["name"] == "x"
    hashed = {name: value for name, value in row.items() if name.startswith(("a_b_", "account_id_"))}
    assert sorted(hashed.values()) == [1, 2, 6]
    [same] = rows(service, "Accounts", filter=" and ".join(f"{name} eq {value}" for name, value in hashed.items()))
    assert same == row


def test_responses_and_comments_have_the_values_of_the_api(company: Service) -> None:
    comments = {own["id"]: own for own in company.get("/v1/feedback", limit=1_000)["feedback"]}
    company.request("PATCH", f"/v1/feedback/{next(iter(comments))}", json={"status": "resolved", "note": "=done"})
    comments = {own["id"]: own for own in company.get("/v1/feedback", limit=1_000)["feedback"]}
    found = rows(company, "Feedback", headers={"Prefer": "maxpagesize=4"})
    assert [row["occurred_at"] for row in found] == sorted(row["occurred_at"] for row in found)
    assert {row["id"] for row in found} == comments.keys()
    for row in found:
        own = comments[row["id"]] | {"tags": ",".join(comments[row["id"]]["tags"])}
        assert {name: row[name] for name in own} == own
        assert row["occurred_on"] == row["occurred_at"][:10]
    responses = rows(company, "SurveyResponses", headers={"Prefer": "maxpagesize=4"})
    assert len(responses) == 3 * len(NAMES) and {row["kind"] for row in responses} == {"nps", "csat"}
    with_comment = {row["id"]: row for row in responses if row["comment"] is not None}
    assert with_comment.keys() == comments.keys() - {row["id"] for row in found if row["survey"] is None}
    for id, row in with_comment.items():
        for name in ("account_id", "event_id", "survey", "score", "class", "comment", "channel", "occurred_at"):
            assert row[name] == comments[id][name]


def test_erased_and_retracted_responses_are_as_in_the_api(service: Service) -> None:
    for name in ("=1+1", "b"):
        service.send(*survey_responses("nps", [9], name, comment="fine"))
    [first, second] = rows(service, "Feedback")
    assert service.request("DELETE", f"/v1/feedback/{second['id']}").status_code == 204
    responses = rows(service, "SurveyResponses")
    [row] = [own for own in responses if own["id"] == second["id"]]
    assert row["comment"] is None and row["score"] == second["score"]
    service.retract(first["account_id"].replace("=", "%3D").replace("+", "%2B"), first["event_id"])
    assert first["id"] not in {own["id"] for own in rows(service, "Feedback")}


def test_the_day_of_a_response_is_that_of_the_reporting_time_zone(service: Service) -> None:
    service.send(*survey_responses("nps", [9], at="2026-03-10T23:30:00Z"))
    [row] = rows(service, "SurveyResponses")
    assert (row["occurred_at"], row["occurred_on"], row["recorded_on"]) == (
        "2026-03-10T23:30:00Z",
        "2026-03-10",
        "2026-03-15",
    )


def test_surveys_health_and_scorecard_have_the_values_of_the_api(company: Service) -> None:
    surveys = company.get("/v1/surveys")["surveys"]
    found = rows(company, "Surveys")
    assert [row["survey"] for row in found] == sorted(own["id"] for own in surveys)
    for row in found:
        [own] = [own for own in surveys if own["id"] == row["survey"]]
        assert own["scale"] == {"min": row["scale_min"], "max": row["scale_max"]}
        assert {name: row[name] for name in ("kind", "question", "answered")} == {
            name: own[name] for name in ("kind", "question", "answered")
        }
    health = {own["account"]: own for own in company.get("/v1/health", limit=1_000)["accounts"]}
    scores = rows(company, "Health", headers={"Prefer": "maxpagesize=2"})
    assert [row["account_id"] for row in scores] == sorted(health)
    for row in scores:
        own = health[row["account_id"]]
        assert (row["score"], row["band"], row["coverage"]) == (own["score"], own["band"], own["coverage"])
        assert row["mrr"] == float(own["mrr"]) and row["customer"] is own["customer"]
        assert row["weakest_component"] == (own["weakest"] or {}).get("component")
    card = {own["id"]: own for own in company.get("/v1/scorecard")["rows"]}
    standings = rows(company, "Scorecard")
    assert [row["id"] for row in standings] == sorted(card)
    for row in standings:
        own = card[row["id"]]
        for name in ("metric", "period", "start", "status", "value", "target", "attainment", "gap", "projection"):
            assert row[name] == own[name]
        assert row["segment"] == own["group"].get("segment")


def test_the_health_of_an_earlier_day_and_of_all_accounts_are_options(service: Service) -> None:
    service.send(session("nobody"), event("subscription.changed", at="2026-01-05", subscription_id="s", mrr="7"))
    parameters = {"as_of": "2026-03-14", "accounts": "all"}
    found = rows(service, "Health", **parameters)
    expected = service.get("/v1/health", **parameters, limit=1_000)["accounts"]
    assert [row["account_id"] for row in found] == sorted(own["account"] for own in expected)
    assert {row["day"] for row in found} <= {"2026-03-14"}


def test_the_catalogue_of_metrics_is_complete(service: Service) -> None:
    catalogue = {own["name"]: own for own in service.get("/v1/metrics")["metrics"]}
    found = rows(service, "Metrics")
    assert [row["metric"] for row in found] == sorted(catalogue)
    for row in found:
        own = catalogue[row["metric"]]
        assert {name: row[name] for name in ("title", "description", "unit", "better", "version")} == {
            name: own[name] for name in ("title", "description", "unit", "better", "version")
        }
        assert row["conventions"].split(",") == [convention["name"] for convention in own["conventions"]]
