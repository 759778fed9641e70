"""When the daily line runs and has to be done.

The one place that reads $LIFESTAGE_TIMEZONE, $LIFESTAGE_DAILY_AT and $LIFESTAGE_PUBLISH_BY.
"""

import os
import re
from datetime import timedelta
from zoneinfo import ZoneInfo


def read_zone(name: str) -> str:
    """The name itself; ValueError, which Airflow shows as the DAG's import error, if it names no time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"LIFESTAGE_TIMEZONE={name!r} names no time zone; give one such as Europe/Berlin") from error
    return name


def read_delay(text: str) -> timedelta:
    """``HH:MM`` as the time after the end of a day. ValueError, as in ``read_zone``, for anything else."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f"LIFESTAGE_DAILY_AT={text!r} is not a time of day; give HH:MM, such as 03:00")
    hours, minutes = map(int, text.split(":"))
    return timedelta(hours=hours, minutes=minutes)


def read_due(text: str, start: timedelta) -> timedelta | None:
    """Hours after the end of a day, as time after it; None for nothing. ValueError for anything else.

    ``start``: when the run begins, counted likewise; it cannot have ended by then.
    """
    if not text:
        return None
    if not re.fullmatch(r"\d{1,3}(\.\d+)?", text) or timedelta(hours=float(text)) <= start:
        raise ValueError(
            f"LIFESTAGE_PUBLISH_BY={text!r} is no number of hours after the end of the day and after the run's start "
            f"({start} after it); give one such as 6 or 7.5"
        )
    return timedelta(hours=float(text))


ZONE = read_zone(os.environ.get("LIFESTAGE_TIMEZONE") or "UTC")
"""Time zone of the business days."""
DELAY = read_delay(os.environ.get("LIFESTAGE_DAILY_AT") or "00:00")
"""How long after the end of its day, by the clock there, a scheduled run starts: when the shop's files have landed."""
DUE = read_due(os.environ.get("LIFESTAGE_PUBLISH_BY") or "", DELAY)
"""How long after the end of its day a scheduled run has to have ended; None: nobody waits for it."""
