"""The published tables as Airflow assets, on which others' DAGs can be scheduled, and the task that renews them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.sdk import Asset, Context

from lifestage_airflow.operators import JobOperator

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

VIEWS = (
    *("customer_segments", "customer_segments_history", "segment_summary", "segment_portraits", "clusters"),
    *("stage_transitions", "customer_tags", "churn_watchlist", "risk_alerts", "risk_alerts_history"),
    *("recommendations", "recommendation_quality", "next_actions", "next_actions_history", "cohort_retention"),
    *("model_performance", "data_quality", "segment_settings", "publish_log"),
)
"""Views of schema ``marts`` (expectations/views.py, which plugins do not import; a test holds the two together)."""


def mart(view: str) -> Asset:
    """``lifestage://marts/<view>``."""
    return Asset(f"lifestage://marts/{view}", group="lifestage")


class PublishOperator(JobOperator):
    """Publishes a day, and tells whoever waits for the marts which one: ``extra["ds"]`` of each asset's event.

    :param day: the business date, templated.
    """

    template_fields: Sequence[str] = (*JobOperator.template_fields, "day")

    def __init__(self, *, day: str, **kwargs) -> None:
        super().__init__(outlets=[mart(view) for view in VIEWS], **kwargs)
        self.day = day

    def execute(self, context: Context) -> None:
        super().execute(context)
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"ds": self.day}

    def get_openlineage_facets_on_complete(self, task_instance: object) -> "OperatorLineage":
        """Called by Airflow's OpenLineage provider, where it is installed."""
        from lifestage_airflow.lineage import renewed

        return renewed(self.outlets)
