"""Create a shop's home and bootstrap its history in bulk, once. Runs when started; safe to repeat.

`first` and `last` bound the history (both included); `source` names the shop's mapping in `jobs/sources/`. The shop's
files have landed before. One job call takes the whole range, in slices, instead of a run per day. Features are built as
of the last day; `lifestage_train` builds those it learns from.
"""

from airflow.sdk import Param
from lifestage_airflow.dag import lifestage_dag
from lifestage_airflow.operators import JobOperator

RANGE = ["--from", "{{ params.first }}", "--to", "{{ params.last }}"]

with lifestage_dag(
    "lifestage_setup",
    __doc__,
    tags=["setup"],
    params={
        "source": Param("complete_journey", type="string", minLength=1, description_md="Source of `jobs/sources/`."),
        "first": Param(type="string", format="date", description_md="First day of the history, YYYY-MM-DD."),
        "last": Param(type="string", format="date", description_md="Last day of the history, YYYY-MM-DD."),
    },
):
    setup = JobOperator(task_id="setup", arguments=["jobs", "setup", "--source", "{{ params.source }}"])
    ingest = JobOperator(task_id="ingest", arguments=["jobs", "ingest", "--source", "{{ params.source }}", *RANGE])
    validate_events = JobOperator(
        task_id="validate_events", arguments=["jobs", "validate", "--table", "events", *RANGE]
    )
    encode_text = JobOperator(task_id="encode_text", arguments=["jobs", "encode_text", *RANGE])
    aggregate = JobOperator(task_id="aggregate", arguments=["jobs", "aggregate", *RANGE])
    build_features = JobOperator(
        task_id="build_features", arguments=["jobs", "build_features", "--ds", "{{ params.last }}"]
    )
    validate_features = JobOperator(
        task_id="validate_features",
        arguments=["jobs", "validate", "--table", "features", "--ds", "{{ params.last }}"],
    )

    setup >> ingest >> validate_events >> encode_text >> aggregate >> build_features >> validate_features
