"""The views of what is recorded: the books, accounts and their attributes, surveys and responses, health."""

from collections.abc import Iterator

import sqlalchemy as sa

from app.bi.define import ACCOUNT_ID, TODAY, View, day_of, quote, render
from app.database.tables import COMMENT_IS_NOT_BLANK, MAX_DATE, MIN_DATE
from app.ledger.surveys import SCORE_CLASSES, score_class_column

# The name of the row of `news_search` that says when the copy of the health was renewed; see `health`.
SUBJECT = "health_copy"
_HEALTH_DAY = f"(SELECT day FROM public.news_search WHERE subject = {quote(SUBJECT)})"
_SCORE = sa.literal_column("(event.data ->> 'score')::int", sa.Integer)


def record_views() -> Iterator[View]:
    """Yield the views of what is recorded."""
    yield _books()
    yield _accounts()
    yield _account_attributes()
    yield _surveys()
    yield _survey_responses()
    yield _health()
    yield _health_components()


def _books() -> View:
    columns = {
        "base_currency": "Currency of all amounts.",
        "reporting_timezone": "Time zone of all days and months.",
        "fiscal_year_start": "Number of the first month of the fiscal year.",
        "week_start": "First day of the week.",
        "today": "The day up to which the running month counts: the last day of the books, or that of the database's clock if "
        "that is later.",
    }
    query = (
        f"SELECT base_currency, reporting_timezone, fiscal_year_start, week_start, {TODAY} AS today FROM public.books"
    )
    return View("books", "What is fixed for all numbers: one row.", columns, query)


def _accounts() -> View:
    columns = {
        "account_id": ACCOUNT_ID,
        "name": "The attribute `name`; null without one.",
        "attributes": "All attributes as of the end of today, as a JSON object: attributes ->> 'plan' is the plan.",
    }
    query = f"""
    SELECT account.id AS account_id, own.attributes ->> 'name' AS name, own.attributes
    FROM public.account
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_object_agg(attribute.key, attribute.value), '{{}}') AS attributes FROM public.attribute
        WHERE attribute.account_id = account.account_id AND attribute.ceased_on = '{MAX_DATE}'
            AND attribute.valid_from <= {TODAY} + 1 AND attribute.valid_to > {TODAY} + 1
            AND attribute.value IS NOT NULL) AS own"""
    return View("accounts", "Accounts with their attributes as of now: a row for each account.", columns, query)


def _account_attributes() -> View:
    columns = {
        "account_id": ACCOUNT_ID,
        "key": "Name of the attribute, such as plan.",
        "value": "Its value as text.",
        "value_json": "Its value as JSON: a string, a number, or true or false.",
        "valid_from": "First day at whose start the value holds; null: it always has.",
        "valid_until": "First day at whose start it no longer holds; null: it still does. The API groups a month by the value "
        "that holds at its start: coalesce(valid_from, '-infinity') <= month AND month < coalesce(valid_until, 'infinity').",
        "is_current": "Whether the value holds at the end of today.",
    }
    query = f"""
    SELECT account.id AS account_id, attribute.key, attribute.value #>> '{{}}' AS value, attribute.value AS value_json,
        nullif(attribute.valid_from, '{MIN_DATE}') AS valid_from,
        nullif(attribute.valid_to, '{MAX_DATE}') AS valid_until,
        attribute.valid_from <= {TODAY} + 1 AND attribute.valid_to > {TODAY} + 1 AS is_current
    FROM public.attribute JOIN public.account ON account.account_id = attribute.account_id
    WHERE attribute.ceased_on = '{MAX_DATE}' AND attribute.value IS NOT NULL"""
    comment = "Attributes of accounts over time, as far as is known now: a row for each stretch of days with one value."
    return View("account_attributes", comment, columns, query)


def _surveys() -> View:
    columns = {
        "survey_id": "Your id of the survey.",
        "kind": f"Kind of the survey: {', '.join(SCORE_CLASSES)}.",
        "lowest_score": "The lowest score of its scale.",
        "highest_score": "The highest score of its scale.",
        "satisfied_from": "Of csat, the lowest score that counts as satisfied.",
        "easy_is": "Of ces, the end of the scale that means easy: low or high.",
        "question": "What people are asked; null where it was not declared.",
    }
    query = """
    SELECT survey.id AS survey_id, survey.kind, survey.low AS lowest_score, survey.high AS highest_score, survey.satisfied_from,
        survey.easy_is, survey.question
    FROM public.survey"""
    return View("surveys", "Surveys: a row for each.", columns, query)


