"""Every model by name. To add one: a file in this folder with a class that keeps to ``ml.models.base.Model``, and a
line here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.models.base import Model

# Name → module:class. Imported when asked for: torch and scikit-learn are heavy.
MODELS = {}


def make(name: str, seed: int = 0, budget: str = "quick") -> "Model":
    """A fresh model; KeyError if MODELS has no such name."""
    module, _, kind = MODELS[name].partition(":")
    return getattr(import_module(module), kind)(name=name, seed=seed, budget=budget)
