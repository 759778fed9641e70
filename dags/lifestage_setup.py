"""Create a shop's home and bootstrap its history in bulk, once. Runs when started; safe to repeat.

`first` and `last` bound the history (both included); `source` names the shop's mapping in `jobs/sources/`. The shop's
files have landed before. One job call takes the whole range, in slices, instead of a run per day. Features are built as
of the last day; `lifestage_train` builds those it learns from.

**When it fails.** The log of the task that is red says which file or setting is wrong. Mend it and clear the task: what
was done before it stays, and what is done again gives the same.
"""

from airflow.sdk import Param
from lifestage_airflow.dag import ENGINE, lifestage_dag
from lifestage_airflow.operators import JobOperator

RANGE = ["--from", "{{ params.first }}", "--to", "{{ params.last }}"]

with lifestage_dag(
    "lifestage_setup",
    __doc__,
    tags=["setup"],
    params={
        "source": Param(
            "complete_journey", type="string", pattern="^[a-z][a-z0-9_]*$", title="Source",
            description_md="A mapping of `jobs/sources/`, without `.yaml`.",
        ),
        "first": Param(
            type="string", format="date", title="First day", description_md="Of the history, YYYY-MM-DD, included."
        ),
        "last": Param(
            type="string", format="date", title="Last day", description_md="Of the history, YYYY-MM-DD, included."
        ),
    },
):  # fmt: skip
    setup = JobOperator(task_id="setup", arguments=["jobs", "setup", "--source", "{{ params.source }}"])
    ingest = JobOperator(task_id="ingest", arguments=["jobs", "ingest", "--source", "{{ params.source }}", *RANGE])
    validate_events = JobOperator(
        task_id="validate_events", arguments=["jobs", "validate", "--table", "events", *RANGE], **ENGINE
    )
    encode_text = JobOperator(task_id="encode_text", arguments=["jobs", "encode_text", *RANGE], **ENGINE)
    aggregate = JobOperator(task_id="aggregate", arguments=["jobs", "aggregate", *RANGE], **ENGINE)
    build_features = JobOperator(
        task_id="build_features", arguments=["jobs", "build_features", "--ds", "{{ params.last }}"], **ENGINE
    )
    validate_features = JobOperator(
        task_id="validate_features",
        arguments=["jobs", "validate", "--table", "features", "--ds", "{{ params.last }}"],
        **ENGINE,
    )

    setup >> ingest >> validate_events >> encode_text >> aggregate >> build_features >> validate_features
