"""`python -m jobs ingest` of CSV with every rule on: five days of 300,000 rows of a shop's clicks and sales.

100 million events a year are 274,000 a day. Ten columns, as REES46 delivers them with a country added; duplicates are
looked for; sessions are the source's own.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

FIRST, DAYS, ROWS = date(2024, 3, 4), 5, 300_000
PRODUCTS, CUSTOMERS, SECONDS = 50_000, 250_000, 86_400
MAPPING = f"""
source: clicks
shop: clicks
timezone: UTC
currency: USD
simulated: true
expected: {{first: {FIRST}, last: {FIRST + timedelta(DAYS - 1)}}}
feeds:
  - name: events
    files: ds={{ds}}/events.csv
    time_formats: ["%Y-%m-%d %H:%M:%S UTC"]
    event_type:
      column: event_type
      values: {{view: view, cart: add_to_cart, purchase: purchase}}
    constants: {{quantity: 1, channel: web}}
    drop_duplicates: true
    columns:
      customer_id: user_id
      event_time: event_time
      session_id: user_session
      product_id: product_id
      category: category_code
      brand: brand
      unit_price: price
      country: country
"""
RUN = """
import sys
from pathlib import Path
from jobs.__main__ import COMMANDS
from jobs.reading import mapping
from expectations.commands import run
mapping.FOLDER = Path(sys.argv[1])
sys.exit(run("jobs", COMMANDS, sys.argv[2:]))
"""
"""`python -m jobs` with the mappings of the folder named first: the benchmark's shop is none that the project ships."""


def measure(folder: Path) -> dict[str, float]:
    """Rows a second of the whole command, start of Python included: the median of three runs."""
    from jobs.home import Home
    from jobs.reading.keys import ensure_key

    home = Home(folder / "ingest")
    shutil.rmtree(home.path, ignore_errors=True)
    home.adopt("clicks", "clicks", simulated=True)
    ensure_key(home)
    (home.path / "clicks.yaml").write_text(MAPPING)
    for n in range(DAYS):
        land(home.landing_of("clicks"), FIRST + timedelta(n), seed=n)
    seconds = statistics.median(run(home.path) for _ in range(3))
    shutil.rmtree(home.path)
    return {"ingest_rows_per_s": DAYS * ROWS / seconds}


def land(landing: Path, day: date, seed: int) -> None:
    """One day's file: popular products, one price a product, sessions of four events on average."""
    rng = np.random.default_rng(seed)
    product = np.minimum(rng.zipf(1.2, ROWS), PRODUCTS).astype(int)
    session = rng.integers(0, ROWS // 4, ROWS)
    customer = rng.integers(0, CUSTOMERS, ROWS // 4)[session]
    ids = np.array([str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(ROWS // 4)])
    clock = np.array([f"{day} {s // 3600:02}:{s // 60 % 60:02}:{s % 60:02} UTC" for s in range(SECONDS)])
    columns = {
        "event_time": clock[np.sort(rng.integers(0, SECONDS, ROWS))],
        "event_type": np.array(["view", "cart", "purchase"])[rng.choice(3, ROWS, p=[0.9, 0.07, 0.03])],
        "product_id": product + 1_000_000,
        "category_id": product % 300 + 2_053_013_555_631_882_655,
        "category_code": np.array([f"part{c % 20}.group{c % 60}.kind{c}" for c in range(300)])[product % 300],
        "brand": np.array([f"brand{b}" for b in range(500)])[product % 500],
        "price": np.random.default_rng(0).lognormal(3, 1, PRODUCTS + 1).round(2)[product],
        "user_id": customer + 500_000_000,
        "user_session": ids[session],
        "country": np.array(["DE", "FR", "US", "GB"])[customer % 4],
    }
    path = landing / f"ds={day}" / "events.csv"
    path.parent.mkdir(parents=True)
    pa_csv.write_csv(pa.table(columns), path, pa_csv.WriteOptions(quoting_style="none"))


def run(home: Path) -> float:
    """Seconds of the command, with the lake as it was before the first."""
    shutil.rmtree(home / "lake", ignore_errors=True)
    days = ["--from", str(FIRST), "--to", str(FIRST + timedelta(DAYS - 1))]
    command = [sys.executable, "-c", RUN, str(home), "ingest", "--home", str(home), *days]
    began = time.perf_counter()
    subprocess.run(command, check=True, env=dict(os.environ))
    return time.perf_counter() - began
