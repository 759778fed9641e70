-- Purchase and return lines of events, counted by delivery, category and 5 % buckets of price and amount.
CREATE OR REPLACE TEMP TABLE price_lines AS
SELECT
    arrival_date,
    coalesce(category_hash, -1) AS category,
    CASE WHEN event_type = 'purchase' AND price > 0 THEN {price_bucket} ELSE -1000 END AS price_bucket,
    CASE WHEN event_type = 'purchase' THEN CASE WHEN amount > 0 THEN {amount_bucket} ELSE -1000 END END AS amount_bucket,
    count(*) AS n
FROM {events}
WHERE event_type IN ('purchase', 'return')
GROUP BY ALL;
