"""python -m lifestage_airflow.pools: writes the pools that tasks name into Airflow's database; safe to repeat.

Airflow runs no task whose pool it does not know, so this comes before the first run: `make up` does it, and so does an
initialiser on one's own servers.
"""

import os
import sys

ENGINE = "lifestage_engine"
GPU = "lifestage_gpu"
WAREHOUSE = "lifestage_warehouse"
SLOTS = "LIFESTAGE_ENGINE_SLOTS"


def engine_slots(text: str) -> int:
    """As many jobs as may use the engine side by side; ValueError for less than one."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{SLOTS}={text!r} is not a number of jobs; give 1 or more: as many as the engine can hold")
    return int(text)


def wanted() -> dict[str, tuple[int, str]]:
    """Pool → slots and what they are for."""
    return {
        ENGINE: (
            engine_slots(os.environ.get(SLOTS) or "1"),
            f"Jobs that use the engine side by side (${SLOTS}): one takes all cores of a small machine",
        ),
        GPU: (1, "Trainings side by side: each takes the accelerator, or all cores, for itself"),
        WAREHOUSE: (1, "Jobs that switch or tidy the warehouse: one after another"),
    }


def write_pools() -> dict[str, int]:
    """Creates the pools or brings them to today's slots; name → slots."""
    from airflow.models.pool import Pool

    for name, (slots, description) in wanted().items():
        Pool.create_or_update_pool(name, slots, description, include_deferred=False)
    return {name: slots for name, (slots, _) in wanted().items()}


if __name__ == "__main__":
    try:
        print(", ".join(f"{name}: {slots}" for name, slots in write_pools().items()))
    except ValueError as error:
        sys.exit(str(error))
