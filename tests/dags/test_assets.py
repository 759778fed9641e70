"""Each published table is an asset: renewed by publish with its day, and another team's DAG starts on it."""

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest
from lifestage_airflow.assets import VIEWS, PublishOperator, mart
from lifestage_airflow.dag import DS, lifestage_dag
from lifestage_airflow.days import business_date


def test_there_is_an_asset_for_each_view_of_the_marts(dags):
    from expectations.views import VIEWS as contract  # standard library alone, and not while parsing

    assert set(VIEWS) == set(contract)
    outlets = dags["lifestage_daily"].get_task("publish").outlets
    assert {asset.uri for asset in outlets} == {f"lifestage://marts/{view}" for view in contract}


@pytest.fixture
def published(stored, interpreter, metadata):
    """A DAG of another team on one of the marts, and one publish of 30 December by a run of ours."""
    from airflow.sdk import DAG, Asset

    interpreter("print('published')")
    with DAG("crm_upload", schedule=[Asset("lifestage://marts/churn_watchlist")]) as theirs:
        PublishOperator(task_id="upload", arguments=["x"], day="x")
    with lifestage_dag("only_publish", "", tags=["test"], params={"ds": None}) as ours:
        PublishOperator(task_id="publish", arguments=["jobs", "publish", "--ds", DS], day=DS)
    stored(theirs)
    unpause(metadata, "crm_upload")
    ours = stored(ours)
    run = ours.test(logical_date=datetime(2018, 1, 1, tzinfo=UTC), run_conf={"ds": "2017-12-30"})
    assert run.state == "success"


def unpause(metadata, dag_id):
    from airflow.models.dag import DagModel

    with metadata() as session:
        session.get(DagModel, dag_id).is_paused = False


def test_a_publish_tells_its_day_and_starts_who_waits(published, metadata):
    from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel
    from sqlalchemy import select

    with metadata() as session:
        events = session.execute(
            select(AssetModel.uri, AssetEvent.extra, AssetEvent.source_task_id)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetEvent.source_dag_id == "only_publish")
        ).all()
        waiting = set(session.scalars(select(AssetDagRunQueue.target_dag_id)))
    assert {uri for uri, _, _ in events} == {mart(view).uri for view in VIEWS}
    assert [(extra, task) for _, extra, task in events] == [({"ds": "2017-12-30"}, "publish")] * len(VIEWS)
    assert "crm_upload" in waiting


def test_a_run_started_by_a_publish_speaks_of_the_day_published():
    """And several publishes before it started mean the latest: what is trained on is the newest there is."""
    run = SimpleNamespace(data_interval_start=None, data_interval_end=None, logical_date=None,
                          run_after=datetime(2026, 1, 1, tzinfo=UTC))  # fmt: skip
    events = {mart("customer_segments"): [SimpleNamespace(extra={"ds": day}) for day in ("2017-12-30", "2017-12-29")]}
    assert business_date({}, run, events) == date(2017, 12, 30)
    assert business_date({"ds": "2017-06-01"}, run, events) == date(2017, 6, 1)
    by_hand = {mart("customer_segments"): [SimpleNamespace(extra=None)]}  # an event that a person made in the UI
    assert business_date({}, run, by_hand) == date(2025, 12, 31)
