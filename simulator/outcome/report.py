"""What a run of faults showed, as frozen values: for texts, JSON, the gate and the page.

Made by `simulate` and `verdict`; printed by `api/timeline.py`. Times are
seconds since the start of the run, outages and sizes carry their unit in the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.errors import Place
from lab.faults import Fault
from lab.item import Path
from simulator.twin import Event


def gibibytes(size_bytes: int) -> str:
    """A size as people say it: `5 GiB`, `1.5 GiB`, `512 MiB`."""
    if size_bytes >= 2**30:
        return f"{size_bytes / 2**30:.3g} GiB"
    return f"{size_bytes / 2**20:.3g} MiB"


@dataclass(frozen=True, slots=True)
class Outage:
    """How long something did not serve, its outages summed. `reason`: why it does not serve now.

    `spans`: from when until when it did not, None: to the end.
    """

    subject: str  # "guest luffy", "service files"
    outage_s: float
    ongoing: bool = False  # it never came back
    reason: str = ""
    spans: tuple[tuple[float, float | None], ...] = ()


@dataclass(frozen=True, slots=True)
class LostRedundancy:
    """Something that works on, with less in reserve than before; `until_s` None: to the end."""

    subject: str  # "bond pve1/bond1"
    text: str
    from_s: float
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Overcommit:
    """The worst moment of a node whose guests want more memory than it has for them."""

    node: str
    cluster: str
    missing_bytes: int
    allowed_bytes: int  # by the cluster's `overcommit`
    guests: tuple[str, ...]
    from_s: float
    until_s: float | None = None

    @property
    def text(self) -> str:
        """`5 GiB missing on pve3 (guests there: ussop, zoro)`."""
        names = ", ".join(self.guests)
        return f"{gibibytes(self.missing_bytes)} missing on {self.node} (guests there: {names})"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a verdict holds against the lab. `place`: the line of YAML that it breaks.

    A service out for too long has `service`, `outage_s` and `limit_s`; a node without memory has
    `node` and `missing_bytes`, and no expectation: `path` leads to the cluster's `overcommit` then.
    `fault` is "" for what does not even hold while nothing is broken.
    """

    fault: str
    text: str
    path: Path
    place: Place | None = None
    expectation: str = ""
    service: str = ""
    outage_s: float = 0.0
    limit_s: float = 0.0
    ongoing: bool = False
    node: str = ""
    missing_bytes: int = 0
    guests: tuple[str, ...] = ()  # on the node without memory


@dataclass(frozen=True, slots=True)
class Case:
    """One of the faults that a verdict rests on, and what it did to the services."""

    fault: str
    outages: tuple[Outage, ...]  # of services
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Safe unless there are findings. `down`: services that serve nobody with nothing broken."""

    findings: tuple[Finding, ...] = ()
    unjudged: tuple[str, ...] = ()  # why something was left out of the verdict
    down: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()

    @property
    def safe(self) -> bool:
        return not self.findings

    @property
    def name(self) -> str:
        """`safe` or `unsafe`."""
        return "safe" if self.safe else "unsafe"


@dataclass(frozen=True, slots=True)
class Report:
    """A run. `outages` has every guest and service that served when it began."""

    faults: tuple[Fault, ...]
    seed: int
    until_s: float  # how long the run was
    settled: bool  # nothing more would have happened
    events: tuple[Event, ...]
    outages: tuple[Outage, ...]
    lost: tuple[LostRedundancy, ...]
    overcommit: tuple[Overcommit, ...]
    down_before: tuple[str, ...]  # what did not serve when the run began
    verdict: Verdict
    rests_on: tuple[str, ...] = ()  # how far the models behind it are known to be true

    def outage(self, subject: str) -> Outage:
        """The outage of `guest luffy`. Raises KeyError for what did not serve at the start."""
        return self.outages_by_subject[subject]

    @property
    def outages_by_subject(self) -> Mapping[str, Outage]:
        return {outage.subject: outage for outage in self.outages}
