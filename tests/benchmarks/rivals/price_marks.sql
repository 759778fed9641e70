-- What a money line is joined to: rank and bounds of each month, category and price bucket that occurs in price_lines.
-- A bucket that the month's history never saw ranks between its neighbours.
CREATE OR REPLACE TEMP TABLE price_marks AS
WITH occurring AS (
    SELECT DISTINCT date_trunc('month', arrival_date)::DATE AS month, category, price_bucket AS bucket FROM price_lines
),
judged AS (
    SELECT o.month, o.category, o.bucket, coalesce(own.category, shop.category) AS judge,
           coalesce(own.lower_amount, shop.lower_amount) AS lower_amount,
           coalesce(own.upper_amount, shop.upper_amount) AS upper_amount
    FROM occurring AS o
    LEFT JOIN usual_amounts AS own ON own.month = o.month AND own.category = o.category
    LEFT JOIN usual_amounts AS shop ON shop.month = o.month AND shop.category = -1
    WHERE coalesce(own.category, shop.category) IS NOT NULL
),
below AS (
    SELECT j.*, p.bucket AS bucket_below, p.rank AS rank_below
    FROM judged AS j ASOF LEFT JOIN usual_prices AS p
      ON p.month = j.month AND p.category = j.judge AND j.bucket >= p.bucket
),
both_sides AS (
    SELECT b.*, p.bucket AS bucket_above, p.rank AS rank_above
    FROM below AS b ASOF LEFT JOIN usual_prices AS p
      ON p.month = b.month AND p.category = b.judge AND b.bucket <= p.bucket
)
SELECT month, category, bucket, lower_amount, upper_amount,
       CASE WHEN bucket = -1000 THEN NULL
            ELSE decimal4(CASE WHEN rank_below IS NULL THEN rank_above
                               WHEN rank_above IS NULL OR bucket = bucket_below THEN rank_below
                               ELSE (rank_above - rank_below) / (bucket_above - bucket_below) * (bucket - bucket_below)
                                    + rank_below END) END AS price_rank
FROM both_sides;
