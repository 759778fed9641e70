-- Which tags do our best customers carry more often than all others, so that we know how to speak to them?
-- The portraits count them a tier, with an interval of 95 %; who carries a tag is in marts.customer_tags.
select segment as value_tier, item as tag, round(value::numeric, 4) as share, round(others::numeric, 4) as share_of_others,
       round((value / nullif(others, 0))::numeric, 2) as times_as_often, words
from marts.segment_portraits
where segment_kind = 'value_tier' and segment in ('top', 'high') and fact = 'tag' and low > others
order by value - others desc, value_tier, tag
limit 20;
