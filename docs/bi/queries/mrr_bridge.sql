-- The MRR bridge by month: from the opening MRR to the closing MRR.
SELECT month, sum(opening) AS opening, sum(new) AS new, sum(reactivated) AS reactivated, sum(expansion) AS expansion,
    -sum(contraction) AS contraction, -sum(churned) AS churned, sum(closing) AS closing
FROM bi.mrr_by_month
GROUP BY month
ORDER BY month;
