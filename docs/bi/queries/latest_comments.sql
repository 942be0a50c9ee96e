-- The latest comments.
SELECT responded_at, account_id, survey_id, score, class, comment
FROM bi.survey_responses
WHERE comment IS NOT NULL
ORDER BY responded_at DESC
LIMIT 100;
