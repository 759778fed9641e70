"""The vault: the one place where a customer_key leads back to the shop's own id. For role activation alone."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Column, Table
from expectations.events import CUSTOMER_KEY

CUSTOMER_IDS = Table(
    name="customer_ids",
    description="Whom each customer_key stands for.",
    grain="one row per customer",
    key=("customer_key",),
    partition="customer_key",
    columns=(
        CUSTOMER_KEY,
        Column(name="customer_id", type="string", description="The shop's own id, cleaned as its source mapping says."),
        Column(name="key_id", type="string", description="Which secret made customer_key, without revealing it."),
    ),
)  # fmt: skip

VAULT_LOADS = Table(
    name="vault_loads",
    description="Deliveries whose customers are in customer_ids.",
    grain="one row per delivery",
    key=("arrival_date",),
    partition="arrival_date",
    columns=(
        Column(name="arrival_date", type="date", description="Day of the delivery."),
        Column(name="stamp", type="string", description="Size and time of the file that was loaded."),
    ),
)  # fmt: skip

EXPORT_LOG = Table(
    name="export_log",
    description="Every audience that left with the shop's ids in it: who took it, when, why and whom.",
    grain="one row per export",
    key=("export_id",),
    partition="export_id",
    columns=(
        Column(name="export_id", type="int64", minimum=1, description="Rises with every export."),
        Column(name="exported_at", type="timestamp", description="When (UTC)."),
        Column(name="exported_by", type="string", description="Who, by the name they gave."),
        Column(name="account", type="string", description="The account of the machine that they used."),
        Column(name="purpose", type="string", nullable=True, description="What for. Null where they did not say."),
        SNAPSHOT_DATE,
        Column(name="where_clause", type="string", description="Which customers were asked for."),
        Column(name="file_name", type="string", description="The file that was written."),
        Column(name="customers", type="int64", minimum=0, unit="customers", description="Rows in the file."),
        Column(name="file_digest", type="string", description="SHA-256 of the file."),
    ),
)  # fmt: skip

VAULT = (CUSTOMER_IDS, VAULT_LOADS, EXPORT_LOG)
