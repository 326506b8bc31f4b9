"""Stories with an expected end: a file says what is changed, what fails, and what should come of
it.

    title: ussop is turned on, then zoro's node is lost
    changes: {guests: {ussop: {state: started}}}      laid over the desired state
    faults: [fail-node pve2@0s]                       the one grammar of faults
    expect:
      verdict: unsafe
      outages: {files: {at-least: 60s, at-most: 300s}}
      says: [5 GiB missing on pve3]

An outage that never ends is longer than any `at-least`. `says` is looked for in what the report
says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from lab.compose import Document, compose
from lab.errors import LabInvalid, Place, Problem
from lab.faults import Fault, parse_faults
from lab.item import Item
from lab.load import load
from lab.messages import problems_of
from lab.names import nearest
from lab.units import Duration
from simulator.build import twin_of
from simulator.outcome.report import Outage, Report
from simulator.outcome.simulate import in_time, simulate


class OutageBounds(Item):
    """How long a service may, and must, be out. Neither: it does not matter."""

    at_least: Duration = 0.0
    at_most: Duration | None = None

    def difference(self, outage: Outage) -> str:
        """What is not as written; "" if it holds."""
        if not outage.ongoing and outage.outage_s < self.at_least:
            return f"out for {outage.outage_s:g} s, at least {self.at_least:g} s expected"
        if self.at_most is not None and (outage.ongoing or outage.outage_s > self.at_most):
            how = "does not come back" if outage.ongoing else f"out for {outage.outage_s:g} s"
            return f"{how}, at most {self.at_most:g} s expected"
        return ""


class Expected(Item):
    """What should come of a scenario."""

    verdict: Literal["safe", "unsafe"]
    outages: dict[str, OutageBounds] = Field(default_factory=dict)
    says: tuple[str, ...] = ()


class ScenarioFile(Item):
    """A scenario as written, without its `changes`, which are in the language of the desired
    state.
    """

    title: str
    story: str = ""
    faults: tuple[str, ...]
    expect: Expected


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario that has been read."""

    file: str
    written: ScenarioFile
    faults: tuple[Fault, ...]
    places: tuple[Place, ...]  # of each fault
    changes: Document | None


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """How a scenario went. `differences`: what did not come as it says; empty if all did."""

    scenario: Scenario
    report: Report
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether everything came as written."""
        return not self.differences


def run_scenario(path: Path, files: Mapping[str, bytes], *, seed: int = 0) -> ScenarioResult:
    """Run the scenario in the file `path` over the desired state in `files` (name -> content).

    Raises LabInvalid for a scenario that can't be read or does not fit this desired state.
    """
    scenario = read_scenario(path.name, path.read_bytes())
    twin = twin_of(load(files, changes=scenario.changes), seed=seed)
    problems = []
    for place, fault in zip(scenario.places, scenario.faults, strict=True):
        try:
            in_time((fault,))
            twin.model.check(fault)
        except ValueError as error:
            problems.append(_problem(place, error))
    if problems:
        raise LabInvalid(tuple(problems))
    report = simulate(twin, scenario.faults)
    differences = _differences(scenario.written.expect, report, twin.model.lab.services)
    return ScenarioResult(scenario, report, tuple(differences))


def read_scenario(file: str, content: bytes) -> Scenario:
    """A scenario from the text of its file. Raises LabInvalid."""
    document = compose(file, content)
    if document.problems:
        raise LabInvalid(tuple(document.problems))
    data = dict(document.data)
    problems: list[Problem] = []
    changes = _changes(document, data.pop("changes", None), problems)
    if isinstance(data.get("faults"), str):
        data["faults"] = [data["faults"]]
    try:
        written = ScenarioFile.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        problems += problems_of(error, "scenario", ScenarioFile, (), data, document.nearest)
        raise LabInvalid(tuple(problems)) from error
    faults: list[tuple[Place, Fault]] = []
    for number, words in enumerate(written.faults):
        place = document.nearest(("faults", str(number)))
        try:
            faults += ((place, fault) for fault in parse_faults([words]))
        except ValueError as error:
            problems.append(_problem(place, error))
    if problems:
        raise LabInvalid(tuple(problems))
    places = tuple(place for place, _ in faults)
    return Scenario(file, written, tuple(fault for _, fault in faults), places, changes)


def _problem(place: Place, error: ValueError) -> Problem:
    what, _, fix = str(error).partition("; ")
    return Problem(place, what, fix=fix)


def _changes(document: Document, data: Any, problems: list[Problem]) -> Document | None:
    """The part of the file that is desired state, as a document whose places are those of the
    file.
    """
    if data is None:
        return None
    if not isinstance(data, dict):
        fix = "write words of the desired state below it, such as guests:"
        place = document.find(("changes",))
        problems.append(Problem(place, "changes is not a map of words", fix=fix))
        return None
    spots = document.spots["changes"][1]
    resets = {path[1:] for path in document.resets if path[0] == "changes"}
    return Document(document.file, data, spots, resets)


def _differences(expected: Expected, report: Report, services: Collection[str]) -> Iterator[str]:
    if report.verdict.name != expected.verdict:
        texts = [finding.text for finding in report.verdict.findings] or ["nothing found"]
        yield f"verdict is {report.verdict.name}, {expected.verdict} expected: {'; '.join(texts)}"
    for service, bounds in expected.outages.items():
        outage = report.outages_by_subject.get(f"service {service}")
        if service not in services:
            yield f"{service}: there is no such service; {nearest(service, services)}"
        elif outage is None:
            yield f"{service}: did not serve before the faults"
        elif difference := bounds.difference(outage):
            yield f"{service}: {difference}"
    said = "\n".join(_said(report))
    for text in expected.says:
        if text not in said:
            yield f"nothing says {text!r}"


def _said(report: Report) -> Iterator[str]:
    yield from (event.text for event in report.events)
    yield from (lost.text for lost in report.lost)
    yield from (overcommit.text for overcommit in report.overcommit)
    yield from (finding.text for finding in report.verdict.findings)
