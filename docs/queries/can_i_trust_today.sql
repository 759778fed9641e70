-- Can I trust today's numbers: how fresh are they, who scored them, and which checks did not hold or were not judged?
-- One row with null for the check: every check held.
select log.snapshot_date, log.published_at, log.customers, log.model_name, log.model_version,
       log.checks_warned as audit_warnings,
       quality.table_name, quality.check_name, quality.severity, quality.has_held, quality.words
from (select * from marts.publish_log order by snapshot_date desc, publish_id desc limit 1) as log
left join marts.data_quality as quality
  on quality.snapshot_date = log.snapshot_date and quality.severity <> 'info' and quality.has_held is not true
order by quality.severity, quality.table_name, quality.check_name;
