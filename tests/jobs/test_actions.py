"""The next best action: which rule, when it is due again, who is held out, and what is refused."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expectations.errors import SetupError
from expectations.offers import NEXT_ACTIONS
from expectations.segments import CUSTOMER_SEGMENTS
from expectations.watch import CHURN_WATCHLIST, RISK_ALERTS
from jobs import choose_actions
from jobs.actions import choose
from jobs.actions.strategies import CONDITIONS, load_strategies, parse_strategies
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from tests.jobs.rows import filled

DAY = date(2024, 3, 10)
TWO = """
rules:
  - {name: wake, when: {lifecycle_stage: [dormant], risk_band: [none]}, action: voucher, channel: email,
     budget_weight: 2, cool_down_days: 7}
  - {name: rest, action: none, budget_weight: 0, cool_down_days: 0}
"""


def customer(key, stage="active", tier="low", churn="low", risk="none", watch="none"):
    return segmented(key, stage, tier, churn) | {"risk_band": risk, "churn_watch": watch}


def segmented(key, stage="active", tier="low", churn="low"):
    return {"customer_key": key, "value_tier": tier, "lifecycle_stage": stage, "churn_band": churn}


def decided(strategies, *customers, last=(), day=DAY):
    last = pd.DataFrame(last, columns=["customer_key", "action", "due_on"])
    rows = choose.next_actions(pd.DataFrame(customers), strategies, last, day)
    return {row["customer_key"]: row for row in rows.to_dict("records")}


def test_the_first_rule_that_holds_decides():
    rows = decided(
        parse_strategies(TWO, "f"), customer("a", "dormant"), customer("b"), customer("c", "dormant", risk="high")
    )
    assert [rows[key]["action"] for key in "abc"] == ["voucher", "none", "none"]
    assert (rows["a"]["is_due"], rows["a"]["due_on"], rows["a"]["channel"]) == (True, DAY, "email")
    assert (rows["b"]["is_due"], rows["b"]["due_on"], rows["b"]["channel"]) == (False, None, None)


@pytest.mark.parametrize(("days_ago", "due"), [(1, False), (6, False), (7, True), (30, True)])
def test_an_action_is_due_again_once_it_has_cooled_down(days_ago, due):
    past = DAY - timedelta(days=days_ago)
    row = decided(parse_strategies(TWO, "f"), customer("a", "dormant"), last=[("a", "voucher", past)])["a"]
    assert (row["is_due"], row["due_on"]) == (due, DAY if due else past)


def test_another_action_does_not_wait_for_the_one_before():
    row = decided(parse_strategies(TWO, "f"), customer("a", "dormant"), last=[("a", "reward", DAY - timedelta(days=1))])
    assert row["a"]["is_due"]


def test_the_control_group_is_its_share_of_every_segment_and_stays():
    keys = pd.Series([f"{n:032x}" for n in range(20_000)])
    out = choose.held_out(keys, 0.1)
    assert abs(out.mean() - 0.1) < 4 * np.sqrt(0.09 / len(keys))
    for part in range(5):  # any segment of 4,000: within four standard deviations
        assert abs(out[part::5].mean() - 0.1) < 4 * np.sqrt(0.09 / 4_000)
    assert (choose.held_out(keys[::-1], 0.1)[::-1] == out).all()
    assert (out <= choose.held_out(keys, 0.2)).all()  # a larger group takes the smaller one in


def test_what_is_for_everybody_is_held_out_from_nobody():
    strategies = parse_strategies(TWO.replace("budget_weight: 2", "hold_out: false, budget_weight: 2"), "f")
    keys = [f"{n:032x}" for n in range(200)]
    rows = decided(strategies, *(customer(key, "dormant" if n % 2 else "active") for n, key in enumerate(keys)))
    out = {
        action: sum(row["is_held_out"] for row in rows.values() if row["action"] == action)
        for action in ("voucher", "none")
    }
    assert out["voucher"] == 0 < out["none"]


def test_who_is_on_the_watch_list_is_known(home):
    for table, rows in (
        (CUSTOMER_SEGMENTS, [filled(CUSTOMER_SEGMENTS, snapshot_date=DAY, **segmented(key)) for key in "ab"]),
        (RISK_ALERTS, []),
        (CHURN_WATCHLIST, [filled(CHURN_WATCHLIST, snapshot_date=DAY, customer_key="b")]),
    ):
        LakeTable(home, table).write_arrow(DAY, pa.Table.from_pylist(rows, arrow_schema(table)))
    found = choose_actions.read_customers(home, DAY).set_index("customer_key")["churn_watch"]
    assert found.to_dict() == {"a": "none", "b": "listed"}


def test_the_reach_of_rules_counts_everybody_once_and_shows_what_is_hidden():
    text = TWO.replace("rules:", "rules:\n  - {name: all_dormant, when: {lifecycle_stage: [dormant]}, action: call, "
                       "channel: phone, budget_weight: 1, cool_down_days: 1}")  # fmt: skip
    people = pd.DataFrame([customer("a", "dormant"), customer("b", "dormant"), customer("c")])
    found = choose.reach(people, parse_strategies(text, "f")).set_index("rule")
    assert found["customers"].to_dict() == {"all_dormant": 2, "wake": 0, "rest": 1}
    assert found.loc["wake", "hidden"] == 2
    assert "never: earlier rules take everybody" in choose_actions.shown_reach(found.reset_index())


def test_the_shipped_strategies_are_sound_and_reach_every_customer(home):
    strategies = load_strategies(home)
    grid = pd.MultiIndex.from_product(CONDITIONS.values(), names=CONDITIONS).to_frame(index=False)
    place = choose.first_rules(grid, strategies.rules)
    assert set(place) == set(range(len(strategies.rules)))  # no rule is hidden by those before it


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[dormant]", "[asleep]", r"f, line 3: lifecycle_stage has no value asleep; known: prospect, new"),
        ("risk_band", "mood", r"no condition 'mood'; known: value_tier"),
        ("channel: email,", "", r"every action has a channel, none has not: rule wake"),
        ("budget_weight: 2", "budget_weight: -1", r"budget_weight must be a number, 0 or more, found -1"),
        ("budget_weight: 2", "budget_weight: .nan", r"budget_weight must be a number, 0 or more, found nan"),
        ("cool_down_days: 7", "cool_down_days: 999999", r"f, line 4: cool_down_days must be 3650 or less"),
        ("name: rest", "name: wake", r"two rules are called wake"),
        ("name: rest,", "name: rest, when: {churn_band: [low]},", r"the last rule must hold for everybody"),
        ("rules:", "held_out_share: 0.7\nrules:", r"held_out_share must lie in 0 … 0.5, found 0.7"),
        ("cool_down_days: 7", "cool_down: 7", r"a rule has no key 'cool_down'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old, new, said):
    with pytest.raises(SetupError, match=said):
        parse_strategies(TWO.replace(old, new, 1), "f")


def run(home, day):
    choose_actions.main(choose_actions.arg_parser().parse_args(["--home", str(home.path), "--ds", str(day)]))
    table = LakeTable(home, NEXT_ACTIONS)
    rows = {row["customer_key"]: row for row in table.read_arrow([day]).to_pylist()}
    return rows, b"".join(file.read_bytes() for file in sorted(table.folder(day).glob("*.parquet")))


def test_days_in_order_cool_down_and_a_day_again_gives_equal_bytes(home):
    (home.path / "strategies.yaml").write_text(TWO)
    days = [DAY + timedelta(days=n) for n in (0, 1, 7)]
    for day in days:
        people = [filled(CUSTOMER_SEGMENTS, snapshot_date=day, **segmented(key, "dormant")) for key in "ab"]
        alert = filled(RISK_ALERTS, snapshot_date=day, customer_key="b", kind="bot", rank=1, risk_band="high")
        for table, rows in ((CUSTOMER_SEGMENTS, people), (RISK_ALERTS, [alert]), (CHURN_WATCHLIST, [])):
            LakeTable(home, table).write_arrow(day, pa.Table.from_pylist(rows, arrow_schema(table)))
    found = [run(home, day) for day in days]
    assert [(rows["a"]["is_due"], rows["a"]["due_on"]) for rows, _ in found] == [
        (True, days[0]), (False, days[0]), (True, days[2])
    ]  # fmt: skip
    assert [rows["b"]["action"] for rows, _ in found] == ["none"] * 3  # risky: the rule asks for none
    assert [run(home, day)[1] for day in days] == [content for _, content in found]


def test_the_preview_writes_nothing(home, capsys):
    Path(home.path / "strategies.yaml").write_text(TWO)
    row = filled(CUSTOMER_SEGMENTS, snapshot_date=DAY, **segmented("a"))
    for table, rows in ((CUSTOMER_SEGMENTS, [row]), (RISK_ALERTS, []), (CHURN_WATCHLIST, [])):
        LakeTable(home, table).write_arrow(DAY, pa.Table.from_pylist(rows, arrow_schema(table)))
    choose_actions.main(
        choose_actions.arg_parser().parse_args(["--home", str(home.path), "--ds", str(DAY), "--preview"])
    )
    assert "wake" in capsys.readouterr().out
    assert not LakeTable(home, NEXT_ACTIONS).has(DAY)
