"""Facts of the day → sections of the page: whom there is, who moves, who comes back."""

from html import escape

import pandas as pd

from expectations.lifecycle import GONE, LIFECYCLE_STAGES, UNSEEN
from expectations.segments import CHURN_BANDS, VALUE_TIERS
from jobs.day_report.facts import Day
from jobs.day_report.html import Raw, Section, table, tiles
from jobs.day_report.svg import COLOURS, bar, heat, sankey
from jobs.risk.listing import count


def headline(facts: Day) -> str:
    """The numbers that are read first."""
    rows = facts.segments
    eligible = rows[rows["is_eligible"]]
    unlikely = (eligible["churn_band"] == CHURN_BANDS[-1]).mean() if len(eligible) else 0.0
    alerts = count(len(facts.alerts), "risk alert")
    ahead = f" within {rows['churn_days'].iloc[0]} days" if len(rows) else ""
    return tiles([
        ("customers", f"{len(rows):,}", f"{len(eligible):,} whom the model was judged on"),
        ("expected in 30 days", f"{rows['expected_spend_30d'].sum():,.0f}", f"{facts.currency} before refunds"),
        ("paid in 365 days", f"{rows['purchase_amount_365d'].sum():,.0f}", f"{facts.currency} before refunds"),
        ("unlikely to buy", f"{unlikely:.1%}", f"of those judged: churn band high, no purchase{ahead}"),
        ("to look at", f"{len(facts.watchlist):,}", f"on the churn watch list; {alerts}"),
        ("checks", *_checks(facts.quality)),
    ])  # fmt: skip


def _checks(quality: pd.DataFrame) -> tuple[str, str]:
    """How many did not hold, and of which severity."""
    judged = quality[quality["has_held"].notna()]
    broken = judged.loc[~judged["has_held"].astype(bool), "severity"].value_counts().sort_index()
    if not len(judged):
        return "–", "none was judged"
    told = ", ".join(f"{n:,} of severity {severity}" for severity, n in broken.items())
    return f"{broken.sum():,} not held" if told else "all held", f"of {len(judged):,}" + (f"; {told}" if told else "")


RULES = {
    "quantile": "Tiers by what customers are expected to spend within 30 days, cut at quantiles.",
    "fixed": "Tiers by what customers are expected to spend within 30 days, cut at fixed amounts.",
    "four_level": "Tiers by how likely customers are to buy within 30 days, cut by the four-level rule.",
}
"""Value rule → what the tiers of the day go by."""


def tiers(facts: Day) -> Section:
    if facts.segments.empty:
        return Section("tiers", "Value", "")
    groups, money = facts.segments.groupby("value_tier"), ["expected_spend_30d", "purchase_amount_365d"]
    whole = facts.segments[money].sum()
    rows = [
        [tier, f"{len(mine):,}", Raw(bar(len(mine) / len(facts.segments))),
         *(shown for name in money for shown in _part(mine[name].sum(), whole[name], facts))]
        for tier in VALUE_TIERS if tier in groups.groups and len(mine := groups.get_group(tier))
    ]  # fmt: skip
    heads = ("tier", "customers", "share", "expected within 30 days", "share", "paid within 365 days", "share")
    return Section("tiers", "Value", table(heads, rows, (1, 3, 5), "cards"), RULES.get(facts.value_rule, ""))


def _part(part: float, whole: float, facts: Day) -> tuple[str, Raw]:
    return facts.money(part), Raw(bar(float(part / whole) if whole else 0.0))


def stages(facts: Day) -> Section:
    sizes = facts.segments["lifecycle_stage"].value_counts()
    rows = [[stage, f"{sizes[stage]:,}", Raw(bar(sizes[stage] / len(facts.segments), COLOURS[stage]))]
            for stage in LIFECYCLE_STAGES if stage in sizes]  # fmt: skip
    return Section("stages", "Lifecycle", table(("stage", "customers", "share"), rows, (1,)) if rows else "")


def flows(facts: Day) -> Section:
    """Who moved since the snapshot before. Those who stayed are the pale bands."""
    rows = facts.transitions
    before = rows["previous_snapshot_date"].dropna()
    if before.empty:
        return Section("flows", "Flows between stages", "", "There is no snapshot before this one to have come from.")
    told = [(r.from_stage, r.to_stage, int(r.customers)) for r in rows.itertuples()]
    order = (*LIFECYCLE_STAGES, UNSEEN, GONE)
    titles = (str(before.iloc[0]), str(facts.day))
    moved = sorted((flow for flow in told if flow[0] != flow[1]), key=lambda flow: (-flow[2], flow))
    shown = [[source, target, f"{n:,}"] for source, target, n in moved]
    # As moved in the mart: who comes or goes has not changed stage.
    n = sum(n for source, target, n in moved if source != UNSEEN and target != GONE)
    strange = rows.loc[~rows["is_expected"], "customers"].sum()
    note = f"{count(n, 'customer')} moved; who stayed are the pale bands." + (
        f" {strange:,} went a way that is none: what was known of their past has changed." if strange else ""
    )
    body = sankey(told, order, titles) + table(("from", "to", "customers"), shown, (2,))
    return Section("flows", "Flows between stages", body, note)


def clusters(facts: Day) -> Section:
    words = facts.portraits
    words = words[(words["segment_kind"] == "cluster") & (words["fact"] == "summary")]
    change = facts.clusters
    parts = [f'<p class="portrait"><b>Cluster {escape(r.segment)}</b>{escape(r.words)}</p>' for r in words.itertuples()]
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


def cohorts(facts: Day, most: int = 13) -> Section:
    """The latest cohorts as rows, months since as columns; a month that is not over is set in italics."""
    rows = facts.cohorts
    if rows.empty:
        return Section("cohorts", "Cohorts", "")
    months = sorted(rows["cohort_month"].unique())[-most:]
    width = int(rows.loc[rows["cohort_month"].isin(months), "months_since"].max()) + 1
    head = "".join(f"<td>+{n}</td>" for n in range(min(width, most)))
    lines = [_cohort(rows[rows["cohort_month"] == month], month, most) for month in months]
    body = (
        f'<div class="scroll"><table class="cohorts"><tr><td>first purchase</td><td>customers</td>{head}</tr>'
        f"{''.join(lines)}</table></div>"
    )
    note = (
        "Of those who first bought in a month, the share who bought again one, two, three … months later. "
        "In italics: a month that is not over."
    )
    return Section("cohorts", "Cohorts: who comes back", body, note)


def _cohort(mine: pd.DataFrame, month: object, most: int) -> str:
    cells = [
        f'<td style="{heat(r.retention)}" class="{"" if r.is_complete else "open"}">{r.retention:.0%}</td>'
        for r in mine.sort_values("months_since").itertuples()
        if r.months_since < most
    ]
    return f"<tr><td>{str(month)[:7]}</td><td>{mine['customers'].iloc[0]:,}</td>{''.join(cells)}</tr>"


SECTIONS = (tiers, stages, flows, clusters, cohorts)
