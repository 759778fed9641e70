"""Facts of the day → sections of the page: whom there is, who moves, who comes back, whom to call."""

from collections.abc import Iterator

import pandas as pd

from expectations.lifecycle import GONE, LIFECYCLE_STAGES, UNSEEN
from expectations.segments import CHURN_BANDS, VALUE_TIERS
from expectations.watch import RISK_KINDS
from jobs.day_report.facts import Day
from jobs.day_report.html import Raw, Section, table, tiles
from jobs.day_report.svg import COLOURS, bar, heat, sankey

LISTED = 20
"""Customers of a list that the page shows; the marts hold all of them."""


def headline(facts: Day) -> str:
    """The numbers that are read first."""
    rows = facts.segments
    eligible = rows[rows["is_eligible"]]
    unlikely = (eligible["churn_band"] == CHURN_BANDS[-1]).mean() if len(eligible) else 0.0
    ahead = f", {rows['churn_days'].iloc[0]} days ahead" if len(rows) else ""
    failed = facts.quality[facts.quality["has_held"] == False]  # noqa: E712 - null is neither
    return tiles([
        ("customers", f"{len(rows):,}", f"{len(eligible):,} whom the model was judged on"),
        ("expected in 30 days", f"{rows['expected_spend_30d'].sum():,.0f}", f"{facts.currency} before refunds"),
        ("paid in 365 days", f"{rows['purchase_amount_365d'].sum():,.0f}", f"{facts.currency} before refunds"),
        ("unlikely to buy", f"{unlikely:.1%}", f"churn band high: no purchase{ahead}"),
        ("to look at", f"{len(facts.watchlist):,}", f"on the churn watch list; {len(facts.alerts):,} risk alerts"),
        ("checks", f"{len(failed)} not held", f"of {facts.quality['has_held'].notna().sum():,}"),
    ])  # fmt: skip


def money(value: float, facts: Day) -> str:
    return f"{value:,.0f} {facts.currency}".strip()


RULES = {
    "quantile": "Tiers by what customers are expected to spend within 30 days, cut at quantiles.",
    "fixed": "Tiers by what customers are expected to spend within 30 days, cut at fixed amounts.",
    "four_level": "Tiers by how likely customers are to buy within 30 days, cut by the four-level rule.",
}
"""Value rule → what the tiers of the day go by."""


def tiers(facts: Day) -> Section:
    if facts.segments.empty:
        return Section("tiers", "Value", "")
    groups = facts.segments.groupby("value_tier")
    spend, paid = facts.segments["expected_spend_30d"].sum(), facts.segments["purchase_amount_365d"].sum()
    rows = [
        [
            tier, f"{len(mine):,}", Raw(bar(len(mine) / len(facts.segments))),
            money(mine["expected_spend_30d"].sum(), facts), Raw(bar(_share(mine["expected_spend_30d"].sum(), spend))),
            money(mine["purchase_amount_365d"].sum(), facts), f"{_share(mine['purchase_amount_365d'].sum(), paid):.1%}",
        ]
        for tier in VALUE_TIERS if tier in groups.groups and len(mine := groups.get_group(tier))
    ]  # fmt: skip
    heads = ("tier", "customers", "share", "expected within 30 days", "share", "paid within 365 days", "share")
    return Section("tiers", "Value", table(heads, rows, (1, 3, 5, 6)), RULES.get(facts.value_rule, ""))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def stages(facts: Day) -> Section:
    sizes = facts.segments["lifecycle_stage"].value_counts()
    rows = [[stage, f"{sizes[stage]:,}", Raw(bar(sizes[stage] / len(facts.segments), COLOURS[stage])),
             f"{sizes[stage] / len(facts.segments):.1%}"] for stage in LIFECYCLE_STAGES if stage in sizes]  # fmt: skip
    return Section("stages", "Lifecycle", table(("stage", "customers", "", "share"), rows, (1, 3)) if rows else "")


