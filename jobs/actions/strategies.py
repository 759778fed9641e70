"""The table of strategies: which rules there are, read from YAML. What is wrong is told with file and line."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from expectations.offers import NEXT_ACTIONS
from jobs.home import Home
from jobs.reading.yaml_lines import fields_of
from ml.yaml_lines import Lined, load_lined

NAME = "strategies.yaml"
NO_ACTION = "none"
LONGEST_COOL_DOWN = 3650
CONDITIONS = {name: NEXT_ACTIONS.column(name).values for name in
              ("value_tier", "lifecycle_stage", "churn_band", "churn_watch", "risk_band")}  # fmt: skip
"""What a rule may ask → the values there are."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """``when``: condition → the values of which one must hold; all conditions must. ``channel``: empty for none.

    ``hold_out``: whether the control group is left alone; false for what has to be done for everybody.
    """

    name: str
    action: str
    budget_weight: float
    cool_down_days: int
    channel: str = ""
    hold_out: bool = True
    when: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Strategies:
    """Of ``rules`` the first that holds decides; the last holds for everybody. ``held_out_share``: 0 … 0.5."""

    rules: tuple[Rule, ...]
    held_out_share: float = 0.1


def load_strategies(home: Home) -> Strategies:
    """The home's strategies.yaml, else the one beside this module; SetupError with file and line if it is wrong."""
    own = home.path / NAME
    path = own if own.exists() else Path(__file__).with_name(NAME)
    return parse_strategies(path.read_text("utf-8"), str(path))


def parse_strategies(text: str, name: str) -> Strategies:
    raw = load_lined(text, name)
    fields_of(raw, raw, Strategies, "strategies")
    share = raw.get("held_out_share", Strategies.held_out_share)
    if not _is_number(share) or not 0 <= share <= 0.5:
        raw.fail(f"held_out_share must lie in 0 … 0.5, found {share!r}", "held_out_share")
    if not isinstance(raw["rules"], list) or not raw["rules"]:
        raw.fail("rules must be a list, not empty", "rules")
    rules = tuple(_rule(raw, each) for each in raw["rules"])
    _refuse_doubles(raw, rules)
    if rules[-1].when:
        raw["rules"][-1].fail(f"the last rule must hold for everybody: {rules[-1].name} has a `when`", "when")
    return Strategies(rules=rules, held_out_share=float(share))


def _rule(owner: Lined, raw: object) -> Rule:
    raw = fields_of(owner, raw, Rule, "a rule", "rules")
    weight = raw["budget_weight"]
    if not _is_number(weight) or not 0 <= weight < math.inf:
        raw.fail(f"budget_weight must be a number, 0 or more, found {weight!r}", "budget_weight")
    if raw["cool_down_days"] > LONGEST_COOL_DOWN:
        raw.fail(f"cool_down_days must be {LONGEST_COOL_DOWN} or less, found {raw['cool_down_days']}", "cool_down_days")
    if ("channel" in raw) == (raw["action"] == NO_ACTION):
        raw.fail(f"every action has a channel, {NO_ACTION} has not: rule {raw['name']}", "action")
    return Rule(**{**raw, "budget_weight": float(weight), "when": _when(raw)})


def _when(rule: Lined) -> dict[str, tuple[str, ...]]:
    """What the rule asks, each value one that there is."""
    asked = rule.get("when", {})
    if not isinstance(asked, dict):
        rule.fail(f"when must be condition: [values] pairs, found {asked!r}", "when")
    for name, values in asked.items():
        if name not in CONDITIONS:
            asked.fail(f"no condition {name!r}; known: {', '.join(CONDITIONS)}", name)
        if not isinstance(values, list) or not values:
            asked.fail(f"{name} must be a list of values, found {values!r}", name)
        if strange := [str(value) for value in values if value not in CONDITIONS[name]]:
            asked.fail(f"{name} has no value {', '.join(strange)}; known: {', '.join(CONDITIONS[name])}", name)
    return {name: tuple(values) for name, values in asked.items()}


def _refuse_doubles(raw: Lined, rules: tuple[Rule, ...]) -> None:
    names = [rule.name for rule in rules]
    for place, name in enumerate(names):
        if name in names[:place]:
            raw["rules"][place].fail(f"two rules are called {name}", "name")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
