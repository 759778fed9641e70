-- Events → one row per {keys}: what customers did, the money they spent and what their texts say.
WITH marked AS (
    SELECT e.*, m.price_rank, m.lower_amount, m.upper_amount
    FROM (
        SELECT {line_keys}, event_type, order_id, quantity, amount, discount_amount,
               date_trunc('month', arrival_date)::DATE AS month, coalesce(category_hash, -1) AS category,
               CASE WHEN event_type = 'purchase' AND price > 0 THEN {price_bucket} ELSE -1000 END AS bucket
        FROM {events}
        WHERE event_type IN ('purchase', 'return')
    ) AS e
    LEFT JOIN price_marks AS m USING (month, category, bucket)
),
money AS (
    SELECT {keys}, {money_measures}
    FROM marked GROUP BY {keys}
),
texts AS (
    SELECT {event_keys}, {text_measures}
    FROM {texts} WHERE event_type <> 'search' GROUP BY {keys}
),
acts AS (
    SELECT {event_keys}, {act_measures}
    FROM {events} GROUP BY {keys}
)
SELECT {keys}, {columns}
FROM acts LEFT JOIN money USING ({keys}) LEFT JOIN texts USING ({keys})
