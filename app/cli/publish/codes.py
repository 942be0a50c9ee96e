"""The catalogue of error codes and of reasons, as the reference explains them. A test compares it with the code of `app`."""

# ruff: noqa: E501
# One line an entry, so that the table can be read as a table.

from typing import NamedTuple


class Code(NamedTuple):
    """An error code: what it means and what to do. status: of the response; empty where the code is not a response's.

    retry: whether sending the same again may succeed.
    """

    code: str
    status: str
    meaning: str
    action: str
    retry: bool = False


# Responses to requests: `code` of the problem object.
REQUEST = [
    Code("malformed_http", "400", "The bytes are not an HTTP request.", "Use an HTTP client library."),
    Code("malformed_host", "400", "The header `Host` is missing, repeated or not a host name.", "Send it once."),
    Code("malformed_length", "400", "The length of the body is ambiguous or not a number.", "Send `Content-Length` or chunks."),
    Code("malformed_address", "400", "The URL is not percent-encoded UTF-8.", "Encode path and query."),
    Code("repeated_header", "400", "A header that must be unique is repeated.", "Send it once."),
    Code("malformed_json", "400", "The body is not JSON, or too deep or with too many members.", "Correct the JSON. `detail` says where it breaks."),
    Code("malformed_encoding", "400", "The body is not valid gzip or zstd.", "Compress it again, or send it uncompressed."),
    Code("malformed", "400", "The request cannot be understood.", "See `detail`."),
    Code("unauthenticated", "401", "There is no key, or it is unknown, revoked, or may not be used in a URL.", "Send `Authorization: Bearer KEY`. See [keys](../operations/keys.md)."),
    Code("key_expired", "401", "The key has expired.", "Create a new key. See [keys](../operations/keys.md)."),
    Code("forbidden", "403", "The key lacks a scope.", "Use a key with the scope that `detail` names."),
    Code("not_found", "404", "There is no such path, event, comment or key.", "Check the path and the id. Encode `/` in an id as `%2F`."),
    Code("unknown_metric", "404, 422", "There is no metric of this name.", "Take one of `did_you_mean`. `GET /v1/metrics` lists all metrics."),
    Code("unknown_account", "404, 422", "No event has ever named this account; in a path: it has no event that is not retracted.", "Ids are case-sensitive. Take one of `did_you_mean`. `GET /v1/accounts` lists all accounts. In questions, `strict=false` counts it as empty."),
    Code("method_not_allowed", "405", "The path exists, but not with this method.", "`/docs` of the service lists the methods of each path."),
    Code("request_timeout", "408", "The request took longer than `REQUEST_SECONDS` to arrive.", "Send it again, in smaller batches.", retry=True),
    Code("survey_answered", "409", "The survey has responses, so it cannot be changed.", "Declare a new survey."),
    Code("rate_used", "409", "An exchange rate has been used, so it cannot be changed. None of the rates was written.", "Leave this rate out."),
    Code("updated_later", "409", "The comment has an update with a later time.", "Send `feedback.updated` with a later `occurred_at`."),
    Code("too_large", "413", "The body is larger than `MAX_BODY_BYTES` or `MAX_INFLATED_BYTES`, than 1 MiB where it is no batch of events, or has more than a million values or an event of more than 4 MiB.", "Send smaller batches, or compress them."),
    Code("unsupported_media_type", "415", "The content type is not supported.", "`detail` lists those that are."),
    Code("unsupported_encoding", "415", "The body is compressed by another method than gzip or zstd, or more than once.", "Use gzip or zstd."),
    Code("unsupported_charset", "415", "The charset is not UTF-8.", "Send UTF-8."),
    Code("invalid", "422", "Fields or parameters are invalid.", "`errors` says which and why. See [fields](#single-fields)."),
    Code("all_rejected", "422", "No event of the batch was accepted.", "`rejected` says why. See [events](#single-events)."),
    Code("too_many_events", "422", "The batch has more than 10,000 events.", "Send several batches."),
    Code("not_an_array", "422", "A batch is not a JSON array.", "Send an array, or `{\"events\": […]}`."),
    Code("id_collision", "422", "Two account ids have the same internal number. This is extremely unlikely.", "Rename one of the accounts."),
    Code("out_of_range", "422", "A sum would exceed 64 bits.", "Look for events with wrong, huge values."),
    Code("too_complex", "422", "The question needs more than one statement can hold, or took longer than `QUESTION_TIMEOUT`.", "Ask for fewer metrics, groups or days, or about some accounts."),
    Code("repeated", "422", "A parameter that takes one value is repeated.", "Send it once."),
    Code("extra_forbidden", "422", "There is no such field or parameter.", "Take one of `did_you_mean`."),
    Code("invalid_period", "422", "The period or the range of days is not valid.", "See [questions](../guides/questions.md). The end is excluded, so it must be after the start."),
    Code("invalid_granularity", "422", "There is no such granularity.", "Use day, week, month, quarter, year or total."),
    Code("invalid_as_of", "422", "`as_of` is before 1970 or after today.", "Choose a day up to today."),
    Code("invalid_filter", "422", "The filter cannot be read.", "`detail` says at which character. See [filters](filters.md)."),
    Code("invalid_group_by", "422", "The list of groupings cannot be read.", "Write a key with a comma, or with blanks at its ends, in backquotes, as in filters."),
    Code("invalid_cursor", "422", "The cursor does not belong to this question.", "Use `next` of the page before, with the same parameters."),
    Code("unknown_convention", "422", "None of the metrics has this convention.", "Take one of `did_you_mean`; `detail` lists all that they have."),
    Code("unknown_dimension", "422", "A metric has no `subject` or no `channel`.", "See [metrics](metrics.md) for what each can be broken down by."),
    Code("unknown_segment", "404, 422", "There is no segment of this name.", "Take one of `did_you_mean`. `GET /v1/segments` lists all segments."),
    Code("unknown_survey", "404, 422", "The survey is not declared.", "Take one of `did_you_mean`. `GET /v1/surveys` lists all surveys."),
    Code("unrecorded_attribute", "422", "A filter, a grouping or a segment names an attribute that no account has ever had.", "Keys are case-sensitive. Take one of `did_you_mean`. `GET /v1/attributes` lists all attributes. `strict=false` counts it as empty."),
    Code("unknown_subject", "422", "Nothing with this subject has ever been recorded for the metric.", "Take one of `did_you_mean`, or see the subjects by `group_by=subject`. `strict=false` counts it as empty."),
    Code("unknown_channel", "422", "Nothing that the metric is about has ever come through this channel.", "Take one of `did_you_mean`, or see the channels by `group_by=channel`. `strict=false` counts it as empty."),
    Code("too_many_segments", "422", "Filter and segments name too many attributes.", "Ask about fewer segments at once."),
    Code("too_many_groupings", "422", "`group_by` has more than three groupings.", "Ask several questions."),
    Code("too_many_periods", "422", "The range has too many periods of this granularity.", "Use a coarser granularity or a shorter range."),
    Code("too_many_rows", "422", "The answer has more than a million sums or rows.", "Ask for fewer periods, groups or metrics, or about fewer accounts."),
    Code("too_many_days", "422", "Restatements would have to look at too many days or accounts.", "Use a shorter range or one segment."),
    Code("grouped_by_account", "422", "Contributors are accounts already.", "Leave `account` out of `group_by`."),
    Code("not_grouped", "422", "The events behind a number are not grouped.", "Leave `group_by` out."),
    Code("base_currency", "422", "A rate was given for the base currency.", "Leave it out: the base currency needs none."),
    Code("too_many_requests", "429", "The key has asked more than `QUESTIONS_PER_MINUTE`.", "Ask again after `Retry-After` seconds. The headers `RateLimit` and `RateLimit-Policy` of every answer say how many are left.", retry=True),
    Code("too_many_questions", "429", "The key has more questions at once than `QUESTIONS_PER_KEY` are answered, and this one waited for `QUESTION_WAIT`.", "Ask one after the other.", retry=True),
    Code("headers_too_large", "431", "The headers and the URL are too large.", "Send fewer or shorter ones. Long questions can be sent with `POST /v1/query`."),
    Code("internal_error", "500", "An error in the service. It is in the log, under `request_id`.", "Send it again once. Then report it with the `request_id`.", retry=True),
    Code("unavailable", "503", "The database is not available, or the service is stopping.", "Send it again after `Retry-After` seconds.", retry=True),
    Code("busy", "503", "Too many requests or large batches at once, or others are changing the same accounts or definitions.", "Send it again after `Retry-After` seconds.", retry=True),
    Code("clock_ahead", "503", "The clock of the service is more than `MAX_CLOCK_JUMP_DAYS` ahead of the last day on which anything was recorded. Nothing is recorded; questions are answered.", "Ask whoever runs the service to see [the clock](../operations/runbook.md#the-clock-is-wrong); send it again then.", retry=True),
    Code("not_migrated", "503", "The database has no tables yet, or those of another version.", "Wait, or run `csmetrics migrate`.", retry=True),
    Code("refused", "other", "The web framework rejected the request.", "See `detail`."),
]  # fmt: skip

