-- The average score of each survey by month, which metric_operands does not have: scores on different scales have no average.
SELECT month, survey_id, kind, count(*) AS responses, round(avg(score), 2) AS average_score
FROM bi.survey_responses
GROUP BY month, survey_id, kind
ORDER BY month, survey_id;
