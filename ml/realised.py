"""What came after a day on which customers were scored: who bought, and for how much."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from ml.cohorts import read_purchases
from ml.home import HomePath


def came_true(day: date, days: int, customer_keys: pd.Series, home: HomePath = None) -> tuple[np.ndarray, np.ndarray]:
    """(bought, spend), (rows,) each: in the ``days`` after ``day``, of what had arrived by their end."""
    end = day + timedelta(days=days)
    rows = read_purchases(day, end, home)
    rows = rows[(rows["event_date"] > np.datetime64(day)) & (rows["event_date"] <= np.datetime64(end))]
    spend = rows.groupby("customer_key")["amount"].sum().reindex(customer_keys)
    return spend.notna().to_numpy(), spend.fillna(0.0).to_numpy()