# Single events: `code` in `rejected`.
EVENT = [
    Code("conflict", "", "The account has another event with this id and different content.", "Retract the old event and send the correction under a new id. The id of a retracted event cannot be used again."),
    Code("recorded_before_last", "", "Something was recorded for the account after `recorded_on`.", "Import history oldest first, before live events. Or leave `recorded_on` out (`import --record-late-today`)."),
    Code("forbidden", "", "`recorded_on` needs a key with the scope `admin`.", "Use an admin key for imports, or leave `recorded_on` out.", retry=True),
    Code("in_the_future", "", "`occurred_at` is more than 24 hours ahead, or `recorded_on` is after today.", "Check the clock and the time zone of the sender. What is known in advance of a subscription has fields of its own: `effective_at`, `ends_at`, `paid_through`."),
    Code("too_old", "", "`occurred_at`, `recorded_on` or `effective_at` is before 1970.", "Check the time. Unix seconds and milliseconds may be mixed up."),
    Code("unknown_type", "", "There is no such event type.", "Take one of `did_you_mean`. See [events](events.md)."),
    Code("unknown_survey", "", "The survey is not declared.", "Take one of `did_you_mean`; or declare it with `PUT /v1/surveys/{id}`, then send the event again.", retry=True),
    Code("score_out_of_range", "", "The score is not on the survey's scale.", "Check that score and survey belong together."),
    Code("no_exchange_rate", "", "There is no exchange rate of the currency for that day.", "`PUT /v1/exchange-rates`, then send the event again.", retry=True),
    Code("no_account", "", "A `cost.recorded` names a user and no account.", "Name the account, or leave `user_id` out."),
    Code("not_an_object", "", "The event is not a JSON object.", "Send objects."),
    Code("malformed", "", "The line or the CloudEvent cannot be read.", "See `detail`."),
    Code("reserved", "", "The id begins with `PUT `, which the service uses itself.", "Choose another id."),
    Code("missing", "", "A required field is missing.", "`pointer` says which."),
    Code("money_too_large", "", "The amount is 100 billion or more in the base currency.", "Check amount and exchange rate."),
    Code("too_many_faults", "", "The event has more faults than are listed: more than 20, or more than one after 20,000 in the batch. This one counts the rest.", "Correct the others first."),
]  # fmt: skip

