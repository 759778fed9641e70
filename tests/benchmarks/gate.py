"""What the gate costs beside the stage it guards: a big day of a shop ingested, then gated, imports left out."""

import gzip
import shutil
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv

ROWS = 3_000_000
"""The day's lines: ten times an average day of a shop with 100 million events a year."""
DAY = date(2024, 3, 6)
MAPPING = """
source: bench_shop
shop: bench_shop
timezone: Europe/Berlin
currency: EUR
expected: {first: 2024-01-01}
feeds:
  - name: clicks
    files: ds={ds}/clicks.csv.gz
    time_formats: ["%Y-%m-%d %H:%M:%S"]
    event_type: {column: kind, values: {view: view, cart: add_to_cart, buy: purchase}}
    columns: {customer_id: user, event_time: at, session_id: visit, order_id: order, product_id: product,
              category: category, brand: brand, quantity: pieces, amount: paid, device: device}
"""


def measure(folder: Path) -> dict[str, float]:
    """Seconds of the gate on events and ingest_report / seconds of the ingestion; each the median of three."""
    import great_expectations  # noqa: F401

    from expectations.events import EVENTS, INGEST_REPORT
    from jobs.engine import open_engine
    from jobs.home import Home
    from jobs.ingest import ingest_days
    from jobs.reading.keys import ensure_key
    from jobs.reading.mapping import parse_mapping
    from jobs.validate import gate_partitions

    home = Home(folder / "gate")
    shutil.rmtree(home.path, ignore_errors=True)
    home.adopt("bench_shop", "bench_shop")
    ensure_key(home)
    mapping = parse_mapping(MAPPING, "bench_shop.yaml")
    land(home.landing / "bench_shop" / f"ds={DAY}" / "clicks.csv.gz")
    stage = sorted(_seconds(lambda: ingest_days(home, [mapping], [DAY])) for _ in range(3))[1]
    for week in range(1, 5):  # the days that volume and mix are judged against: as big, and with the same rows
        for table in (EVENTS, INGEST_REPORT):
            past = home.lake / table.folder(DAY - timedelta(days=7 * week))
            shutil.copytree(home.lake / table.folder(DAY), past)
    with open_engine("sail") as spark:
        tables = (EVENTS, INGEST_REPORT)
        gates = sorted(_seconds(lambda: [gate_partitions(home, t, spark, [DAY]) for t in tables]) for _ in range(3))
    shutil.rmtree(home.path)
    print(f"gate: ingested {ROWS:,} rows in {stage:.2f} s, gated them in {gates[1]:.2f} s")
    return {"gate_share": gates[1] / stage}


def _seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def land(path: Path, rows: int = ROWS) -> None:
    """A day of clicks: 100,000 customers, 20,000 products in 300 categories, one line in twenty a purchase."""
    random = np.random.default_rng(0)
    kind = random.choice(["view", "cart", "buy"], rows, p=[0.85, 0.1, 0.05])
    product, user = random.integers(0, 20_000, rows), random.integers(0, 100_000, rows)
    second = np.sort(random.integers(0, 86_400, rows)).astype("timedelta64[s]")
    is_bought, empty = kind == "buy", np.full(rows, None, object)
    columns = {
        "user": user,
        "at": np.char.replace((np.datetime64(DAY, "s") + second).astype(str), "T", " "),
        "visit": np.char.add("v", user.astype(str)),
        "kind": kind,
        "order": np.where(is_bought, np.char.add("o", user.astype(str)), empty),
        "product": np.char.add("p", product.astype(str)),
        "category": np.char.add("home.c", (product % 300).astype(str)),
        "brand": np.char.add("b", (product % 700).astype(str)),
        "pieces": np.where(is_bought, 1, empty),
        "paid": np.where(is_bought, np.round(random.lognormal(3, 1, rows), 2).astype(str), empty),
        "device": random.choice(["phone", "desktop", "tablet"], rows),
    }
    path.parent.mkdir(parents=True)
    with gzip.open(path, "wb", compresslevel=1) as file:
        pv.write_csv(pa.table({name: pa.array(values) for name, values in columns.items()}), file)
