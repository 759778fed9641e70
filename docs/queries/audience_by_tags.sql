-- Which tags do our best customers carry more often than everybody, so that we know how to speak to them?
with customers as (
    select customer_key, value_tier in ('top', 'high') as is_best from marts.customer_segments
), sizes as (
    select count(*)::double precision as everybody, count(*) filter (where is_best)::double precision as best
    from customers
)
select tags.tag, count(*) as customers, count(*) / sizes.everybody as share_of_everybody,
       count(*) filter (where customers.is_best) / nullif(sizes.best, 0) as share_of_best
from marts.customer_tags as tags join customers using (customer_key) cross join sizes
group by tags.tag, sizes.everybody, sizes.best
having count(*) >= 10
order by count(*) filter (where customers.is_best) / nullif(sizes.best, 0) - count(*) / sizes.everybody desc, tags.tag
limit 20;