def _survey_responses() -> View:
    classes = "; ".join(
        f"{kind}: {', '.join(own.name for own in own_classes)}" for kind, own_classes in SCORE_CLASSES.items()
    )
    columns = {
        "response_id": "Id of the event, unique within its account.",
        "account_id": ACCOUNT_ID,
        "user_id": "Your id of the person; a pseudonym after an erasure; null where none was sent.",
        "survey_id": "Id of the survey; see surveys.",
        "kind": f"Kind of the survey: {', '.join(SCORE_CLASSES)}.",
        "score": "The score on the survey's own scale.",
        "class": f"What the score counts as. {classes}.",
        "channel": "Where it came from; null where none was sent.",
        "responded_at": "When. A condition on this column reads only the responses of that time.",
        "responded_on": "The day, in the reporting time zone.",
        "month": "First day of its month, in the reporting time zone.",
        "comment": "What the person wrote; null without a comment; [erased] after an erasure.",
    }
    on = day_of("event.occurred_at")
    query = f"""
    SELECT event.id AS response_id, account.id AS account_id, event.user_id, survey.id AS survey_id, survey.kind,
        {render(_SCORE)} AS score, {render(score_class_column(_SCORE))} AS class,
        event.data ->> 'channel' AS channel, event.occurred_at AS responded_at, {on} AS responded_on,
        date_trunc('month', {on}::timestamp)::date AS month,
        CASE WHEN {COMMENT_IS_NOT_BLANK} THEN event.data ->> 'comment' END AS comment
    FROM public.event
    JOIN public.account ON account.account_id = event.account_id
    JOIN public.survey ON survey.id = event.data ->> 'survey'
    WHERE event.type = {quote("survey.responded")} AND event.retracted_on IS NULL"""
    comment = "Responses to surveys: a row for each. Retracted ones are left out."
    return View("survey_responses", comment, columns, query)


def _health() -> View:
    columns = {
        "account_id": ACCOUNT_ID,
        "day": "The day whose health it is.",
        "score": "From 0 to 100; null where the account has too little data for a score.",
        "band": "critical, at_risk or healthy; null without a score.",
        "coverage": "Share of the model's weight that has data, from 0 to 1.",
        "flags": "What the mean hides, such as went_silent.",
        "is_customer": "Whether the account had MRR above zero at the end of the day.",
        "mrr": "MRR at the end of the day, in the base currency.",
        "override_score": "Score that a person has set in its place; null without one. It does not change score and band.",
        "model_version": "Version of the health model.",
        "computed_at": "When it was computed: every ten minutes while the service runs.",
    }
    query = f"""
    SELECT account.id AS account_id, {_HEALTH_DAY} AS day, health.score::numeric / 100 AS score, health.band, health.coverage,
        health.flags, health.is_customer, health.mrr, health.override_score, health.model_version,
        (SELECT at FROM public.news_search WHERE subject = {quote(SUBJECT)}) AS computed_at
    FROM public.health_copy AS health JOIN public.account ON account.account_id = health.account_id"""
    return View("health", "The latest health of all accounts with any data: a row for each account.", columns, query)


def _health_components() -> View:
    columns = {
        "account_id": ACCOUNT_ID,
        "day": "The day whose health it is.",
        "component": "Id of the component in the health model.",
        "title": "Its title for people.",
        "kind": "Its kind in the health model.",
        "unit": "Unit of the value.",
        "value": "The account's value; null where it has no data.",
        "score": "The value as a score from 0 to 100; null without data.",
        "weight": "Its share of the score, after those without data are left out. The weights of an account add up to 1.",
        "contribution": "Points that it adds to the score. They add up to the score.",
    }
    query = f"""
    SELECT account.id AS account_id, {_HEALTH_DAY} AS day, own.id AS component, own.title, own.kind, own.unit, own.value,
        own.score, own.weight, own.contribution
    FROM public.health_copy AS health
    JOIN public.account ON account.account_id = health.account_id
    CROSS JOIN LATERAL jsonb_to_recordset(health.components) AS own(id text, title text, kind text, unit text, value numeric,
        score numeric, weight numeric, contribution numeric)"""
    comment = "The components of the latest health: a row for each account and component."
    return View("health_components", comment, columns, query)
