"""What to offer whom: recommended products, and the next best action."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Check, Column, Table, explained
from expectations.events import CUSTOMER_KEY
from expectations.segments import CUSTOMER_SEGMENTS
from expectations.watch import RISK_BANDS

RECOMMENDATION_REASONS = {
    "repeat": "the customer has bought it before",
    "item_to_item": "bought by those who bought what the customer bought",
    "content": "among what sells best in a category the customer prefers",
    "brand": "among what sells best of a brand the customer prefers",
    "text": "named alike what the customer has bought",
    "matrix_factorisation": "placed near the customer by who buys what",
    "sequence": "what others bought next after the products of the customer's latest basket",
    "new_arrival": "new in the shop, of a category the customer prefers",
    "premium": "among the dearest of a category the customer prefers",
    "popular": "bought most by everybody of late",
}

RECOMMENDATIONS = Table(
    name="recommendations",
    description="Products to show each customer, in the order of the ranking that ships (recommendation_quality) and "
    "of the strategy of their segment.",
    grain="one row per customer, snapshot date and rank",
    key=("snapshot_date", "customer_key", "rank"),
    partition="snapshot_date",
    version=2,
    columns=(
        SNAPSHOT_DATE,
        CUSTOMER_KEY,
        Column(name="rank", type="int32", minimum=1, unit="places", description="1 for what to show first."),
        Column(name="product_id", type="string", description="The shop's product."),
        Column(name="product_name", type="string", nullable=True,
               description="Its name, as the shop's latest delivery of products has it; null where none names it."),
        Column(name="category", type="string", nullable=True, description="Its category."),
        Column(name="probability", type="double", minimum=0, maximum=1, nullable=True, unit="probability",
               description="That the product is in the customer's next basket, given that they buy within 28 days (or "
               "as recommendations.horizon_days has it), as the blend sees it. Where personal frequency ships, or a "
               "strategy moves places, it need not fall from rank to rank. Null where no model told it: too few "
               "customers to learn a blend from, or a place that a strategy keeps (new_arrival, premium)."),
        Column(name="reason", type="string", values=tuple(RECOMMENDATION_REASONS),
               description=f"What speaks for it most. {explained(RECOMMENDATION_REASONS)}"),
        Column(name="is_repeat", type="bool", description="Whether the customer has bought it before."),
        Column(name="strategy", type="string", description="The strategy of the customer's segment that was applied."),
    ),
)  # fmt: skip

RECOMMENDATION_QUALITY = Table(
    name="recommendation_quality",
    description="How well each way of ranking products did on what customers bought in the weeks up to snapshot_date, "
    "learnt from other customers: by this the way that ships was chosen.",
    grain="one row per snapshot date and ranking",
    key=("snapshot_date", "ranking"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        Column(name="ranking", type="string", description="The blend, personal frequency, or a source alone."),
        Column(name="is_shipped", type="bool", description="Whether recommendations of the day follow it."),
        *(Column(name=f"recall{end}", type="double", minimum=0, maximum=1, nullable=True, unit="share",
                 description=f"{words} the share of a customer's next basket that the list holds.")
          for end, words in (("", "Mean of"), ("_low", "Lower end of the 95 % interval of"),
                             ("_high", "Upper end of the 95 % interval of"))),
        *(Column(name=f"gain{end}", type="double", minimum=-1, maximum=1, nullable=True, unit="difference of shares",
                 description=f"{words} its recall less that of personal frequency, on the same customers.")
          for end, words in (("", "Mean of"), ("_low", "Lower end of the 95 % interval of"),
                             ("_high", "Upper end of the 95 % interval of"))),
        Column(name="coverage", type="double", minimum=0, maximum=1, unit="share",
               description="Share of the products on offer that stand in somebody's list."),
        Column(name="novelty", type="double", minimum=0, unit="bits",
               description="Mean over the lists of -log2 of the share of customers who bought the product."),
        Column(name="repeat_share", type="double", minimum=0, maximum=1, unit="share",
               description="Share of the places listed that the customer has bought before; the rest explores."),
    ),
)  # fmt: skip

NEXT_ACTIONS = Table(
    name="next_actions",
    description="What to do next about each customer, by the table of strategies; a share of every segment is held out "
    "so that effects can be measured.",
    grain="one row per customer and snapshot date",
    key=("snapshot_date", "customer_key"),
    partition="snapshot_date",
    version=2,
    columns=(
        SNAPSHOT_DATE,
        CUSTOMER_KEY,
        Column(name="rule", type="string", description="The rule of the strategies that holds first."),
        Column(name="action", type="string", description="What to do; none: leave the customer alone."),
        Column(name="channel", type="string", nullable=True, description="Where; null for action none."),
        Column(name="budget_weight", type="double", minimum=0,
               description="What to spend on the customer, relative to others: split a budget in proportion to it."),
        Column(name="cool_down_days", type="int32", minimum=0, unit="days",
               description="Days for which the customer is not to be given the same action again."),
        Column(name="is_due", type="bool",
               description="Whether to act on snapshot_date: the action is not none, and was not due for the customer "
               "within the cool_down_days before."),
        Column(name="due_on", type="date", nullable=True,
               description="The day on which the action was last due, snapshot_date included; null for action none."),
        Column(name="is_held_out", type="bool",
               description="Whether the customer is of the control group: leave them alone, and compare later; false "
               "where the rule is for everybody. Drawn "
               "by a keyed hash, so that a customer stays in it."),
        *(CUSTOMER_SEGMENTS.column(name) for name in ("value_tier", "lifecycle_stage", "churn_band")),
        Column(name="risk_band", type="string", values=("none", *RISK_BANDS),
               description="The customer's highest band in risk_alerts; none without one."),
        Column(name="churn_watch", type="string", values=("none", "listed"),
               description="Whether the customer is on the churn watch list: likely to leave, and worth keeping by "
               "what they paid, whatever their tier, which is by what they are expected to spend."),
    ),
    checks=(Check(kind="row_count", severity="fail", minimum=1, why="every customer has a row"),),
)  # fmt: skip
