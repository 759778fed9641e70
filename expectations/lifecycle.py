"""The lifecycle as a state machine: stages, the phases they call for, who may move where, and the count of moves."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Check, Column, Table

# Stage → the management phase it calls for. In the order of a customer's life.
LIFECYCLE_PHASES = {
    "prospect": "acquisition",
    "new": "conversion",
    "active": "retention",
    "loyal": "loyalty",
    "dormant": "activation",
    "reactivated": "retention",
    "churned": "win_back",
}
LIFECYCLE_STAGES = tuple(LIFECYCLE_PHASES)

PHASE_DESCRIPTIONS = {
    "acquisition": "win the first purchase",
    "conversion": "win the second purchase",
    "retention": "keep the rhythm going",
    "loyalty": "reward, and ask for more",
    "activation": "wake up before they are gone",
    "win_back": "bring back, or let go at no cost",
}

# Silent: no purchase for longer than the customer's own rhythm allows, which is silent_after_gaps of their mean gaps
# between purchase days, at least silent_least_days and at most silent_most_days; for one who has bought on one day
# only, until they are no longer new.
LIFECYCLE_DESCRIPTIONS = {
    "prospect": "seen, never bought",
    "new": "first purchase less than new_days ago",
    "active": "has come back and is within their own rhythm, silent_most_days at the longest",
    "loyal": "frequent and valuable for a while, and within their own rhythm: tenure_days of at least "
    "loyal_tenure_days, and within 365 days at least loyal_purchase_days_from days with a purchase and "
    "loyal_amount_from paid",
    "dormant": "silent beyond their own rhythm",
    "reactivated": "was dormant or churned, and has bought again, once and less than reactivated_days ago",
    "churned": "silent beyond their own rhythm, and purchase_probability_30d below churned_below_probability",
}
# A customer has exactly one stage: the first of these that holds.
LIFECYCLE_ORDER = ("prospect", "new", "churned", "dormant", "reactivated", "loyal", "active")

# Stage → where a customer may stand the day after, besides there.
LIFECYCLE_TRANSITIONS = {
    "prospect": ("new",),
    "new": ("active", "loyal", "dormant", "churned"),
    "active": ("loyal", "dormant", "churned"),
    "loyal": ("active", "dormant", "churned"),
    "dormant": ("reactivated", "churned"),
    "reactivated": ("active", "loyal", "dormant", "churned"),
    "churned": ("reactivated", "dormant"),
}

UNSEEN, GONE = "unseen", "gone"
"""Where customers come from whom the snapshot before did not hold, and where those went whom the later one lacks."""


def reachable(stage: str, days: int) -> set[str]:
    """Stages in which a customer of ``stage`` may stand ``days`` later, itself among them."""
    found, frontier = {stage}, {stage}
    for _ in range(min(days, len(LIFECYCLE_STAGES))):
        frontier = {to for at in frontier for to in LIFECYCLE_TRANSITIONS[at]} - found
        found |= frontier
    return found


STAGE_TRANSITIONS = Table(
    name="stage_transitions",
    description="Every flow between lifecycle stages from one snapshot to the next, those who stayed included.",
    grain="one row per snapshot date and pair of stages between which a customer went",
    key=("snapshot_date", "from_stage", "to_stage"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        Column(name="previous_snapshot_date", type="date", nullable=True,
               description="The snapshot before, where the customers came from: the newest within 35 days. Null if "
               "there was none: then everybody is unseen."),
        Column(name="from_stage", type="string", values=(UNSEEN, *LIFECYCLE_STAGES),
               description="Stage in the snapshot before; unseen: not in it."),
        Column(name="to_stage", type="string", values=(*LIFECYCLE_STAGES, GONE),
               description="Stage in this snapshot; gone: not in it any more."),
        Column(name="customers", type="int64", minimum=1, unit="customers",
               description="Customers who went this way. Those into a stage add up to its size in this snapshot, those "
               "from a stage to its size in the one before."),
        Column(name="is_expected", type="bool",
               description="Whether customers can go this way in so many days. False where what was known of the past "
               "has changed: a late delivery, a correction, other settings. Customers who come in or are gone are "
               "expected."),
    ),
    checks=(Check(kind="row_count", severity="fail", minimum=1, why="every customer goes somewhere, or stays"),),
)  # fmt: skip
