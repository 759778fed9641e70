-- Did as many customers buy as the model had foretold, and did it rank them well?
-- No row until a scored day is as old as its window: of 7 days, a week after the first.
select snapshot_date, scored_on, horizon_days, model_name, model_version, customers, predicted_buyers, actual_buyers,
       predicted_buyers / nullif(actual_buyers, 0) - 1 as buyers_bias, auc, calibration_error
from marts.model_performance
order by snapshot_date desc, horizon_days;