def flows(facts: Day) -> Section:
    """Who moved since the snapshot before. Those who stayed are the pale bands."""
    rows = facts.transitions
    before = rows["previous_snapshot_date"].dropna()
    if before.empty:
        return Section("flows", "Flows between stages", "", "There is no snapshot before this one to have come from.")
    told = [(r.from_stage, r.to_stage, int(r.customers)) for r in rows.itertuples()]
    order = (UNSEEN, *LIFECYCLE_STAGES, GONE)
    titles = (str(before.iloc[0]), str(facts.day))
    moved = sorted((flow for flow in told if flow[0] != flow[1]), key=lambda flow: (-flow[2], flow))
    shown = [[source, target, f"{n:,}"] for source, target, n in moved]
    # As moved in the mart: who comes or goes has not changed stage.
    n = sum(n for source, target, n in moved if source != UNSEEN and target != GONE)
    strange = rows.loc[~rows["is_expected"], "customers"].sum()
    note = f"{n:,} customers moved; who stayed are the pale bands." + (
        f" {strange:,} went a way that is none: what was known of their past has changed." if strange else ""
    )
    body = sankey(told, order, titles) + table(("from", "to", "customers"), shown, (2,))
    return Section("flows", "Flows between stages", body, note)


def clusters(facts: Day) -> Section:
    words = facts.portraits
    words = words[(words["segment_kind"] == "cluster") & (words["fact"] == "summary")]
    change = facts.clusters
    names = dict(zip(change["cluster_id"].astype(str), change["cluster_name"], strict=True))
    parts = [
        f'<p class="portrait"><b>Cluster {r.segment}: {_escaped(names.get(r.segment, ""))}</b>{_escaped(r.words)}</p>'
        for r in words.itertuples()
    ]
    moved = change[change["change"].isin(["moved", "new"])]["cluster_id"].tolist()
    note = f"Fitted on {change['fitted_on'].iloc[0]}." if len(change) else ""
    if moved:
        note += f" That fit made or moved {len(moved)} of {len(change)}."
    return Section("clusters", "Behaviour clusters", "".join(parts) + _maps(facts), note)


def _maps(facts: Day) -> str:
    import base64

    shown = "".join(
        f'<img alt="{path.stem} map of the clusters" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}">'
        for path in facts.maps
    )
    return f'<div class="maps">{shown}</div>' if shown else ""


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)


def cohorts(facts: Day, most: int = 13) -> Section:
    """The latest cohorts as rows, months since as columns; a month that is not over is set in italics."""
    rows = facts.cohorts
    if rows.empty:
        return Section("cohorts", "Cohorts", "")
    months = sorted(rows["cohort_month"].unique())[-most:]
    width = int(rows.loc[rows["cohort_month"].isin(months), "months_since"].max()) + 1
    head = "".join(f"<td>{n}</td>" for n in range(min(width, most)))
    lines = [_cohort(rows[rows["cohort_month"] == month], month, most) for month in months]
    body = (
        f'<div class="scroll"><table class="cohorts"><tr><td>first purchase</td><td>customers</td>{head}</tr>'
        f"{''.join(lines)}</table></div>"
    )
    note = "Share of those who first bought in a month who bought in the month so many months later."
    return Section("cohorts", "Cohorts: who comes back", body, note)


def _cohort(mine: pd.DataFrame, month: object, most: int) -> str:
    cells = [
        f'<td style="{heat(r.retention)}" class="{"" if r.is_complete else "open"}">{r.retention:.0%}</td>'
        for r in mine.sort_values("months_since").itertuples()
        if r.months_since < most
    ]
    return f"<tr><td>{str(month)[:7]}</td><td>{mine['customers'].iloc[0]:,}</td>{''.join(cells)}</tr>"


def watchlist(facts: Day) -> Section:
    rows = [
        [
            r.rank, _key(r.customer_key), f"{r.churn_probability:.0%}", _change(r.churn_probability_change),
            money(r.spend_at_risk, facts), r.value_tier, r.lifecycle_stage, _reasons(r),
        ]
        for r in facts.watchlist.sort_values("rank").head(LISTED).itertuples()
    ]  # fmt: skip
    heads = ("", "customer", "no purchase", "week", "at risk", "tier", "stage", "why")
    note = (
        f"{len(facts.watchlist):,} customers are on the list; the first {len(rows)} are shown. Whom to call today, "
        "without the control group and who is cooling down: docs/queries/who_to_call_today.sql."
    )
    return Section("churn", "Churn watch list", table(heads, rows, (0, 2, 3, 4)) if rows else "", note)


