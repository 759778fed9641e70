"""By age and gender, where the shop told them and its settings let them be read: is the model as good for everybody?"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.behaviour import FEATURE_NAMES, FEATURES
from ml.examples import Inputs
from ml.home import partition_folder

AGE_BANDS = (
    (0, 25, "under 25"), (25, 35, "25 to 34"), (35, 45, "35 to 44"), (45, 55, "45 to 54"), (55, 65, "55 to 64"),
    (65, np.inf, "65 and over"),
)  # fmt: skip
UNKNOWN = "unknown"


def groups_of(inputs: Inputs) -> dict[str, np.ndarray]:
    """Group, such as "age 25 to 34" → (rows,) bool; groups that hold anybody, and none if nothing was told."""
    age = inputs.features[:, FEATURE_NAMES.index("age")]
    found = {f"age {name}": (age >= low) & (age < high) for low, high, name in AGE_BANDS}
    found[f"age {UNKNOWN}"] = np.isnan(age)
    gender = genders(inputs)
    found |= {f"gender {value}": gender == value for value in sorted(set(gender), key=lambda v: (v == UNKNOWN, v))}
    told = {kind for kind in ("age", "gender") if not found[f"{kind} {UNKNOWN}"].all()} if len(inputs) else set()
    return {name: rows for name, rows in found.items() if rows.any() and name.split(" ")[0] in told}


def genders(inputs: Inputs) -> np.ndarray:
    """(rows,) str: as the features of each row's cutoff hold it; UNKNOWN where they do not, or are gone."""
    found = np.full(len(inputs), UNKNOWN, dtype=object)
    for cutoff in np.unique(inputs.cutoffs):
        folder = partition_folder(FEATURES, cutoff.astype("datetime64[D]").item(), inputs.home)
        files = sorted(folder.glob("*.parquet"))
        if not files or "gender" not in pq.read_schema(files[0]).names:
            continue
        rows = pa.concat_tables(pq.read_table(f, columns=["customer_key", "gender"], partitioning=None) for f in files)
        known = {k: g for k, g in zip(rows["customer_key"].to_pylist(), rows["gender"].to_pylist(), strict=True) if g}
        mine = np.flatnonzero(inputs.cutoffs == cutoff)
        found[mine] = [known.get(key, UNKNOWN) for key in inputs.customer_keys[mine]]
    return found
