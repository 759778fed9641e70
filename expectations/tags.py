"""A customer in words that BI can filter on."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Column, Table
from expectations.events import CUSTOMER_KEY

CUSTOMER_TAGS = Table(
    name="customer_tags",
    description="A profile of each customer in words: every tag whose rule holds on snapshot_date, with its evidence.",
    grain="one row per customer, snapshot date and tag",
    key=("snapshot_date", "customer_key", "tag"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        CUSTOMER_KEY,
        Column(name="tag", type="string",
               description="The word; where it speaks of something, that stands after a colon: category:GROCERY."),
        Column(name="tag_group", type="string",
               description="The word without what stands after the colon: what to group by."),
        Column(name="evidence", type="string", description="The numbers of the customer that the rule was met by."),
    ),
)  # fmt: skip
