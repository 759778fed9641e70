-- Who moved to another lifecycle stage on the latest day, from where, and what are they worth?
select previous_stage, lifecycle_stage, count(*) as customers,
       sum(purchase_amount_365d) as paid_365d, sum(expected_spend_30d) filter (where is_eligible) as expected_30d
from marts.customer_segments
where stage_since = snapshot_date and previous_stage is not null
group by previous_stage, lifecycle_stage
order by customers desc, previous_stage, lifecycle_stage;
