"""Train and compare models as of one cutoff, and promote the best if it beats the champion. Runs when started.

**Which cutoff.** Parameter `cutoff`, else the latest one whose labels have matured: 30 days (the label window) before
the business date. The business date is parameter `ds`, else the last day that was over when the run was started.

Features as of the cutoff and of the earlier ones it learns from are built where they are missing or stale; those of the
cutoff pass their gate before anything is trained on them. Sequences of events are built likewise if the setting
`model.models` names a model that reads them; else that task ends at once. The best model on validation becomes champion
where it is shown to beat the champion and stays within its bounds; else the log and the runs say why not. `python -m ml
promote NAME/VERSION` and `python -m ml rollback` are a person's ways; `python -m ml due` says when a training is due.
"""

from datetime import timedelta

from lifestage_airflow.dag import CUTOFF, day_param, lifestage_dag
from lifestage_airflow.operators import JobOperator

with lifestage_dag(
    "lifestage_train",
    __doc__,
    tags=["training"],
    params={
        "cutoff": day_param("Last day that features may see, YYYY-MM-DD. Empty: 30 days before `ds`."),
        "ds": day_param("Business date, YYYY-MM-DD. Empty: the last day that is over."),
    },
):
    build_features = JobOperator(
        task_id="build_features", arguments=["jobs", "build_features", "--for-training", CUTOFF, "--skip-unchanged"]
    )
    validate_features = JobOperator(
        task_id="validate_features", arguments=["jobs", "validate", "--table", "features", "--ds", CUTOFF]
    )
    build_sequences = JobOperator(
        task_id="build_sequences", arguments=["jobs", "build_sequences", "--for-training", CUTOFF, "--skip-unchanged"]
    )
    train = JobOperator(
        task_id="train", arguments=["ml", "train", "--cutoff", CUTOFF], execution_timeout=timedelta(hours=12)
    )

    build_features >> validate_features >> build_sequences >> train
