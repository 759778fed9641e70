-- What do the customers who are dormant or churned now, but were not in the first snapshot, cost us a year?
-- Dormant is silent beyond the own rhythm: most buy again. spend_at_risk weighs what they paid by their churn probability.
with first_day as (select min(snapshot_date) as snapshot_date from marts.stage_transitions)
select now.lifecycle_stage, count(*) as customers, sum(was.purchase_amount_365d) as paid_in_the_year_before,
       round(sum(now.churn_probability * was.purchase_amount_365d)::numeric, 2) as spend_at_risk,
       round(avg(now.churn_probability)::numeric, 3) as mean_churn_probability
from marts.customer_segments as now
join marts.customer_segments_history as was on was.customer_key = now.customer_key
join first_day on was.snapshot_date = first_day.snapshot_date
where now.lifecycle_stage in ('dormant', 'churned') and was.lifecycle_stage not in ('dormant', 'churned', 'prospect')
group by now.lifecycle_stage
order by paid_in_the_year_before desc;
