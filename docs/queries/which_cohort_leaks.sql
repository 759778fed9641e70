-- Which cohorts lose their buyers faster than usual in the first three months?
with complete as (
    select * from marts.cohort_retention
    where snapshot_date = (select max(snapshot_date) from marts.cohort_retention)
      and is_complete and months_since between 1 and 3
), usual as (
    select months_since, sum(buyers)::double precision / sum(customers) as retention from complete group by months_since
)
select complete.cohort_month, complete.months_since, complete.customers, complete.retention,
       complete.retention - usual.retention as against_usual
from complete join usual using (months_since)
where complete.customers >= 20
order by against_usual, cohort_month, months_since
limit 20;
