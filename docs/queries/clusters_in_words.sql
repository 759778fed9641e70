-- Who are the behaviour clusters, in words and in size?
select portraits.segment as cluster_id, sizes.value::bigint as customers,
       round(revenue.value::numeric, 4) as revenue_share, portraits.words
from marts.segment_portraits as portraits
join marts.segment_portraits as sizes using (snapshot_date, segment_kind, segment)
join marts.segment_portraits as revenue using (snapshot_date, segment_kind, segment)
where portraits.segment_kind = 'cluster' and portraits.fact = 'summary' and sizes.fact = 'size'
  and revenue.fact = 'revenue_share'
order by customers desc, cluster_id;
