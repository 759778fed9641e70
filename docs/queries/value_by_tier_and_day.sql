-- How do customers and value shift between tiers from day to day?
select snapshot_date, value_tier, sum(customers) as customers,
       round((sum(customers) / sum(sum(customers)) over (partition by snapshot_date))::numeric, 4) as customer_share,
       sum(expected_spend_30d) as expected_30d, sum(purchase_amount_365d) as paid_365d
from marts.segment_summary
group by snapshot_date, value_tier
order by snapshot_date, array_position(array['top', 'high', 'medium', 'low'], value_tier);
