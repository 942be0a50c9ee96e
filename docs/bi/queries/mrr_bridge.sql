-- The MRR bridge by month: from the opening MRR to the closing MRR.
SELECT month, round(sum(opening), 2) AS opening, round(sum(new), 2) AS new, round(sum(reactivated), 2) AS reactivated,
    round(sum(expansion), 2) AS expansion, round(-sum(contraction), 2) AS contraction, round(-sum(churned), 2) AS churned,
    round(sum(closing), 2) AS closing
FROM bi.mrr_by_month
GROUP BY month
ORDER BY month;
