"""Customers and strategies → what to do next, and who is held out."""

import hashlib
from datetime import date, timedelta

import numpy as np
import pandas as pd

from jobs.actions.strategies import NO_ACTION, Rule, Strategies

HOLD_OUT = "hold-out 1"
"""Names the draw: another name draws another control group."""


def held_out(keys: pd.Series, share: float) -> np.ndarray:
    """(rows,) bool: who is of the control group. A customer's draw hangs on their key alone, which is an HMAC under the
    shop's secret: nobody without it can foretell the draw, and a customer keeps it from day to day.
    """
    draws = np.array([_draw(key) for key in keys], dtype=np.float64)
    return draws < share


def _draw(key: str) -> float:
    """Uniform in [0, 1)."""
    return int.from_bytes(hashlib.sha256(f"{HOLD_OUT}:{key}".encode()).digest()[:6], "big") / 2**48


def first_rules(customers: pd.DataFrame, rules: tuple[Rule, ...]) -> np.ndarray:
    """(rows,) place of the first rule that holds for each customer; the last holds for everybody."""
    chosen = np.full(len(customers), len(rules) - 1)
    for place in reversed(range(len(rules))):
        chosen[holds(customers, rules[place])] = place
    return chosen


def holds(customers: pd.DataFrame, rule: Rule) -> np.ndarray:
    """(rows,) bool: for whom the rule's conditions hold, whatever rules stand before it."""
    found = np.ones(len(customers), dtype=bool)
    for name, values in rule.when.items():
        found &= customers[name].isin(values).to_numpy()
    return found


def next_actions(customers: pd.DataFrame, strategies: Strategies, last_due: pd.DataFrame, day: date) -> pd.DataFrame:
    """Rows of the next_actions contract.

    customers  customer_key, value_tier, lifecycle_stage, churn_band, churn_watch, risk_band
    last_due   customer_key, action, due_on: the newest earlier day on which each action was due for each customer
    """
    rules = pd.DataFrame([vars(rule) for rule in strategies.rules]).rename(columns={"name": "rule"})
    place = first_rules(customers, strategies.rules)
    told = rules.drop(columns="when").iloc[place].reset_index(drop=True)
    rows = pd.concat([customers.reset_index(drop=True), told], axis=1)
    rows = rows.merge(last_due, on=["customer_key", "action"], how="left")
    is_action = rows["action"] != NO_ACTION
    rested = pd.to_datetime(rows["due_on"]) + pd.to_timedelta(rows["cool_down_days"], "D") <= pd.Timestamp(day)
    rows["is_due"] = is_action & (rows["due_on"].isna() | rested)
    due_on = rows["due_on"].astype(object).mask(rows["is_due"], day)
    rows["due_on"] = due_on.where(due_on.notna(), None)
    rows["channel"] = rows["channel"].astype(object).where(is_action, None)
    rows["is_held_out"] = held_out(rows["customer_key"], strategies.held_out_share) & rows["hold_out"]
    return rows.assign(snapshot_date=day)


def newest_due(earlier: pd.DataFrame) -> pd.DataFrame:
    """What ``next_actions`` wants to know of earlier days: rows customer_key, action, due_on."""
    return earlier.groupby(["customer_key", "action"], as_index=False)["due_on"].max()


def reach(customers: pd.DataFrame, strategies: Strategies) -> pd.DataFrame:
    """What every rule would reach, in their order, before anything is applied.

    rule, action; customers, share of all; held_out of them; hidden: for whom the rule holds but an earlier one does
    too; budget_share: of everybody's weights, the held-out left aside.
    """
    place = first_rules(customers, strategies.rules)
    out = held_out(customers["customer_key"], strategies.held_out_share)
    rows = []
    for n, rule in enumerate(strategies.rules):
        mine = place == n
        rows.append({
            "rule": rule.name, "action": rule.action, "customers": int(mine.sum()), "share": float(mine.mean()),
            "held_out": int((mine & out).sum()) * rule.hold_out, "hidden": int((holds(customers, rule) & ~mine).sum()),
            "budget": rule.budget_weight * int((mine & ~(out & rule.hold_out)).sum()),
        })  # fmt: skip
    found = pd.DataFrame(rows)
    total = found["budget"].sum()
    return found.assign(budget_share=found["budget"] / total if total else 0.0).drop(columns="budget")


def looked_back(strategies: Strategies, day: date) -> tuple[date, date]:
    """The first and the last earlier day on which an action that is still cooling down may have been due."""
    longest = max(rule.cool_down_days for rule in strategies.rules)
    return day - timedelta(days=max(longest, 1)), day - timedelta(days=1)
