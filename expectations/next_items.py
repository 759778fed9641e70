"""What a customer's next basket is likely to hold: products and categories."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Check, Column, Table
from expectations.events import CUSTOMER_KEY

NEXT_ITEM_KINDS = ("product", "category")

NEXT_ITEMS = Table(
    name="next_items",
    description="What each customer is likeliest to buy next, ranked: products and categories, as of snapshot_date.",
    grain="one row per customer, snapshot date, kind and rank",
    key=("customer_key", "kind", "rank"),
    partition="snapshot_date",
    columns=(
        CUSTOMER_KEY,
        SNAPSHOT_DATE,
        Column(name="kind", type="string", values=NEXT_ITEM_KINDS, description="What item names."),
        Column(name="rank", type="int32", minimum=1, unit="places", description="1 for the likeliest of its kind."),
        Column(name="item", type="string", description="product_id, or the category's path."),
        Column(name="probability", type="double", minimum=0, maximum=1, unit="probability",
               description="That the item is in the customer's next basket, given that they buy within the ranker's "
               "horizon; of a customer who has never bought, the share of recent baskets that hold it."),
        Column(name="ranker_run", type="string", description="MLflow run that kept the ranker."),
    ),
    checks=(Check(kind="row_count", severity="fail", minimum=1, why="a day on which nobody was recommended anything"),),
)  # fmt: skip
