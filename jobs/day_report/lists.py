"""Facts of the day → sections of the page: whom to call, what to do, and whether all of it can be trusted."""

from collections.abc import Iterator
from html import escape

import pandas as pd

from expectations.offers import RECOMMENDATION_REASONS
from expectations.watch import RISK_KINDS
from jobs.day_report.facts import Day
from jobs.day_report.html import Raw, Section, table
from jobs.day_report.svg import bar
from jobs.outcomes.quality import FATES
from jobs.risk.listing import count

LISTED = 20
"""Customers of a list that the page shows; the marts hold all of them."""


def watchlist(facts: Day) -> Section:
    rows = [
        [
            r.rank, _key(r.customer_key), f"{r.churn_probability:.0%}", _change(r.churn_probability_change),
            facts.money(r.spend_at_risk), r.value_tier, r.lifecycle_stage, _reasons(r),
        ]
        for r in facts.watchlist.sort_values("rank").head(LISTED).itertuples()
    ]  # fmt: skip
    heads = ("rank", "customer", "no purchase", "in a week", "money at risk", "tier", "stage", "why")
    within = f" within {facts.segments['churn_days'].iloc[0]} days" if len(facts.segments) else ""
    note = (
        f"On the list: {count(len(facts.watchlist), 'customer')}; the first {len(rows)} are shown. No purchase: how "
        f"probable that is{within}, then by how much it changed in a week; times what they paid in a year, less "
        "refunds, it is the money at risk. Whom to call today, without the control group and who is cooling down: "
        "docs/queries/who_to_call_today.sql."
    )
    return Section("churn", "Churn watch list", table(heads, rows, (0, 2, 3, 4), "cards") if rows else "", note)


def _key(key: str) -> Raw:
    return Raw(f"<code>{escape(key)}</code>")


def _change(value: float) -> str | None:
    return None if pd.isna(value) else f"{100 * value:+.0f} pp"


def _reasons(row: object) -> str:
    reasons = (getattr(row, f"reason_{n}") for n in (1, 2, 3))
    return "; ".join(reason for reason in reasons if isinstance(reason, str)) or "–"


def risks(facts: Day) -> Section:
    counts = facts.alerts.groupby(["kind", "risk_band"]).size()
    rows = [[kind, f"{counts.get((kind, 'high'), 0):,}", f"{counts.get((kind, 'medium'), 0):,}", words]
            for kind, words in RISK_KINDS.items() if kind in facts.alerts["kind"].unique()]  # fmt: skip
    worst = facts.alerts.sort_values(["score", "customer_key"], ascending=[False, True]).head(LISTED)
    listed = [[r.kind, r.risk_band, _key(r.customer_key), _reasons(r)] for r in worst.itertuples()]
    body = table(("kind", "high", "medium", "what it is"), rows, (1, 2), "cards") if rows else ""
    body += table(("kind", "band", "customer", "why"), listed, kind="cards") if listed else ""
    return Section("risk", "Risk", body, "Signals for a person to look at, no verdicts.")


def offers(facts: Day) -> Section:
    """Actions that are due, and what recommendations rest on."""
    parts = list(_offer_tables(facts))
    note = "Actions that are due on the day. Who is held out is of the control group, and left alone."
    return Section("offers", "What to do next", "".join(parts), note if parts else "")


def _offer_tables(facts: Day) -> Iterator[str]:
    due = facts.actions[facts.actions["is_due"].astype(bool)] if len(facts.actions) else facts.actions
    if len(due):
        groups = (
            due.groupby(["action", "channel"])["is_held_out"].agg(["size", "sum"]).sort_values("size", ascending=False)
        )
        rows = [[*name, f"{n - held:,}", f"{held:,}"] for name, n, held in groups.itertuples()]
        yield table(("action due", "channel", "customers", "held out"), rows, (2, 3), "cards")
    if len(facts.offers):
        shown = facts.offers
        rows = [[name, Raw(bar(n / len(shown))), RECOMMENDATION_REASONS[name]]
                for name, n in shown["reason"].value_counts().items()]  # fmt: skip
        customers, products = (shown[name].nunique() for name in ("customer_key", "product_id"))
        yield (
            f'<p class="note">{count(len(shown), "recommendation")} to {count(customers, "customer")}, of '
            f"{count(products, 'different product')}; {shown['is_repeat'].mean():.0%} bought before. What spoke for "
            "them most:</p>"
        )
        yield table(("reason", "share", "in words"), rows, kind="cards")


def performance(facts: Day) -> Section:
    rows = facts.performance.sort_values(["snapshot_date", "horizon_days"], ascending=[False, True])
    body = [
        [
            f"{r.horizon_days} days after {r.scored_on}", f"{r.model_name}/{r.model_version}", f"{r.customers:,}",
            f"{r.predicted_buyers:,.0f}", f"{r.actual_buyers:,}", "–" if pd.isna(r.auc) else f"{r.auc:.3f}",
            f"{r.calibration_error:.3f}", facts.money(r.predicted_spend), facts.money(r.actual_spend),
        ]
        for r in rows.head(LISTED).itertuples()
    ]  # fmt: skip
    heads = ("window", "model", "customers", "buyers foretold", "who bought", "AUC", "calibration error",
             "spend foretold", "paid")  # fmt: skip
    note = (
        "What was predicted against what then happened, as windows end. The first ends 7 days after the first snapshot."
    )
    told = table(heads, body, range(2, 9), "cards") if body else ""
    return Section("model", "Model: foretold and come true", told, note)


def quality(facts: Day) -> Section:
    broken = facts.quality[facts.quality["has_held"] == False]  # noqa: E712 - null is neither
    rows = [[_severity(r.severity), r.table_name, r.check_name, r.words] for r in broken.itertuples()]
    held = int((facts.quality["has_held"] == True).sum())  # noqa: E712 - null is neither
    body = table(("", "table", "check", "found"), rows, kind="cards") if rows else ""
    note = f"{count(held, 'check')} held, {len(rows):,} did not." if held or rows else ""
    return Section("quality", "Data quality", body + _deliveries(facts.quality), note)


def _deliveries(quality: pd.DataFrame) -> str:
    """What became of the rows of each delivery; nothing on a day without one."""
    fates = quality[quality["severity"] == "info"]
    if fates.empty:
        return ""
    counts = fates.pivot(index="table_name", columns="check_name", values="observed")[list(FATES)]
    rows = [[name, *(f"{n:,.0f}" for n in row)] for name, *row in counts.itertuples()]
    return table(("rows of", *FATES.values()), rows, range(1, len(FATES) + 1), "cards")


def _severity(severity: str) -> Raw:
    return Raw(f'<span class="{"bad" if severity == "fail" else "warn"}">{severity}</span>')


SECTIONS = (watchlist, risks, offers, performance, quality)
