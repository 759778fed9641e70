"""Train and compare models as of one cutoff, and promote the best if it beats the champion.

**When.** Each time the daily line has published, on the asset `lifestage://marts/customer_segments`: so it needs no
hour of its own, sees a whole day, and does not take the machine from the daily line. `training_due` asks `python -m ml
due` and skips the rest where nothing speaks for a training; its log lists the reasons for and against. Started by hand
it asks too, unless `force` is ticked.

**Which cutoff.** Parameter `cutoff`, else the latest one whose labels have matured, by `python -m ml cutoff`: so long
before the business date as the settings say that churn takes (`churn_days`, by default 30). The business date is
parameter `ds`, else the day that was published, else the last day that was over when the run was started; at most the
last day aggregated, since nothing is known of later ones.

Features as of the cutoff and of the earlier ones it learns from are built where they are missing or stale; those of the
cutoff pass their gate before anything is trained on them. Sequences of events are built likewise if the setting
`model.models` names a model that reads them; else that task ends at once. The best model on validation becomes champion
where it is shown to beat the champion and stays within its bounds; else the log and the runs in MLflow say why not.
`train` links to these under *Details*, *Extra Links*. `python -m ml promote NAME/VERSION` and `python -m ml rollback`
are a person's ways.

**When it fails.** The marts keep the champion that they have, so it can wait for the morning. `train` with exit 65 says
which day or feature lacks, with 75 that MLflow did not answer (tried again by itself). After mending clear the task.
"""

from datetime import timedelta

from airflow.sdk import Param
from lifestage_airflow.assets import mart
from lifestage_airflow.dag import CUTOFF, DS, ENGINE, day_param, lifestage_dag
from lifestage_airflow.gates import JobGate
from lifestage_airflow.operators import JobOperator, TrainOperator

REUSE = "{{ '--no-reuse' if params.force else '--reuse' }}"

with lifestage_dag(
    "lifestage_train",
    __doc__,
    schedule=[mart("customer_segments")],
    tags=["training"],
    params={
        "cutoff": day_param("Last day that features may see, YYYY-MM-DD. Empty: the latest with matured labels."),
        "ds": day_param("Business date, YYYY-MM-DD. Empty: the day published, else the last day that is over."),
        "budget": Param(
            "quick", type="string", enum=["quick", "full"], title="Budget",
            description_md="`quick`: one seed, a small search. `full`: a larger search, five seeds for networks.",
        ),
        "force": Param(
            False, type="boolean", title="Train in any case", description_md="Else only if `python -m ml due` says so."
        ),
    },
):  # fmt: skip
    training_due = JobGate(
        task_id="training_due", arguments=["ml", "due", "--ds", DS], no="due: no", is_open="{{ params.force }}"
    )
    cutoff = JobOperator(task_id="cutoff", arguments=["ml", "cutoff", "--ds", DS], push_last_line=True)
    build_features = JobOperator(
        task_id="build_features",
        arguments=["jobs", "build_features", "--for-training", CUTOFF, "--skip-unchanged"],
        **ENGINE,
    )
    validate_features = JobOperator(
        task_id="validate_features", arguments=["jobs", "validate", "--table", "features", "--ds", CUTOFF], **ENGINE
    )
    build_sequences = JobOperator(
        task_id="build_sequences", arguments=["jobs", "build_sequences", "--for-training", CUTOFF, "--skip-unchanged"]
    )
    train = TrainOperator(
        task_id="train",
        # Cleared after it has ended, it makes no second version that is the first again.
        arguments=["ml", "train", "--cutoff", CUTOFF, "--budget", "{{ params.budget }}", REUSE],
        execution_timeout=timedelta(hours=12),
    )

    training_due >> cutoff >> build_features >> validate_features >> build_sequences >> train
