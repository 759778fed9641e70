"""What a card tells of a model besides numbers: where it comes from, and what it was fitted with."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "pandas", "pyarrow", "skops", "safetensors", "mlflow")


@dataclass(frozen=True)
class About:
    """What a card tells of a model besides numbers.

    shop       name, marked where its data are simulated; as ml.home.shop_name says
    params     settings and facts of the run, as MLflow shows them
    threshold  probability of a purchase within churn_days from which a customer counts as a buyer
    """

    model: str
    shop: str
    seed: int
    data_digest: str
    code_version: str
    threshold: float
    params: Mapping[str, object]

    @property
    def is_simulated(self) -> bool:
        return "(simulated)" in self.shop


def environment() -> dict[str, str]:
    """Versions and machine."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", "device": _device()}


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
