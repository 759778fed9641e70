-- Which tags do our best customers carry more often than everybody, so that we know how to speak to them?
with customers as (
    select customer_key, value_tier in ('top', 'high') as is_best from marts.customer_segments
), sizes as (
    select count(*)::numeric as everybody, count(*) filter (where is_best)::numeric as best from customers
), shares as (
    select tags.tag, count(*) as customers, count(*) / sizes.everybody as of_everybody,
           count(*) filter (where customers.is_best) / nullif(sizes.best, 0) as of_best
    from marts.customer_tags as tags join customers using (customer_key) cross join sizes
    group by tags.tag, sizes.everybody, sizes.best
    having count(*) >= 10
)
select tag, customers, round(of_everybody, 4) as share_of_everybody, round(of_best, 4) as share_of_best,
       round(of_best / of_everybody, 2) as times_as_often
from shares
where of_best > of_everybody
order by of_best - of_everybody desc, tag
limit 20;
