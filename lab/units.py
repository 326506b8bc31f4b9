"""Sizes, rates and durations as people write them: `8GiB`, `10Gbps`, `180s`.

Canonical values are plain numbers whose unit is in the name of the type: `Size` is bytes, `Rate`
bits per second, `Duration` seconds. A number without a unit is refused, because nobody can tell
what it meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import inf, isinf
from reprlib import repr as shortened
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", re.ASCII)

# Binary prefixes: IEC 80000-13. Decimal ones: SI, as disk vendors and network cards use them.
SIZES_BYTES: Mapping[str, int] = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
RATES_BPS: Mapping[str, int] = {"bps": 1, "kbps": 10**3, "Mbps": 10**6, "Gbps": 10**9}
DURATIONS_S: Mapping[str, float] = {
    "ms": 0.001,
    "s": 1,
    "min": 60,
    "h": 3600,
    "d": 86400,
}


def parse(text: object, units: Mapping[str, float], what: str) -> float:
    """The value of `text` in the base unit of `units`. Raises ValueError, saying which units do."""
    match = _NUMBER.fullmatch(text) if isinstance(text, str) else None
    value = float(match[1]) * units[match[2]] if match and match[2] in units else inf
    if isinf(value):
        known = ", ".join(units)
        raise ValueError(f"{shortened(text)} is not a {what}; write a number with one of {known}")
    return value


def parse_size(text: object) -> int:
    """Bytes in `text`, such as `8GiB`."""
    return round(parse(text, SIZES_BYTES, "size"))


def parse_rate(text: object) -> int:
    """Bits per second in `text`, such as `10Gbps`."""
    return round(parse(text, RATES_BPS, "rate"))


def parse_duration(text: object) -> float:
    """Seconds in `text`, such as `180s`."""
    return parse(text, DURATIONS_S, "duration")


def parse_version(text: str) -> str:
    """A version of numbers and dots, such as `9.2`."""
    if not re.fullmatch(r"\d+(\.\d+)*", text):
        raise ValueError(f"{shortened(text)} is not a version; write numbers and dots, such as 9.2")
    return text


def parse_flag(value: object) -> bool:
    """True or false as YAML 1.2.2 (10.3.2) writes them; `yes` and `on` are texts there."""
    if isinstance(value, bool):
        return value
    if value not in ("true", "True", "TRUE", "false", "False", "FALSE"):
        raise ValueError(f"{shortened(value)} is neither true nor false; write one of the two")
    return value.lower() == "true"


def format_size(size_bytes: int) -> str:
    """The shortest exact way to write a size: 8589934592 -> `8GiB`."""
    return _exact(size_bytes, SIZES_BYTES, ("TiB", "GiB", "MiB", "KiB", "B"))


def format_rate(rate_bps: int) -> str:
    """The same for a rate: 1000000000 -> `1Gbps`."""
    return _exact(rate_bps, RATES_BPS, ("Gbps", "Mbps", "kbps", "bps"))


def format_duration(duration_s: float) -> str:
    """The same for a duration, in seconds from one second on: 180.0 -> `180s`."""
    return f"{duration_s:g}s" if duration_s >= 1 or not duration_s else f"{duration_s * 1000:g}ms"


def _exact(value: int, units: Mapping[str, int], largest_first: tuple[str, ...]) -> str:
    fits = (unit for unit in largest_first if value and value % units[unit] == 0)
    unit = next(fits, largest_first[-1])
    return f"{value // units[unit]}{unit}"


def _or_number(read: Callable[[object], Any]) -> Callable[[object], Any]:
    """Accept canonical numbers from code. A number in YAML gets here as the text that it was."""

    def accept(value: object) -> Any:
        return read(value) if isinstance(value, str) else value

    return accept


def _written(units: Mapping[str, float], base: str) -> WithJsonSchema:
    pattern = rf"^\s*\d+(\.\d+)?\s*({'|'.join(units)})\s*$"
    return WithJsonSchema({"type": "string", "pattern": pattern, "x-unit": base})


Size = Annotated[int, BeforeValidator(_or_number(parse_size)), _written(SIZES_BYTES, "bytes")]
Rate = Annotated[int, BeforeValidator(_or_number(parse_rate)), _written(RATES_BPS, "bps")]
Duration = Annotated[float, BeforeValidator(_or_number(parse_duration)), _written(DURATIONS_S, "s")]
Version = Annotated[
    str,
    AfterValidator(parse_version),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)*$"}),
]
Secret = Annotated[str, Field(pattern=r"^secret://(env|file)/.+$")]  # where it is, never what
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Mtu = Annotated[int, Field(ge=576, le=65535)]  # RFC 791: what every host takes; an IPv4 packet
Flag = Annotated[bool, BeforeValidator(parse_flag)]
