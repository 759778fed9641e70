-- Which cohorts lose their buyers faster than usual in the first three months?
-- The first cohort is left out: it also holds everybody who bought before the data begin, the shop's regulars.
with complete as (
    select * from marts.cohort_retention
    where is_complete and months_since between 1 and 3
      and cohort_month > (select min(cohort_month) from marts.cohort_retention)
), usual as (
    select months_since, sum(buyers) / sum(customers) as retention from complete group by months_since
)
select complete.cohort_month, complete.months_since, complete.customers,
       round(complete.retention, 4) as retention,
       round(complete.retention - usual.retention, 4) as against_usual
from complete join usual using (months_since)
where complete.customers >= 20 and complete.retention < usual.retention
order by against_usual, cohort_month, months_since
limit 20;
