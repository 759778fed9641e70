-- What do the customers who are dormant or churned now, but were not in the first snapshot, cost us a year?
-- Dormant is silent beyond the own rhythm: most buy again. spend_at_risk weighs what they paid, less refunds, by their
-- churn probability.
-- stage_since is what makes it quick: nobody can have left since the first snapshot who stands there for longer.
select now.lifecycle_stage, count(*) as customers, sum(was.purchase_amount_365d) as paid_in_the_year_before,
       round(sum(now.churn_probability * greatest(was.purchase_amount_365d - was.return_amount_365d, 0))::numeric, 2)
           as spend_at_risk,
       round(avg(now.churn_probability)::numeric, 3) as mean_churn_probability
from marts.customer_segments as now
join marts.customer_segments_history as was
  on was.customer_key = now.customer_key
  and was.snapshot_date = (select min(snapshot_date) from marts.stage_transitions)
where now.lifecycle_stage in ('dormant', 'churned') and was.lifecycle_stage not in ('dormant', 'churned', 'prospect')
  and now.stage_since > (select min(snapshot_date) from marts.stage_transitions)
group by now.lifecycle_stage
order by paid_in_the_year_before desc;
