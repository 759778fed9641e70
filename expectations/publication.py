"""What the tables of a published day must be to one another, and to the day published before."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Check, Column, Table

PUBLICATION = Table(
    name="publication",
    description="Numbers that the audit of a day takes over several staged tables, judged before any reader sees them.",
    grain="one row per snapshot date, check and what it was asked of",
    key=("snapshot_date", "label", "of"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        Column(name="label", type="string", description="Name of the check."),
        Column(name="of", type="string", description="The table or value that was asked."),
        Column(name="value", type="double", description="The number that was found."),
    ),
    checks=(
        Check(name="customers_match_scores", kind="counted", severity="fail", maximum=0,
              of="customers more or fewer than lake/scores has",
              why="a snapshot shows everyone who was scored and nobody else"),
        Check(name="one_model", kind="counted", severity="fail", maximum=1, of="model versions in customer_segments",
              why="numbers of two models cannot be compared, and the log names one"),
        Check(name="no_orphans", kind="counted", severity="fail", maximum=0,
              of="rows of a customer, or a cluster, that the day does not have",
              why="who is not in the snapshot cannot be tagged, listed, or offered anything"),
        Check(name="everyone_has_an_action", kind="counted", severity="fail", maximum=0,
              of="customers more or fewer than in next_actions", why="a customer without a row is an open question"),
        Check(name="transitions_add_up", kind="counted", severity="fail", maximum=0,
              of="customers of a stage more or fewer than stage_transitions bring there",
              why="flows that do not add up to the stages explain nothing"),
        Check(name="tier_share_shift_warn", kind="share_shift", severity="warn", maximum=0.1, of="value_tier",
              why="a day rarely moves a tenth of all customers"),
        Check(name="tier_share_shift_fail", kind="share_shift", severity="fail", maximum=0.5, of="value_tier",
              why="half of all customers in another tier is a broken model or half a delivery"),
        Check(name="stage_share_shift_warn", kind="share_shift", severity="warn", maximum=0.1, of="lifecycle_stage",
              why="a day rarely moves a tenth of all customers"),
        Check(name="stage_share_shift_fail", kind="share_shift", severity="fail", maximum=0.5, of="lifecycle_stage",
              why="half of all customers in another stage is a broken model or half a delivery"),
    ),
)  # fmt: skip
