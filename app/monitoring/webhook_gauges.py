"""Gauges of webhooks: what waits in the database, whoever delivers it."""

# The gauges with their descriptions, in the order of the columns of the query. One without a value is left out.
WEBHOOK_GAUGES = (
    ("csmetrics_webhook_pending_deliveries", "Deliveries that wait for their next attempt."),
    ("csmetrics_webhook_pending_messages", "Messages whose deliveries were not made yet."),
    (
        "csmetrics_webhook_oldest_pending_timestamp_seconds",
        "Time of the oldest message that waits, for its first attempt or for another one.",
    ),
    (
        "csmetrics_webhook_next_attempt_timestamp_seconds",
        "Time of the earliest attempt that is to be made. If it is long past, nobody delivers.",
    ),
    ("csmetrics_webhook_enabled_endpoints", "Webhook endpoints that are enabled."),
    ("csmetrics_webhook_failing_endpoints", "Enabled webhook endpoints whose last attempt has failed."),
)
SELECT_WEBHOOKS = """
    WITH endpoint AS (
        SELECT id, failing_since, paused_until FROM webhook_endpoint WHERE state = 'enabled'
    ), pending AS (
        SELECT count(*) AS count, min(delivery.created_at) AS oldest, min(greatest(next_attempt_at, paused_until)) AS next
        FROM webhook_delivery AS delivery JOIN endpoint ON endpoint.id = endpoint_id WHERE delivery.state = 'pending'
    ), message AS (
        SELECT count(*) AS count, min(created_at) AS oldest FROM webhook_message WHERE NOT dispatched
    )
    SELECT pending.count AS deliveries, message.count AS messages,
        extract(epoch FROM least(pending.oldest, message.oldest)) AS oldest,
        extract(epoch FROM least(pending.next, message.oldest)) AS next, (SELECT count(*) FROM endpoint) AS enabled,
        (SELECT count(*) FROM endpoint WHERE failing_since IS NOT NULL) AS failing
    FROM pending, message
    """
