"""`vlab fidelity`: how often the twin agrees with the truth, a row for each real thing, be it
recorded or run here.

Also writes the page `docs/reference/fidelity.md` (`page`), which is this command's own markdown.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import typer

from api.exits import Exit
from api.output import result, result_json, say
from lab.errors import VlabError
from simulator.fidelity.case import Case, Verdict
from simulator.fidelity.rows import LIVE, ROWS, Row, Score, measure, run

REFERENCE = "VLAB_REFERENCE"
HOW = f"set {REFERENCE} to the folder that has {{folder}}/, or give the row and --cases DIR"
ABSENT = "cases not present"
ALL: Mapping[str, Row] = {**ROWS, **LIVE}

Scores = Mapping[str, Score | None]
"""By row; None: its cases are not here."""


def fidelity(
    row: str | None,
    cases: Path | None,
    output: str,
    case: str = "",
    *,
    area: str = "",
    show: int | None = None,
    https: bool = False,
) -> int:
    """Measure one row, or all; 0 equal, 2 different, 1 if the one row asked for has no cases.

    `cases`: the folder of the row; without a row the folder that holds those of all.
    `case`: the name of one of the row's. Raises VlabError if the folder has none such, and, after
    the others are told, for cases that can't be read.
    """
    if row is not None and row not in ALL:
        raise typer.BadParameter(f"there is no row {row}; rows are {', '.join(ALL)}")
    if row in LIVE and cases is not None:
        raise typer.BadParameter(f"{row} runs the real thing, it takes no --cases")
    if case and row is None:
        raise typer.BadParameter(f"--case {case} needs the row that it is of")
    if (area or https) and (row is None or not ROWS[row].by_part):
        word = "--area" if area else "--https"
        parts = ", ".join(name for name, known in ROWS.items() if known.by_part)
        raise typer.BadParameter(f"{word} goes with a row of parts: {parts}")
    if cases is not None and not cases.is_dir():
        raise typer.BadParameter(f"{cases} is no folder")
    if row is None:
        scores = measured(cases or reference(), live=cases is None)
        _show_all(scores, output)
    elif row in LIVE:
        scores = {row: run(LIVE[row], case)}
        _show(LIVE[row], scores[row], output)
    else:
        folder = cases or reference() / ROWS[row].folder
        score = measure(ROWS[row], folder, case, part=area, https=https)
        if score is None and case and folder.is_dir():
            raise VlabError(f"{folder} has no case {case} of {row}")
        if score is None and cases is not None:
            raise VlabError(f"{cases} has no cases of {row}: {', '.join(ROWS[row].readers)}")
        scores = {row: score}
        _show(ROWS[row], score, output, show)
        if score and score.malformed:
            raise VlabError("\n".join(str(error) for error in score.malformed))
    if row is not None and scores[row] is None:
        return Exit.FAILED
    return Exit.DIFFERENT if any(_differs(score) for score in scores.values()) else Exit.FINE


def reference() -> Path:
    """Where recordings are looked for: VLAB_REFERENCE, else beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "reference"
    return Path(os.environ.get(REFERENCE, beside))


def measured(folder: Path, *, live: bool = False) -> Scores:
    """Every row whose cases are in a folder of this one; `live`: and those that are run here."""
    scores = {}
    for row in ROWS.values():
        say(f"{row.name}: {row.truth}")
        scores[row.name] = measure(row, folder / row.folder)
    for row in LIVE.values() if live else ():
        say(f"{row.name}: {row.truth}")
        scores[row.name] = run(row)
    return scores


def counts(score: Score | None) -> dict[str, int]:
    """Cases of a row, and how many are equal, known, different, not built and skipped."""
    cases = score.cases if score else ()
    judged = Counter(case.verdict for case in cases)
    return {"cases": len(cases), **{v.value.replace(" ", "_"): judged[v] for v in Verdict}}


def _absent(row: Row) -> str:
    """Why a row has no score."""
    if row.name in LIVE:
        return f"not run: {row.why_not()}"
    return f"{ABSENT}; {HOW.format(folder=row.folder)}"


def _differs(score: Score | None) -> bool:
    return score is not None and score.count(Verdict.DIFFERENT) > 0


def _show_all(scores: Scores, output: str) -> None:
    if output == "json":
        result_json({"rows": [_row_json(ALL[name], score) for name, score in scores.items()]})
    elif output == "markdown":
        result(page(scores))
    else:
        head = ["row", "cases", *(verdict.value for verdict in Verdict)]
        result(_aligned([head, *(_row_cells(name, score) for name, score in scores.items())]))
        for name, score in scores.items():
            if score is None:
                result(f"{name}: {_absent(ALL[name])}")
            elif _differs(score):
                result(f"{name} differs: `vlab fidelity {name}` says where")


