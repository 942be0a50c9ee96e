-- Tickets by month and channel: first contact resolution in percent, and hours to the first reply and to the resolution.
SELECT month, coalesce(channel, '(none)') AS channel, count(*) AS tickets,
    round(100.0 * count(*) FILTER (WHERE is_first_contact) / count(*), 1) AS first_contact_percent,
    round(avg(first_response_seconds) / 3600, 1) AS hours_to_first_reply,
    round(avg(resolution_seconds) / 3600, 1) AS hours_to_resolution
FROM bi.tickets
GROUP BY month, channel
ORDER BY month, channel;
