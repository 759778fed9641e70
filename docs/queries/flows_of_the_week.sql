-- How many customers flowed between stages within the last seven snapshots? The first of all has none to come from.
with last_days as (
    select distinct snapshot_date from marts.stage_transitions order by snapshot_date desc limit 7
)
select from_stage, to_stage, sum(customers) as customers
from marts.stage_transitions
where snapshot_date in (select snapshot_date from last_days) and from_stage <> to_stage
  and previous_snapshot_date is not null
group by from_stage, to_stage
order by customers desc, from_stage, to_stage;
