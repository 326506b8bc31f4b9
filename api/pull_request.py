"""`vlab check`: what a pull request would do, for a terminal, a comment, or a test report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import git
import typer

from api.exits import Exit
from api.output import result, result_json, say
from controller.check import Check
from controller.check import check as judge
from controller.render import plan_data, render_markdown, render_text
from controller.source import read_files
from lab.tree import read_tree
from simulator.outcome.report import Outage, Verdict


def check(tree: Path, base: str, head: str, output: str) -> int:
    """Judge `head` (empty: the work tree) against `base`; 0 nothing to do, 2 a plan, 3 unsafe."""
    try:
        repository = git.Repo(tree, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise typer.BadParameter(f"{tree} is in no git repository") from error
    inside = tree.resolve().relative_to(Path(repository.working_dir).resolve())
    base_files = _files(repository, base, inside)
    head_files = _files(repository, head, inside) if head else read_tree(tree)
    checked = judge(base_files, head_files, base=base, head=head or "the work tree", progress=say)
    if output == "json":
        result_json(data(checked))
    else:
        result({"markdown": markdown, "junit": junit}.get(output, text)(checked))
    if not checked.safe:
        return Exit.UNSAFE
    return Exit.FINE if checked.plan.empty else Exit.DIFFERENT


def _files(repository: git.Repo, name: str, inside: Path) -> Mapping[str, bytes]:
    try:
        commit = repository.commit(name)
    except (git.BadName, ValueError, KeyError) as error:
        raise typer.BadParameter(f"there is no commit {name} here") from error
    return dict(read_files(commit, PurePosixPath(inside.as_posix())))


def text(checked: Check) -> str:
    """For a terminal."""
    lines = [render_text(checked.plan), *_table(checked)]
    lines += [f"less is promised: {words}" for words in checked.loosened]
    for objection in checked.judgement.objections:
        where = f"{objection.place}: " if objection.place else ""
        lines += [f"{where}{objection.text}", f"  fix: {objection.fix}"]
    lines.append(_verdict(checked))
    return "\n".join(lines)


def markdown(checked: Check) -> str:
    """For a comment on the pull request."""
    lines = [f"### vlab: {_verdict(checked)}", ""]
    for objection in checked.judgement.objections:
        where = f"`{objection.place}` " if objection.place else ""
        lines += [f"- {where}**{objection.text}**  ", f"  fix: {objection.fix}"]
    lines += [f"- less is promised: {words}" for words in checked.loosened]
    lines += ["", render_markdown(checked.plan), "", "| fault | service | before | after |"]
    lines += ["|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(checked)]
    return "\n".join(lines)


def junit(checked: Check) -> str:
    """One test case for each fault: failed if something objects to it after the change."""
    suite = ElementTree.Element("testsuite", name="vlab check")
    failures = 0
    for case in checked.after.cases:
        element = ElementTree.SubElement(suite, "testcase", classname="vlab", name=case.fault)
        told = [o for o in checked.judgement.objections if case.fault in o.text]
        for objection in told:
            failures += 1
            failure = ElementTree.SubElement(element, "failure", message=objection.text)
            failure.text = f"{objection.place or ''} {objection.fix}"
    gate = ElementTree.SubElement(suite, "testcase", classname="vlab", name="gate")
    if checked.judgement.refused:
        failures += 1
        message = checked.judgement.objections[0].text
        ElementTree.SubElement(gate, "failure", message=message)
    suite.set("tests", str(len(checked.after.cases) + 1))
    suite.set("failures", str(failures))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def data(checked: Check) -> dict[str, object]:
    """For machines."""
    return {
        "base": checked.base,
        "head": checked.head,
        "safe": checked.safe,
        "worst_cost": str(checked.plan.cost),
        "plan": plan_data(checked.plan),
        "objections": [
            {
                "rule": objection.rule,
                "text": objection.text,
                "fix": objection.fix,
                "place": str(objection.place) if objection.place else None,
            }
            for objection in checked.judgement.objections
        ],
        "loosened": list(checked.loosened),
        "outages": [
            {"fault": fault, "service": service, "before": before, "after": after}
            for fault, service, before, after in _rows(checked)
        ],
    }


def _verdict(checked: Check) -> str:
    if not checked.safe:
        count = len(checked.judgement.objections)
        return f"unsafe, refused for {count} reason{'s' * (count > 1)}"
    if checked.plan.empty:
        return "nothing to do"
    count = sum(1 for _ in checked.plan.operations)
    return f"safe: {count} change{'s' * (count > 1)}, worst cost {checked.plan.cost}"


def _table(checked: Check) -> Iterator[str]:
    yield f"{'fault':28} {'service':16} {'before':>10} {'after':>10}"
    for fault, service, before, after in _rows(checked):
        yield f"{fault:28} {service:16} {before:>10} {after:>10}"


def _rows(checked: Check) -> Iterator[tuple[str, str, str, str]]:
    """Outages of services by fault, where there is one before or after."""
    before, after = _outages(checked.before), _outages(checked.after)
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if any(outage and (outage.outage_s or outage.ongoing) for outage in (old, new)):
            yield (*key, _seconds(old), _seconds(new))


def _outages(verdict: Verdict) -> dict[tuple[str, str], Outage]:
    return {
        (case.fault, outage.subject.removeprefix("service ")): outage
        for case in verdict.cases
        for outage in case.outages
    }


def _seconds(outage: Outage | None) -> str:
    if outage is None:
        return "-"
    return "for good" if outage.ongoing else f"{outage.outage_s:.1f} s"
