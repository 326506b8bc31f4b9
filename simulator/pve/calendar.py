"""Calendar events: when a scheduled job runs next.

Read by backup jobs. The accepted forms are those of the Proxmox VE administration guide, appendix
calendar events (a part of systemd.time(7)): `[weekdays] [date] time`, with lists, ranges (`..`) and
repetitions (`/`), and the words minutely, hourly, daily, weekly, monthly, yearly. Times are UTC.
Leaves out: wording of the parser after "unable to parse calendar event", and what would run before
the year 1 or after 9990.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WORDS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
}
_SEARCH_DAYS = 366 * 8 + 2  # a 29 February on a given weekday may be that far
_FIRST_S = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LAST_S = (datetime(9999, 1, 1, tzinfo=UTC) - timedelta(days=_SEARCH_DAYS)).timestamp()


class NoEvent(ValueError):
    """The text is no calendar event; the argument is where reading stopped."""


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """The sets of values that fit; None takes every year."""

    weekdays: frozenset[int]
    years: frozenset[int] | None
    months: frozenset[int]
    days: frozenset[int]
    hours: frozenset[int]
    minutes: frozenset[int]

    def next_run_s(self, after_s: float) -> int | None:
        """The first run after `after_s`, both seconds of the Unix epoch; None if there is none, or
        if the search would leave the years that a date can have.
        """
        if not _FIRST_S <= after_s <= _LAST_S:
            return None
        moment = datetime.fromtimestamp(after_s, UTC).replace(second=0, microsecond=0)
        moment += timedelta(minutes=1)
        for _ in range(_SEARCH_DAYS):
            if self._day_fits(moment) and (run := self._in_day(moment)) is not None:
                return int(run.timestamp())
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
        return None

    def _day_fits(self, day: datetime) -> bool:
        year_fits = self.years is None or day.year in self.years
        return (
            year_fits
            and day.month in self.months
            and day.day in self.days
            and day.weekday() in self.weekdays
        )

    def _in_day(self, start: datetime) -> datetime | None:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                if (hour, minute) >= (start.hour, start.minute):
                    return start.replace(hour=hour, minute=minute)
        return None


def _numbers(text: str, low: int, high: int) -> frozenset[int]:
    """The values of `*`, `1,2`, `1..5`, `0/15` or `*/2`."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\*|\d{1,9})(?:\.\.(\d{1,9}))?(?:/(\d{1,9}))?", part)
        if match is None:
            raise NoEvent(text)
        start = low if match[1] == "*" else int(match[1])
        step = int(match[3]) if match[3] else 1
        whole = match[1] == "*" or match[3]
        end = int(match[2]) if match[2] else high if whole else start
        if not (low <= start <= end <= high and step > 0):
            raise NoEvent(text)
        found.update(range(start, end + 1, step))
    return frozenset(found)


def _weekdays(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        ends = [_weekday(name) for name in part.split("..")]
        if len(ends) > 2 or ends[0] > ends[-1]:
            raise NoEvent(text)
        found.update(range(ends[0], ends[-1] + 1))
    return frozenset(found)


def _weekday(name: str) -> int:
    for number, short in enumerate(WEEKDAYS):
        if len(name) >= 3 and name.startswith(short):
            return number
    raise NoEvent(name)


def _date(text: str) -> tuple[frozenset[int] | None, frozenset[int], frozenset[int]]:
    year, month, day = ["*", *text.split("-")][-3:]
    years = None if year == "*" else _numbers(year, 1970, 2200)
    return years, _numbers(month, 1, 12), _numbers(day, 1, 31)


def parse_calendar(text: str) -> CalendarEvent:
    """Read an event. Raises NoEvent."""
    parts = WORDS.get(text.strip().lower(), text.strip()).split()
    if not parts:
        raise NoEvent(text)
    weekdays = frozenset(range(7))
    if parts[0][0].isalpha():
        weekdays = _weekdays(parts.pop(0))
    date = _date("*-*-*")
    if parts and "-" in parts[0]:
        date = _date(parts.pop(0))
    time = parts.pop(0) if parts else "00:00"
    if parts:
        raise NoEvent(parts[0])
    hour, _, rest = time.partition(":") if ":" in time else ("*", "", time)
    minute = rest.split(":")[0]
    return CalendarEvent(weekdays, *date, _numbers(hour, 0, 23), _numbers(minute, 0, 59))


def calendar_problem(text: str) -> str:
    """What is wrong with an event, in Proxmox VE's words; "" if nothing is."""
    try:
        parse_calendar(text)
    except NoEvent as error:
        where = f"at '{error}'" if str(error) else "- event is empty"
        problem = f"unable to parse calendar event {where}"
        return f"invalid calendar event '{text}' - {problem}\n"
    return ""
