"""Each tier, stage and cluster in words and numbers."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Check, Column, Table, explained

SEGMENT_KINDS = ("value_tier", "lifecycle_stage", "cluster")
PORTRAIT_FACTS = {
    "summary": "the segment in a sentence or two; value is null",
    "size": "value: customers",
    "customer_share": "value: share of the snapshot's customers",
    "revenue_share": "value: share of what all customers paid within 365 days, before refunds",
    "difference": "item: a feature; value: mean in the segment less mean of all others, in standard deviations of all",
    "category": "item: a favourite category; value: share of the segment's customers who want it most; "
    "rank: by how surely that exceeds the share among all others",
    "tag": "item: a tag; value: share of the segment's customers who carry it; rank: as of category",
    "sentiment": "value: mean sentiment of the segment's texts within 365 days, -1 to 1",
    "journey": "item: a step (view, add_to_cart, purchase, return, …); value: events of it per customer in 90 days; "
    "a purchase is a line of a receipt, no order",
}

SEGMENT_PORTRAITS = Table(
    name="segment_portraits",
    description="Each value tier, lifecycle stage and behaviour cluster in words and numbers: size, share of revenue, "
    "what sets it apart, what it wants, how it feels, how it behaves.",
    grain="one row per snapshot date, segment, fact and rank",
    key=("snapshot_date", "segment_kind", "segment", "fact", "rank"),
    partition="snapshot_date",
    version=2,
    columns=(
        SNAPSHOT_DATE,
        Column(name="segment_kind", type="string", values=SEGMENT_KINDS, description="What kind of segment."),
        Column(name="segment", type="string", description="Which: a tier, a stage, or a cluster_id."),
        Column(name="fact", type="string", values=tuple(PORTRAIT_FACTS),
               description=f"What the row tells. {explained(PORTRAIT_FACTS)}"),
        Column(name="rank", type="int32", minimum=1, unit="places", description="1 for the most telling of its fact."),
        Column(name="item", type="string", nullable=True, description="What the fact is about, where it needs one."),
        Column(name="value", type="double", nullable=True, description="The number, as fact says."),
        Column(name="low", type="double", nullable=True, description="Lower end of value's 95 % interval."),
        Column(name="high", type="double", nullable=True, description="Upper end of value's 95 % interval."),
        Column(name="others", type="double", nullable=True, minimum=0, maximum=1, unit="share",
               description="Of category and tag: the same share among all customers outside the segment."),
        Column(name="words", type="string", description="The same in plain words."),
    ),
    checks=(Check(kind="row_count", severity="fail", minimum=1, why="every snapshot has segments"),),
)  # fmt: skip
