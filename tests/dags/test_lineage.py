"""What publishing tells OpenLineage; needs Airflow's provider, which only those who want lineage install."""

import pytest

pytest.importorskip("airflow.providers.openlineage")


def test_publishing_tells_every_view_of_the_marts(dags):
    from lifestage_airflow.assets import VIEWS

    publish = dags["lifestage_daily"].get_task("publish")
    told = publish.get_openlineage_facets_on_complete(None).outputs
    assert [(one.namespace, one.name) for one in told] == [("lifestage", f"marts.{view}") for view in VIEWS]
