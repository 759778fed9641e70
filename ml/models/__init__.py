"""Every model by name. To add one: a file in this folder with a class that keeps to ``ml.models.base.Model``, and a
line here.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from expectations.errors import SetupError

if TYPE_CHECKING:
    from ml.models.base import Model

# Name → module:class. Imported when asked for: torch and scikit-learn are heavy.
MODELS = {
    "recency_rule": "ml.models.recency_rule:RecencyRule",
    "past_spend": "ml.models.past_spend:PastSpend",
    "logistic_regression": "ml.models.logistic_regression:LogisticRegression",
    "linear_svm": "ml.models.linear_svm:LinearSvm",
    "random_forest": "ml.models.random_forest:RandomForest",
    "gradient_boosting": "ml.models.gradient_boosting:GradientBoosting",
    "bg_nbd": "ml.models.btyd:BuyTillYouDie",
    "mbg_nbd": "ml.models.btyd:BuyTillYouDie",
    "pareto_nbd": "ml.models.btyd:BuyTillYouDie",
    "btyd_logistic": "ml.models.btyd_logistic:BtydLogistic",
    "cnn": "ml.models.sequence:Sequence",
    "lstm": "ml.models.sequence:Sequence",
    "gru": "ml.models.sequence:Sequence",
    "transformer": "ml.models.sequence:Sequence",
    "value_network": "ml.models.value_network:ValueNetwork",
    "stack": "ml.models.stack:Stack",
}

SEQUENCE_MODELS = ("cnn", "lstm", "gru", "transformer", "value_network", "stack")
"""Those whose class says ``uses_sequences``, told without importing it."""


def known(names: Iterable[str]) -> tuple[str, ...]:
    """``names``, each once; SetupError for what there is not."""
    wanted = tuple(dict.fromkeys(name.strip() for name in names))
    if strange := [name for name in wanted if name not in MODELS]:
        raise SetupError(f"no model {', '.join(map(repr, strange))}; there are: {', '.join(MODELS)}")
    return wanted


def kind(name: str) -> "type[Model]":
    """The class of a model, whose ``load`` reads what it saved; KeyError if MODELS has no such name."""
    module, _, attribute = MODELS[name].partition(":")
    return getattr(import_module(module), attribute)


def make(name: str, seed: int = 0, budget: str = "quick") -> "Model":
    """A fresh model; KeyError if MODELS has no such name."""
    return kind(name)(name=name, seed=seed, budget=budget)
