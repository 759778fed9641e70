-- added_up, purchase_days, order_ages, lives and demographics → one row per customer as of {ds}.
-- added_up: measures by customer_key and age, the number of windows that lie before the rows. purchase_days: distinct dates.
-- order_ages: distinct orders with the age of their latest line. lives: first and last event, money paid, ever.
COPY (
    WITH aged AS MATERIALIZED (FROM added_up),
    sums AS (
        SELECT customer_key, {window_sums}
        FROM (SELECT customer_key FROM lives) {ages}
    ),
    gaps AS (
        SELECT customer_key, event_date,
               event_date - lag(event_date) OVER (PARTITION BY customer_key ORDER BY event_date) AS gap
        FROM purchase_days
    ),
    bought AS (
        SELECT customer_key, count(*) AS days, min(event_date) AS first_day, max(event_date) AS last_day,
               arg_max(gap, event_date) FILTER (gap IS NOT NULL) AS last_gap, sum(gap * gap) AS squares,
               {purchase_days}
        FROM gaps GROUP BY customer_key
    ),
    rhythm AS (
        SELECT *, CASE WHEN days >= 2 THEN (last_day - first_day) / (days - 1) END AS mean,
               CASE WHEN days >= 3 THEN (last_day - first_day - last_gap) / (days - 2) END AS mean_before
        FROM bought
    ),
    orders AS (
        SELECT customer_key, count(*) AS order_count, {order_counts}
        FROM order_ages GROUP BY customer_key
    ),
    newest AS (
        SELECT customer_key, max((arrival_date, source, age, gender, income, household_size)) AS told
        FROM demographics GROUP BY customer_key
    )
    SELECT customer_key, DATE '{ds}' AS snapshot_date,
           (DATE '{ds}' - first_event_date)::INTEGER AS tenure_days,
           (DATE '{ds}' - last_day)::INTEGER AS recency_days,
           (DATE '{ds}' - last_event_date)::INTEGER AS event_recency_days,
           first_day AS first_purchase_date, last_day AS last_purchase_date,
           coalesce(days, 0) AS frequency_days, coalesce(order_count, 0) AS order_count,
           purchase_amount::DOUBLE / days AS monetary_value,
           mean AS gap_mean_days,
           CASE WHEN days >= 3 THEN sqrt(greatest(squares / (days - 1) - mean * mean, 0)) END AS gap_deviation_days,
           last_gap / mean_before AS gap_trend,
           last_gap::INTEGER AS gap_last_days,
           mean_before AS gap_mean_before_last_days,
           {features},
           told[3] AS age, told[4] AS gender, told[5] AS income, told[6] AS household_size
    FROM lives LEFT JOIN sums USING (customer_key) LEFT JOIN rhythm USING (customer_key)
         LEFT JOIN orders USING (customer_key) LEFT JOIN newest USING (customer_key)
) TO '{target}' (FORMAT parquet, COMPRESSION zstd);