# Single fields: `code` in `errors` or, of an event, in `rejected`.
FIELD = [
    Code("control_character", "", "The text has a control character, or the id has one.", "Remove it."),
    Code("date", "", "It is not a date.", 'Write `"2026-03-14"`.'),
    Code("time", "", "It is not a time, or has no offset.", 'Write `"2026-03-14T09:30:00Z"`.'),
    Code("money", "", "It is not an amount of money: negative, more than 4 decimals, or not a number.", 'Write `"1250.50"`. Send refunds and price cuts as events of their own.'),
    Code("money_too_large", "", "The amount is 100 billion or more.", "Check the amount."),
    Code("number", "", "The value is neither a text nor a number, true, false or null.", "Send one of these."),
    Code("number_too_large", "", "The number is 10^15 or more.", "Send it as a text."),
    Code("price", "", "A `subscription.changed` needs either `mrr`, or `amount` with `interval`.", "Send one of the two."),
    Code("last_day", "", "`ends_at`, the first moment that is not paid for, is a date.", "Send the last paid day as `paid_through`."),
    Code("two_ends", "", "A `subscription.canceled` has both `ends_at` and `paid_through`.", "Send one of the two."),
    Code("two_names", "", "The account's name is given as `name` and as the attribute `name`.", "Send one of the two."),
    Code("rate", "", "It is not an exchange rate: not a number, zero, negative, or more than a billion.", 'Write `"1.0832"`.'),
    Code("scale", "", "The scale of a survey, or `satisfied_from`, is not possible for its kind.", "`detail` says what is."),
    Code("other_kind", "", "A survey of this kind does not have this field.", "Leave it out."),
    Code("nothing_said", "", "A `feedback.updated` has neither `status` nor `note`.", "Send at least one."),
    Code("duplicate_key", "", "Two keys are the same after Unicode normalization.", "Send one of them."),
    Code("string_too_long", "", "The text is too long.", "Shorten it. Ids have at most 128 characters."),
    Code("too_long", "", "`extra` is larger than 16 KiB, or a list has too many items.", "Send less."),
    Code("too_short", "", "The list has too few items.", "`detail` names the limit."),
    Code("dict_type", "", "It is not a JSON object.", "Send an object."),
    Code("extra_forbidden", "", "There is no such field.", "Take one of `did_you_mean`. Put fields of your own under `extra`."),
]  # fmt: skip

