-- Rows of customer_product that arrived in the 180 days up to {ds} → favourite category and brand.
COPY (
    WITH wanted AS (
        SELECT customer_key, category, brand, (3 * purchase_count + intent_count)::BIGINT AS weight
        FROM {products} WHERE last_event_date > DATE '{ds}' - 180
    ),
    categories AS (
        SELECT customer_key, category, sum(weight) AS weight FROM wanted WHERE category IS NOT NULL GROUP BY ALL
    ),
    brands AS (
        SELECT customer_key, brand, sum(weight) AS weight FROM wanted WHERE brand IS NOT NULL GROUP BY ALL
    ),
    best_category AS (
        SELECT customer_key, arg_min(category, (-weight, category)) AS favourite_category,
               max(weight) / sum(weight) AS favourite_category_share
        FROM categories GROUP BY customer_key
    ),
    best_brand AS (
        SELECT customer_key, arg_min(brand, (-weight, brand)) AS favourite_brand,
               max(weight) / sum(weight) AS favourite_brand_share
        FROM brands GROUP BY customer_key
    )
    SELECT customer_key, DATE '{ds}' AS snapshot_date, favourite_category, favourite_category_share,
           favourite_brand, favourite_brand_share
    FROM best_category FULL JOIN best_brand USING (customer_key)
) TO '{target}' (FORMAT parquet, COMPRESSION zstd);