def _key(key: str) -> Raw:
    return Raw(f"<code>{_escaped(key)}</code>")


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
    body = table(("kind", "high", "medium", "what it is"), rows, (1, 2)) if rows else ""
    body += table(("kind", "band", "customer", "why"), listed) if listed else ""
    return Section("risk", "Risk", body, "Signals for a person to look at, no verdicts.")


def offers(facts: Day) -> Section:
    """Actions that are due, and what recommendations rest on."""
    parts = list(_offer_tables(facts))
    return Section("offers", "What to do next", "".join(parts))


def _offer_tables(facts: Day) -> Iterator[str]:
    due = facts.actions[facts.actions["is_due"].astype(bool)] if len(facts.actions) else facts.actions
    if len(due):
        groups = (
            due.groupby(["action", "channel"])["is_held_out"].agg(["size", "sum"]).sort_values("size", ascending=False)
        )
        rows = [[*name, f"{n - held:,}", f"{held:,}"] for name, n, held in groups.itertuples()]
        yield table(("action due", "channel", "customers", "held out"), rows, (2, 3))
    if len(facts.offers):
        shown = facts.offers
        rows = [[name, f"{n:,}", f"{n / len(shown):.1%}"] for name, n in shown["reason"].value_counts().items()]
        yield (
            f'<p class="note">{len(shown):,} recommendations to {shown["customer_key"].nunique():,} customers, '
            f"{shown['product_id'].nunique():,} different products; {shown['is_repeat'].mean():.0%} bought before.</p>"
        )
        yield table(("recommended because", "", "share"), rows, (1, 2))


def performance(facts: Day) -> Section:
    rows = facts.performance.sort_values(["snapshot_date", "horizon_days"], ascending=[False, True])
    body = [
        [
            f"{r.scored_on} + {r.horizon_days} d", f"{r.model_name}/{r.model_version}", f"{r.customers:,}",
            f"{r.predicted_buyers:,.0f}", f"{r.actual_buyers:,}", "–" if pd.isna(r.auc) else f"{r.auc:.3f}",
            f"{r.calibration_error:.3f}", "–" if pd.isna(r.predicted_spend) else money(r.predicted_spend, facts),
            "–" if pd.isna(r.actual_spend) else money(r.actual_spend, facts),
        ]
        for r in rows.head(LISTED).itertuples()
    ]  # fmt: skip
    heads = (
        "window",
        "model",
        "customers",
        "buyers foretold",
        "came",
        "AUC",
        "calibration error",
        "spend foretold",
        "came",
    )
    note = (
        "What was predicted against what then happened, as windows end. The first ends 7 days after the first snapshot."
    )
    return Section("model", "Model: foretold and come true", table(heads, body, range(2, 9)) if body else "", note)


def quality(facts: Day) -> Section:
    broken = facts.quality[facts.quality["has_held"] == False]  # noqa: E712 - null is neither
    fates = facts.quality[facts.quality["severity"] == "info"]
    rows = [[_severity(r.severity), r.table_name, r.check_name, r.words] for r in broken.itertuples()]
    held = int((facts.quality["has_held"] == True).sum())  # noqa: E712 - null is neither
    body = '<p class="good">Every check that was judged held.</p>' if held else ""
    body = table(("", "table", "check", "found"), rows) if rows else body
    if len(fates):
        body += table(("delivery", "what became of its rows"), [[r.table_name, r.words] for r in fates.itertuples()])
    return Section("quality", "Data quality", body, f"{held:,} checks held, {len(rows)} did not.")


def _severity(severity: str) -> Raw:
    return Raw(f'<span class="{"bad" if severity == "fail" else "warn"}">{severity}</span>')


SECTIONS = (tiers, stages, flows, clusters, cohorts, watchlist, risks, offers, performance, quality)