# Codes that Pydantic gives to fields: all that have a sentence in `core.sentences` and are not among those before.
PYDANTIC = [
    Code("missing", "", "A required field is missing.", "Send it."),
    Code("string_type", "", "It is not a string.", "Put it in quotes."),
    Code("string_unicode", "", "The text is not valid Unicode.", "Send UTF-8."),
    Code("string_too_short", "", "The text is empty.", "Leave the field out, or send a text."),
    Code("string_pattern_mismatch", "", "The text does not have the required form.", "See the field's description."),
    Code("int_type", "", "It is not a whole number.", "Send a JSON number without quotes, such as `4`. `4.0` is taken as 4."),
    Code("int_parsing", "", "A parameter is not a whole number.", "Write digits only."),
    Code("int_parsing_size", "", "The number is too large.", "Write a smaller one."),
    Code("int_from_float", "", "It is not a whole number.", "Send a JSON number without decimals."),
    Code("float_type", "", "It is not a number.", "Send a JSON number without quotes."),
    Code("float_parsing", "", "A parameter is not a number.", "Write digits, with a point for decimals."),
    Code("finite_number", "", "The number is infinite or NaN.", "Send a finite number."),
    Code("bool_parsing", "", "A parameter is not true or false.", "Write `true` or `false`."),
    Code("bool_type", "", "It is not true or false.", "Send `true` or `false` without quotes."),
    Code("list_type", "", "It is not a list.", "Send a JSON array."),
    Code("model_type", "", "It is not a JSON object.", "Send an object."),
    Code("model_attributes_type", "", "It is not a JSON object.", "Send an object."),
    Code("literal_error", "", "It is not one of the allowed values.", "`detail` lists them."),
    Code("greater_than", "", "The number is too small.", "`detail` names the limit."),
    Code("less_than", "", "The number is too large.", "`detail` names the limit."),
    Code("greater_than_equal", "", "The number is too small.", "`detail` names the limit."),
    Code("less_than_equal", "", "The number is too large.", "`detail` names the limit."),
    Code("value_error", "", "The value is not allowed.", "See `detail`."),
]  # fmt: skip

# `csmetrics import`: errors of a whole run, and codes in its report.
IMPORT = [
    Code("bad_mapping", "run", "The mapping cannot be read, or something in it is wrong whatever the files hold.", "`detail` names each table and key, and what may have been meant."),
    Code("no_source", "run", "No `[[source]]` is for a file of this name.", "Check `file` in the mapping; leave out `.gz`."),
    Code("no_such_file", "run", "A file does not exist, cannot be read or is not a plain file.", "Check the path."),
    Code("missing_column", "run, report", "The header lacks a column that the mapping names, or has it twice. In the report: no record of an NDJSON file has it.", "`detail` names the nearest columns, or the option that helps."),
    Code("bad_header", "run", "The header, or a whole spreadsheet, cannot be read.", "`detail` names the option, or what to do with the file."),
    Code("bad_sheet", "run", "A spreadsheet has several sheets, or not the one that the mapping names.", "Set `sheet` in the mapping."),
    Code("ambiguous_column", "run, report", "The file has a column `file`, `line` or `row_hash`, which is also a name of the row.", "Say under `[source.columns]` which is meant."),
    Code("no_format", "run", "The file's name does not say its format.", "Set `format` in the mapping."),
    Code("unsupported_file", "run", "Parquet is not supported.", "Convert it to CSV or NDJSON."),
    Code("not_a_report", "run", "The report's file exists and is no report, or cannot be written.", "Choose another name with `--report`."),
    Code("bad_value", "report", "A cell is not of its column's type, or the clocks of its zone had the time twice or skipped it, or `ends_at` is a day without a time.", "`detail` names the column and the option that may help. Or correct the cell."),
    Code("missing_value", "report", "A cell that is required is empty.", "Correct it, or set `when` or `default`."),
    Code("lookup_not_found", "report", "The lookup file has no row for the key.", "Correct it, or set `when_unknown`."),
    Code("lookup_ambiguous", "report", "The lookup file has different rows for the key.", "Remove all rows but one."),
    Code("no_event", "report", "No `[[source.event]]` applies to the row.", "Add one, or set `skip` or `otherwise`."),
    Code("skipped", "report", "The mapping leaves the row out on purpose.", "Nothing."),
    Code("wrong_number_of_cells", "report", "The row has more or fewer cells than the header.", "Check quotes and delimiters."),
    Code("lost_rows", "report", "Rows look like part of a cell of another row, because a quote is not closed.", "Correct the quote, or set `multiline`. `detail` names the lines."),
    Code("different_values", "report", "The rows of a group have different values in a column.", "Set `in_group` of the column."),
    Code("incomplete_group", "report", "Another row of the group has a problem, so its sums would be wrong.", "Correct that row."),
    Code("recorded_on_differs", "report", "The event is stored already with another `recorded_on`. It counts as a duplicate.", "Nothing, if that is right. The stored event stays as it is."),
    Code("retracted", "report", "The event is stored already and was retracted. It counts as a duplicate, and in no number.", "Nothing, or give it a new id."),
    Code("bad_record", "report", "The row is not valid CSV or JSON.", "`detail` says why."),
    Code("encoding", "report", "The row is not in the file's encoding.", "Set `encoding` in the mapping."),
    Code("nul", "report", "The row has a NUL character.", "Remove it."),
    Code("too_long", "report", "The line is 16 MiB or longer.", "Check for a quote that is never closed."),
    Code("bad_gzip", "report", "The rest of the file cannot be decompressed.", "Get the file again."),
]  # fmt: skip

