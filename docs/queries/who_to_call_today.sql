-- Whom do we call today, and what do we say? Only those who are due, none of the control group.
select watch.rank, watch.customer_key, actions.action, actions.channel, watch.churn_probability, watch.spend_at_risk,
       watch.last_purchase_date, watch.reason_1, watch.reason_2, watch.reason_3
from marts.churn_watchlist as watch
join marts.next_actions as actions using (snapshot_date, customer_key)
where actions.is_due and not actions.is_held_out
order by watch.rank
limit 50;
