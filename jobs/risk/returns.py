"""Return abuse: far more is sent back than by others, in as many lines as it takes to be sure.

The lines that come back of those bought are beta-binomial over customers; its parameters by moments (Kleinman 1973,
Proportions with extraneous variance). A customer's share counts as the lower bound of its posterior, so that two of
two lines are no evidence.
"""

import numpy as np
import pandas as pd
from scipy.special import betaincinv

from jobs.risk.listing import Found, count, money
from jobs.risk.settings import RiskSettings, beyond

NEEDED = ("purchase_count_365d", "return_count_365d", "purchase_amount_365d", "return_amount_365d")
"""What it reads of features, beside customer_key."""
MOST_LINES = 5
"""What is usual in the shop counts as so many lines of a customer's own."""


def find_returns(features: pd.DataFrame, settings: RiskSettings) -> Found:
    """``features``: customer_key and NEEDED of all customers."""
    rows = features[features["purchase_count_365d"] > 0]
    bought = rows["purchase_count_365d"].to_numpy(np.float64)
    returned = np.minimum(rows["return_count_365d"].to_numpy(np.float64), bought)
    a, b = beta_prior(returned, bought)
    rows = rows.assign(returned=returned, typical=a / (a + b), event_date=None)[returned > 0]
    bought, returned = bought[returned > 0], returned[returned > 0]
    rows["least"] = betaincinv(a + returned, b + bought - returned, 1 - settings.return_confidence)
    bound = max(settings.return_times * a / b, _odds(settings.return_least_share))
    return Found("return_abuse", rows.assign(score=beyond(_odds(rows["least"]), bound)), _words)


def beta_prior(returned: np.ndarray, bought: np.ndarray) -> tuple[float, float]:
    """(a, b) of the beta distribution of customers' shares; both (customers,), ``bought`` above 0.

    They weigh MOST_LINES at the most: where customers are all alike, an abuser is none of theirs.
    """
    total = bought.sum()
    mean = (returned.sum() + 0.5) / (total + 1)
    spread = (bought * (returned / bought - mean) ** 2).sum() if len(bought) else 0.0
    by_chance = mean * (1 - mean)
    groups = max(len(bought) - 1, 0)
    room = by_chance * (total - (bought**2).sum() / max(total, 1) - groups)
    correlation = min((spread - by_chance * groups) / room, 0.9) if room > 0 else 0.0
    strength = min(1 / correlation - 1, MOST_LINES) if correlation > 0 else MOST_LINES
    return mean * strength, (1 - mean) * strength


def _odds(share: float | np.ndarray) -> float | np.ndarray:
    return share / np.maximum(1 - share, 1e-9)


def _words(row: object) -> list[str]:
    lines = f"{row.returned:,.0f} of {count(row.purchase_count_365d, 'line')} bought in the last 365 days sent back"
    least = f"in the long run {row.least:.0%} or more of them, beyond chance (typical {row.typical:.1%})"
    refunded = f"{money(row.return_amount_365d)} refunded of {money(row.purchase_amount_365d)} paid"
    return [lines, least, refunded]
