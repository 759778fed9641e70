"""What a file's header has that the feed's previous delivery had not."""

from datetime import date

import pyarrow.compute as pc

from expectations.errors import DataError
from expectations.events import INGEST_REPORT
from jobs.home import Home
from jobs.lake import LakeTable


class Headers:
    """The last header of each feed, day after day. ``report`` rows are handed in by rising day."""

    def __init__(self, home: Home):
        self._report = LakeTable(home, INGEST_REPORT)
        self._last: dict[tuple[str, str], str] = {}
        self._days: list[date] | None = None

    def added(self, report: dict) -> list[str]:
        """Columns of the file that the previous one of its feed lacked; none where there is no previous one."""
        if not report["header"]:
            return []
        feed = (report["source"], report["feed"])
        if feed not in self._last:
            self._last[feed] = self._before(*feed, report["arrival_date"])
        before, self._last[feed] = self._last[feed], report["header"]
        return sorted(set(report["header"].split("\n")) - set(before.split("\n"))) if before else []

    def forget(self) -> None:
        """A day was left out: what came before the next one stands in the lake."""
        self._last, self._days = {}, None

    def _before(self, source: str, feed: str, day: date) -> str:
        self._days = self._report.days() if self._days is None else self._days
        for earlier in reversed([d for d in self._days if d < day]):
            try:
                rows = self._report.read_arrow([earlier], ["source", "feed", "header"])
            except DataError:  # written under another contract
                return ""
            of_feed = pc.and_(pc.equal(rows["source"], source), pc.equal(rows["feed"], feed))
            headers = [header for header in rows.filter(of_feed)["header"].to_pylist() if header]
            if headers:
                return headers[-1]
        return ""
