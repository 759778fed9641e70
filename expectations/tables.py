"""The register of all tables. BI sees the published ones as views of schema ``marts``."""

from expectations.behaviour import (
    CUSTOMER_DAY,
    CUSTOMER_HISTORY,
    CUSTOMER_MONTH,
    CUSTOMER_PRODUCT,
    FEATURES,
    PREFERENCES,
)
from expectations.clusters import CLUSTERS, CUSTOMER_CLUSTERS
from expectations.contract import Table
from expectations.dimensions import DIMENSIONS
from expectations.events import EVENTS, INGEST_REPORT, QUARANTINE
from expectations.lifecycle import STAGE_TRANSITIONS
from expectations.next_items import NEXT_ITEMS
from expectations.offers import NEXT_ACTIONS, RECOMMENDATION_QUALITY, RECOMMENDATIONS
from expectations.outcomes import COHORT_RETENTION, DATA_QUALITY, MODEL_PERFORMANCE
from expectations.portraits import SEGMENT_PORTRAITS
from expectations.profiles import EVENT_PROFILE, PRICE_BOUNDS
from expectations.publication import PUBLICATION
from expectations.segments import (
    CUSTOMER_SEGMENTS,
    EMBEDDINGS,
    PUBLISH_LOG,
    SCORES,
    SEGMENT_SETTINGS,
    SEGMENT_SUMMARY,
)
from expectations.tags import CUSTOMER_TAGS
from expectations.texts import TEXT_SCORES, TEXT_VECTORS
from expectations.watch import CHURN_WATCHLIST, RISK_ALERTS

LAKE = (
    *(EVENTS, QUARANTINE, INGEST_REPORT, *DIMENSIONS, EVENT_PROFILE, PRICE_BOUNDS),
    *(TEXT_SCORES, TEXT_VECTORS),
    *(CUSTOMER_DAY, CUSTOMER_MONTH, CUSTOMER_HISTORY, CUSTOMER_PRODUCT, FEATURES, PREFERENCES),
    *(SCORES, EMBEDDINGS, NEXT_ITEMS, CUSTOMER_SEGMENTS, SEGMENT_SETTINGS, STAGE_TRANSITIONS),
    *(CUSTOMER_CLUSTERS, CLUSTERS),
    *(CUSTOMER_TAGS, SEGMENT_PORTRAITS, RECOMMENDATIONS, RECOMMENDATION_QUALITY, NEXT_ACTIONS),
    *(CHURN_WATCHLIST, RISK_ALERTS),
    *(COHORT_RETENTION, MODEL_PERFORMANCE, DATA_QUALITY),
)
PUBLISHED = (
    *(CUSTOMER_SEGMENTS, SEGMENT_SETTINGS, STAGE_TRANSITIONS, CLUSTERS),
    *(CUSTOMER_TAGS, SEGMENT_PORTRAITS, CHURN_WATCHLIST, RISK_ALERTS),
    *(RECOMMENDATIONS, RECOMMENDATION_QUALITY, NEXT_ACTIONS),
    *(COHORT_RETENTION, MODEL_PERFORMANCE, DATA_QUALITY),
)
"""Loaded from the lake a day at a time, and switched together."""
WAREHOUSE = (*PUBLISHED, SEGMENT_SUMMARY, PUBLISH_LOG)
TABLES = {table.name: table for table in (*LAKE, *WAREHOUSE, PUBLICATION)}


def table(name: str) -> Table:
    """The table of that name; ValueError with the known names if there is none."""
    if name not in TABLES:
        raise ValueError(f"no table {name!r}; known: {', '.join(TABLES)}")
    return TABLES[name]
