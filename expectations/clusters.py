"""Behaviour clusters: who is alike, and which clusters there are. Ids persist from day to day and over refits."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Check, Column, Table
from expectations.events import CUSTOMER_KEY

CLUSTER_ID = Column(
    name="cluster_id", type="int32", minimum=1,
    description="The behaviour cluster. An id stays with its cluster over days and refits and is never given again.",
)  # fmt: skip
FITTED_ON = Column(
    name="fitted_on", type="date", description="Snapshot on whose customers the clusters were last fitted."
)

CUSTOMER_CLUSTERS = Table(
    name="customer_clusters",
    description="The behaviour cluster of each customer on snapshot_date, and how surely.",
    grain="one row per customer and snapshot date",
    key=("customer_key",),
    partition="snapshot_date",
    columns=(
        CUSTOMER_KEY,
        SNAPSHOT_DATE,
        CLUSTER_ID,
        Column(name="membership", type="double", minimum=0, maximum=1, unit="share",
               description="Soft membership in the cluster: the softmax over all clusters of the negative squared "
               "distances to their centres, in units of the mean squared distance to the nearest centre."),
        Column(name="runner_up_id", type="int32", minimum=1, nullable=True,
               description="The cluster that comes next; null if there is one only."),
        FITTED_ON,
    ),
    checks=(Check(kind="row_count", severity="fail", minimum=1, why="a day without a clustered customer"),),
)  # fmt: skip

CLUSTERS = Table(
    name="clusters",
    description="The behaviour clusters in force on snapshot_date: how they were found, how good they are, and whether "
    "the latest refit moved them.",
    grain="one row per cluster and snapshot date",
    key=("snapshot_date", "cluster_id"),
    partition="snapshot_date",
    version=2,
    columns=(
        SNAPSHOT_DATE,
        CLUSTER_ID,
        Column(name="cluster_name", type="string",
               description="In words, what set the cluster apart when it was first found; it stays with its id."),
        Column(name="customers", type="int64", minimum=0, unit="customers", description="Customers in it on the day."),
        FITTED_ON,
        Column(name="method", type="string",
               description="Method that found it; one_cluster: customers were too few, or nothing told them apart."),
        Column(name="silhouette", type="double", minimum=-1, maximum=1,
               description="Silhouette of the whole clustering on the customers it was fitted on (a sample); 0 of one "
               "cluster."),
        Column(name="stability", type="double", minimum=-1, maximum=1,
               description="Adjusted Rand index between clusterings of resampled customers: 1 if chance has no part."),
        Column(name="refit_agreement", type="double", minimum=-1, maximum=1, nullable=True,
               description="Adjusted Rand index between this fit and the one before on the same customers; null for a "
               "first fit."),
        Column(name="change", type="string", values=("first", "kept", "moved", "new"),
               description="What the fit in force did to the cluster: first: there was no fit before; kept: its centre "
               "stayed; moved: its centre moved beyond the bound; new: it matches no cluster of the fit before."),
    ),
)  # fmt: skip