def _show(row: Row, score: Score | None, output: str, most: int | None = None) -> None:
    if output == "json":
        result_json(_row_json(row, score))
    elif output == "markdown":
        result("\n".join(_section(row, score)))
    else:
        result(f"{row.name}: {row.truth}")
        if score is None:
            result(f"  {_absent(row)}")
            return
        told = [f"{number} {word.replace('_', ' ')}" for word, number in counts(score).items()]
        if row.by_folder:
            for case in score.cases:
                result(f"  {case.verdict}: {case.name}{case.why and f': {case.why}'}")
            result(f"  {', '.join(told)}")
            return
        result(f"  {', '.join(told)}")
        if row.by_part and len(parts := _parts(score)) > 1:
            result(_aligned([["part", "cases", *(v.value for v in Verdict)], *parts]))
        different = _of(score, Verdict.DIFFERENT)
        for case in different[:most]:
            result(f"  different: {case.name}: {case.why}")
        if most is not None and len(different) > most:
            result(f"  and {len(different) - most} more: --show {len(different)}")
        for verdict in (Verdict.KNOWN, Verdict.NOT_BUILT, Verdict.SKIPPED):
            for why, number in score.reasons(verdict).items():
                result(f"  {verdict}: {number} x {why}")


def _row_json(row: Row, score: Score | None) -> dict[str, object]:
    data: dict[str, object] = {"row": row.name, "present": score is not None, **counts(score)}
    if score is None:
        return {**data, "how": row.why_not() or HOW.format(folder=row.folder)}
    return {
        **data,
        "differences": _cases_json(_of(score, Verdict.DIFFERENT)),
        "known_differences": _cases_json(_of(score, Verdict.KNOWN)),
    }


def _cases_json(cases: Iterable[Case]) -> list[dict[str, str]]:
    return [{"case": case.name, "why": case.why} for case in cases]


def _of(score: Score, verdict: Verdict) -> list[Case]:
    return [case for case in score.cases if case.verdict is verdict]


def _row_cells(name: str, score: Score | None) -> list[str]:
    if score is None:
        return [name, "not run" if name in LIVE else ABSENT]
    return [name, *(str(number) for number in counts(score).values())]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other; a row that is shorter says something in words."""
    widths = [
        max(len(row[n]) for row in rows if len(row) == len(rows[0])) for n in range(len(rows[0]))
    ]
    lines = []
    for row in rows:
        name, *cells = row
        if len(row) == len(widths):
            cells = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(max(len(row[0]) for row in rows)), *cells]))
    return "\n".join(lines)


def page(scores: Scores) -> str:
    """The page of the reference: all rows, then what each compares and where it differs."""
    lines = [
        "# Fidelity",
        "",
        "How often the twin agrees with real implementations, case by case; written by `vlab",
        "fidelity --output markdown`. A known difference has its reason below and is tested as an",
        "expected failure. What the twin has nothing of is not built, and never counts as equal.",
        "The recordings are not part of this repository: `vlab fidelity ROW --cases DIR` plays a",
        f"folder of them, and `{REFERENCE}` names the folder that holds those of all rows.",
        "",
        *_table(["row", "cases", *(verdict.value for verdict in Verdict)],
                [_row_cells(name, score) for name, score in scores.items()]),
        "",
        "No recording is played yet of CRUSH, of packets through switches and bonds, of TrueNAS:",
        "what the twin says there rests on documentation alone.",
    ]  # fmt: skip
    for name, score in scores.items():
        lines += ["", *_section(ALL[name], score)]
    for name, row in LIVE.items():
        if name not in scores:
            how = f"`vlab fidelity {name}` runs it; its figures are those of your machine."
            lines += ["", f"## {name}", "", f"Truth: {row.truth}.", "", row.compared, "", how]
    return "\n".join(lines)


def _section(row: Row, score: Score | None) -> list[str]:
    lines = [f"## {row.name}", "", f"Truth: {row.truth}.", "", row.compared]
    if score is None:
        return [*lines, "", f"{_absent(row).capitalize()}."]
    if row.by_part:
        lines += ["", *_table(["part", "cases", *(v.value for v in Verdict)], _parts(score))]
    for verdict, title in (
        (Verdict.DIFFERENT, "Different"),
        (Verdict.KNOWN, "Known differences"),
        (Verdict.NOT_BUILT, "Not built"),
    ):
        rows = [[str(n), _cell(why)] for why, n in score.reasons(verdict).items()]
        if rows:
            lines += ["", f"{title}:", "", *_table(["cases", "why"], rows)]
    return lines


def _parts(score: Score) -> list[list[str]]:
    """Counts by the first word of the cases' names."""
    names = dict.fromkeys(case.name.partition("/")[0] for case in score.cases)
    parts = {
        name: Score(score.row, tuple(c for c in score.cases if c.name.partition("/")[0] == name))
        for name in names
    }
    return [_row_cells(name, part) for name, part in parts.items()]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    filled = [[*row, *[""] * (len(head) - len(row))] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *filled)]
