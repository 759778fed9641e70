-- Whom do we call today, and what do we say? Nobody of the control group, nobody whose action is cooling down, nobody
-- to be reviewed for risk. Action none: no campaign reaches them either; `and actions.action <> 'none'` leaves them out.
select watch.rank, watch.customer_key, actions.action, actions.channel, watch.lifecycle_stage,
       round(watch.churn_probability::numeric, 3) as churn_probability, watch.spend_at_risk,
       watch.last_purchase_date, watch.reason_1, watch.reason_2, watch.reason_3
from marts.churn_watchlist as watch
join marts.next_actions as actions using (snapshot_date, customer_key)
where (actions.is_due or actions.action = 'none') and not actions.is_held_out and actions.risk_band <> 'high'
order by watch.rank
limit 50;
