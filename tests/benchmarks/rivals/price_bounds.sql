-- price_lines → bounds and ranks of each month, from the 90 days before it: what lake/price_bounds holds.
-- Category -1 is the whole shop; a category of fewer than 100 lines has no bounds of its own.
CREATE OR REPLACE TEMP TABLE price_history AS
SELECT month, unnest(CASE WHEN category = -1 THEN [-1] ELSE [category, -1] END) AS category,
       price_bucket, amount_bucket, n
FROM (SELECT DISTINCT date_trunc('month', arrival_date)::DATE AS month FROM price_lines)
JOIN price_lines ON arrival_date >= month - 90 AND arrival_date < month;

CREATE OR REPLACE TEMP TABLE usual_amounts AS
WITH spread AS (
    SELECT month, category, amount_bucket AS bucket, sum(n) AS n
    FROM price_history WHERE amount_bucket <> -1000
    GROUP BY ALL
),
cumulated AS (
    SELECT month, category, bucket, n::DOUBLE AS n,
           (sum(n) OVER (PARTITION BY month, category ORDER BY bucket))::DOUBLE AS below,
           (sum(n) OVER (PARTITION BY month, category))::DOUBLE AS total
    FROM spread
),
quartiles AS (
    SELECT month, category,
           arg_min((bucket + (0.25 * total - below + n) / n) * {log_step}, bucket) FILTER (below >= 0.25 * total) AS low,
           arg_min((bucket + (0.75 * total - below + n) / n) * {log_step}, bucket) FILTER (below >= 0.75 * total) AS high
    FROM cumulated WHERE total >= 100
    GROUP BY ALL
),
bounds AS (SELECT *, greatest(3 * (high - low), ln(5)) AS reach FROM quartiles)
SELECT month, category, decimal4(exp(low - reach)) AS lower_amount,
       decimal4(least(exp(high + reach), 99999999999999.9999::DOUBLE)) AS upper_amount
FROM bounds;

CREATE OR REPLACE TEMP TABLE usual_prices AS
WITH spread AS (
    SELECT month, category, price_bucket AS bucket, sum(n) AS n
    FROM price_history SEMI JOIN usual_amounts USING (month, category)
    WHERE price_bucket <> -1000
    GROUP BY ALL
)
SELECT month, category, bucket,
       decimal4(((sum(n) OVER (PARTITION BY month, category ORDER BY bucket))::DOUBLE - n::DOUBLE / 2)
                / (sum(n) OVER (PARTITION BY month, category))::DOUBLE)::DOUBLE AS rank
FROM spread;
