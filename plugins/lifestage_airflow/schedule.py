"""When the daily line runs: the one place that reads $LIFESTAGE_TIMEZONE and $LIFESTAGE_DAILY_AT."""

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


ZONE = read_zone(os.environ.get("LIFESTAGE_TIMEZONE") or "UTC")
"""Time zone of the business days."""
DELAY = read_delay(os.environ.get("LIFESTAGE_DAILY_AT") or "00:00")
"""How long after the end of its day, there, a scheduled run starts: when the shop's files have landed."""
