"""What models say of features: anomalies, and customers alike those whom the shop has marked as fraud."""

import logging
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from expectations.errors import DataError
from jobs.home import Home
from jobs.risk.listing import Found
from jobs.risk.settings import RiskSettings, beyond
from ml.risk import anomaly, labels

log = logging.getLogger(__name__)

NEEDED = ("order_count_90d", *anomaly.NAMES)
"""What anomalies read of features, beside customer_key."""
LEAST_ORDERS = 2
"""Within 90 days: rates of fewer are chance, and odd beside customers who have none."""


def find_unusual(features: pa.Table, settings: RiskSettings) -> Found:
    """Among customers with LEAST_ORDERS."""
    rows = features.filter(pc.greater_equal(features["order_count_90d"], LEAST_ORDERS))
    rows = rows.sort_by("customer_key")  # the forest draws by place, and each engine stores rows in an order of its own
    values = np.column_stack([_numbers(rows[name]) for name in anomaly.NAMES])
    found = anomaly.find_anomalies(values)
    told = pd.DataFrame({"customer_key": rows["customer_key"].to_pandas(), "event_date": None,
                         "score": beyond(found.deviations, settings.anomaly_deviations),
                         "place": np.arange(len(rows))})  # fmt: skip

    def words(row: object) -> list[str]:
        return anomaly.reasons(values[row.place], found.features[row.place], found.typical)

    return Found("anomaly", told, words)


def find_labelled(home: Home, day: date, features: pa.Table, settings: RiskSettings) -> list[Found]:
    """None without a file of marked cases, or with too few to learn from, which is said."""
    file = labels.labels_file(home.path)
    if not file.is_file():
        return []
    from ml.risk.labelled import fit_cases, probability, reasons

    marked = labels.read_labels(file, day)
    try:
        cases = labels.load_cases(marked, day, home.path)
    except DataError as error:
        log.warning("no supervised risk score: %s", error)
        return []
    model, values = fit_cases(cases), labels.features_of(features)
    likely = probability(model, values)
    told = pd.DataFrame({"customer_key": features["customer_key"].to_pandas(), "event_date": None,
                         "score": beyond(likely, settings.labelled_probability),
                         "place": np.arange(len(values))})  # fmt: skip
    typical = np.nanmedian(values, axis=0)
    return [Found("labelled", told, lambda row: reasons(model, values[[row.place]], typical)[0])]


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(pc.cast(column, pa.float64()), np.nan).to_numpy()