# Starts and commands: errors that stop them, with a line in the log or on the terminal.
COMMAND = [
    Code("other_settings", "start", "The database was created with another currency, time zone, fiscal year or first day of the week.", "Start with those, or see [settings](settings.md#fixed-at-the-first-start)."),
    Code("adopting", "start", "`rebuild --adopt-settings` was interrupted.", "Run it again."),
    Code("in_use", "`rebuild --adopt-settings`", "The service is still running.", "Stop it first."),
    Code("other_currency", "`rebuild --adopt-settings`", "Money has been recorded in the old base currency.", "Use a new database for another currency."),
    Code("process_ended", "`rebuild`, `verify`", "One of the processes was ended from outside, often for lack of memory.", "Run it again with fewer `--processes`.", retry=True),
    Code("conflict", "`demo`", "The database has other accounts, or a demo of an earlier month.", "Use an empty `DATA_DIR`."),
]  # fmt: skip

# Why a number has no value: `reason` of a row.
REASONS = {
    "no_responses": "Nobody responded in the period.",
    "mixed_scales": "The responses are of surveys with different scales. Choose one with `subject`.",
    "no_invitations": "No survey was sent in the period.",
    "no_comments": "There was no comment in the period.",
    "no_customers": "There was no customer at the start (rates) or at the end (averages) of the period.",
    "no_churn": "No customer left, so the lifetime cannot be computed. Try a longer period or the convention `trailing_churn`.",
    "nothing_lost": "No MRR was lost, so there is nothing to divide by.",
    "no_users": "No user was registered.",
    "no_active_users": "No user was active in the period.",
    "no_seats": "No subscription at the end of the period has `seats`.",
    "no_sessions": "No session ended in the period.",
    "no_new_customers": "No account became a customer for the first time in the period.",
    "no_retained_customers": "No customer at the start of the period was still a customer at its end.",
    "no_costs": "No costs were recorded in the period. That is not the same as costs of zero.",
    "unallocated": "The group has no costs of its own, or costs were recorded without an account and cannot be divided among groups.",
    "no_purchases": "No account ordered in the period.",
    "no_repeat_purchases": "No account that ordered in the period has a second order.",
    "no_renewals_due": "No contract was due in the period.",
    "no_amounts_due": "No contract that was due in the period has an amount.",
    "no_trials": "No trial was started in the period.",
    "no_trials_ended": "No trial ended in the period.",
    "no_tickets": "No ticket was opened in the period.",
    "no_tickets_responded": "No agent has replied to a ticket that was opened in the period.",
    "no_tickets_resolved": "No ticket of the period has been resolved.",
    "nobody_entered": "Nobody entered the goal in the period.",
    "no_onboardings": "No onboarding was started in the period.",
    "no_onboardings_completed": "No onboarding of the period has been completed.",
    "sample_too_small": "The sample is smaller than `min_sample`.",
    "nothing_known_yet": "`as_of` is before the first day on which anything was recorded. Choose a later day.",
}  # fmt: skip
