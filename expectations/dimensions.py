"""What a shop tells of its products, customers and campaigns. Ids are cleaned and keyed as those of events are."""

from expectations.contract import Check, Column, Table
from expectations.events import ARRIVAL_DATE, CUSTOMER_KEY, EVENTS, SOURCE

PRODUCTS = Table(
    name="products",
    description="The shop's products as delivered: what an event does not say of its product is looked up here.",
    grain="one row per product and delivery",
    key=("source", "product_id"),
    partition="arrival_date",
    columns=(
        SOURCE,
        ARRIVAL_DATE,
        Column(name="product_id", type="string", description="The shop's product."),
        EVENTS.column("category"),
        EVENTS.column("brand"),
        Column(name="product_name", type="string", nullable=True, description="Name of the product."),
        Column(name="list_price", type="decimal", nullable=True, minimum=0, unit="currency per item",
               description="Price of one item before discounts."),
    ),
    checks=(Check(kind="row_count", severity="warn", minimum=1, why="a product file without a product"),),
)  # fmt: skip

CUSTOMERS = Table(
    name="customers",
    description="What customers told the shop of themselves. Read only where the setting `demographics` is on.",
    grain="one row per customer and delivery",
    key=("source", "customer_key"),
    partition="arrival_date",
    columns=(
        SOURCE,
        ARRIVAL_DATE,
        CUSTOMER_KEY,
        Column(name="age", type="double", nullable=True, minimum=0, maximum=120, unit="years",
               description="Age; the middle of the band where the shop knows only a band."),
        Column(name="gender", type="string", nullable=True, description="Gender, as the shop says."),
        Column(name="income", type="double", nullable=True, minimum=0, unit="currency",
               description="Yearly household income; the middle of the band where the shop knows only a band."),
        Column(name="household_size", type="double", nullable=True, minimum=0, unit="people",
               description="People in the household."),
        Column(name="region", type="string", nullable=True, description="Region, as the shop says."),
        Column(name="signup_date", type="date", nullable=True, description="Date of registration."),
    ),
)  # fmt: skip

CAMPAIGNS = Table(
    name="campaigns",
    description="The shop's campaigns.",
    grain="one row per campaign and delivery",
    key=("source", "campaign_id"),
    partition="arrival_date",
    columns=(
        SOURCE,
        ARRIVAL_DATE,
        Column(name="campaign_id", type="string", description="The marketing campaign."),
        Column(name="campaign_name", type="string", nullable=True, description="Name or kind of the campaign."),
        EVENTS.column("channel"),
        Column(name="start_date", type="date", nullable=True, description="First day."),
        Column(name="end_date", type="date", nullable=True, description="Last day."),
    ),
)  # fmt: skip

DIMENSIONS = (PRODUCTS, CUSTOMERS, CAMPAIGNS)
