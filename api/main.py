"""The command line: `vlab VERB`. Each verb imports what it needs when it is called, so that
`--help` is quick; stdout is the result, stderr the talk.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.exits import Exit
from api.output import result_problems, say
from lab.errors import Invalid, Refused, VlabError
from lab.printable import printable_lines

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)
lab_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(
    lab_app, name="lab", help="Serve the simulated lab's own APIs on loopback, and break it."
)


class Output(StrEnum):
    """How a result is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class CheckOutput(StrEnum):
    """How the result of a check is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"


Tree = Annotated[Path, typer.Option(help="The desired state.")]
SettingsFile = Annotated[Path, typer.Option("--settings", help="The controller's own settings.")]
Speed = Annotated[
    float, typer.Option(help="Simulated seconds in a real one.", min=0.001, max=100_000)
]
FromEtcPve = Annotated[
    Path | None, typer.Option(help="An archive of a real cluster's /etc/pve, in its place.")
]


def _remember(context: typer.Context, output: StrEnum) -> StrEnum:
    """Let `main` know how to write problems, whichever verb meets them."""
    context.ensure_object(dict)["output"] = output
    return output


Write = Annotated[
    Output, typer.Option("--output", help="How to write the result.", callback=_remember)
]

TREE = Path("desired-state")
SETTINGS = Path("vlab.toml")


@app.command()
def validate(tree: Tree = TREE, output: Write = Output.TEXT) -> None:
    """Say everything that is wrong with the desired state. Offline."""
    from api import offline

    raise typer.Exit(offline.validate(tree, output))


@app.command()
def fmt(
    tree: Tree = TREE,
    check: Annotated[bool, typer.Option("--check", help="Only say what would change.")] = False,
) -> None:
    """Write the desired state in its usual form; comments stay. Offline."""
    from api import offline

    raise typer.Exit(offline.fmt(tree, check=check))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the language, with what changing each field costs. Offline."""
    from api import offline

    raise typer.Exit(offline.schema())


@app.command()
def simulate(
    faults: Annotated[list[str] | None, typer.Argument(help="fail-node pve2@0s..300s ...")] = None,
    tree: Tree = TREE,
    at: Annotated[str | None, typer.Option(help="When a single fault happens: 30s.")] = None,
    restore_at: Annotated[str | None, typer.Option(help="When it is whole again: 5min.")] = None,
    scenario: Annotated[list[Path] | None, typer.Option(help="A story with expectations.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same trace.")] = 0,
    seeds: Annotated[
        int, typer.Option(help="Outages over so many seeds, from --seed on.", min=1)
    ] = 1,
    output: Write = Output.TEXT,
) -> None:
    """Say what a failure will do: a timeline, outages, a verdict."""
    from api import simulations

    if scenario and (seeds > 1 or faults or at or restore_at):
        raise typer.BadParameter("a --scenario says its faults and is one run")
    if scenario:
        raise typer.Exit(simulations.scenarios(tree, scenario, seed, output))
    words = faults or []
    if seeds > 1:
        chances = range(seed, seed + seeds)
        raise typer.Exit(simulations.over_seeds(tree, words, at, restore_at, chances, output))
    raise typer.Exit(simulations.simulate(tree, words, at, restore_at, seed, output))


@app.command()
def check(
    base: Annotated[str, typer.Option(help="The commit that counts as applied: origin/main.")],
    tree: Tree = TREE,
    head: Annotated[str, typer.Option(help="The commit to judge; empty: the work tree.")] = "",
    output: Annotated[CheckOutput, typer.Option(callback=_remember)] = CheckOutput.TEXT,
) -> None:
    """Judge a pull request: the plan, its cost, and every node fault before and after. Offline."""
    from api import pull_request

    raise typer.Exit(pull_request.check(tree, base, head, output))


@app.command()
def plan(
    settings: SettingsFile = SETTINGS,
    output: Write = Output.TEXT,
    save: Annotated[Path | None, typer.Option(help="Keep the plan for `vlab apply FILE`.")] = None,
) -> None:
    """Say what would be done to the real lab, and what the rehearsal thinks of it."""
    from api import operate

    raise typer.Exit(operate.plan(settings, output, save))


@app.command()
def diff(settings: SettingsFile = SETTINGS, output: Write = Output.TEXT) -> None:
    """Say what differs between the desired state and the real lab, without judging it."""
    from api import operate

    raise typer.Exit(operate.diff(settings, output))


@app.command()
def apply(
    file: Annotated[Path | None, typer.Argument(help="A plan that `vlab plan` saved.")] = None,
    settings: SettingsFile = SETTINGS,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over what is there already.")
    ] = False,
    accept_rewrite: Annotated[
        bool,
        typer.Option("--accept-rewrite", help="The branch's history was rewritten on purpose."),
    ] = False,
) -> None:
    """Bring the real lab to the newest commit, once."""
    from api import operate

    raise typer.Exit(operate.apply(settings, file, adopt=adopt, accept_rewrite=accept_rewrite))


@app.command()
def adopt(
    settings: SettingsFile = SETTINGS,
    into: Annotated[Path | None, typer.Option(help="A folder for the files; else stdout.")] = None,
    from_etc_pve: FromEtcPve = None,
) -> None:
    """Write what the real lab has and git does not, as desired state that only observes."""
    from api import operate

    raise typer.Exit(operate.adopt(settings, into, from_etc_pve))


@app.command()
def drift(settings: SettingsFile = SETTINGS, output: Write = Output.TEXT) -> None:
    """Say what somebody else changed, and who."""
    from api import operate

    raise typer.Exit(operate.drift(settings, output))


@app.command()
def status(settings: SettingsFile = SETTINGS, output: Write = Output.TEXT) -> None:
    """Say how the last pass ended, from the history."""
    from api import operate

    raise typer.Exit(operate.status(settings, output))


@app.command()
def history(
    settings: SettingsFile = SETTINGS,
    output: Write = Output.TEXT,
    limit: Annotated[int, typer.Option(help="How many runs.", min=1, max=10_000)] = 20,
) -> None:
    """List the last runs."""
    from api import operate

    raise typer.Exit(operate.history(settings, output, limit))


@app.command()
def serve(settings: SettingsFile = SETTINGS) -> None:
    """Run the controller with its status page until it is told to stop."""
    from api import service

    raise typer.Exit(service.serve(settings))


@app.command()
def demo(
    tree: Tree = TREE,
    speed: Speed = 60.0,
    port: Annotated[
        int, typer.Option(help="The status page's port; 0: any.", min=0, max=65_535)
    ] = 8420,
) -> None:
    """Serve the empty simulated lab, bring it to the desired state, and show what happened."""
    from api import demonstration

    raise typer.Exit(demonstration.demo(tree, speed, port))


@lab_app.command("up")
def lab_up(
    tree: Tree = TREE,
    speed: Speed = 1.0,
    empty: Annotated[bool, typer.Option("--empty", help="Installed and clustered only.")] = False,
    port: Annotated[
        int | None,
        typer.Option(
            help="The port of every device; 0: any. Default: as its kind.", min=0, max=65_535
        ),
    ] = None,
    from_etc_pve: FromEtcPve = None,
) -> None:
    """Serve the lab until Ctrl-C; one JSON line says where and how to log in."""
    from api import served_lab

    raise typer.Exit(served_lab.up(tree, speed, empty=empty, port=port, from_etc_pve=from_etc_pve))


@lab_app.command("fail")
def lab_fail(faults: Annotated[list[str], typer.Argument(help="fail-node pve2 ...")]) -> None:
    """Break the served lab."""
    from api import served_lab

    raise typer.Exit(served_lab.fail(faults))


@lab_app.command("restore")
def lab_restore(subject: Annotated[list[str], typer.Argument(help="node pve2 ...")]) -> None:
    """Mend the served lab."""
    from api import served_lab

    raise typer.Exit(served_lab.restore(subject))


@app.command()
def fidelity(
    row: Annotated[str | None, typer.Argument(help="One row; all without it.")] = None,
    cases: Annotated[Path | None, typer.Option(help="The recorded truth of the row.")] = None,
    case: Annotated[str, typer.Option(help="Only this case of the row.")] = "",
    area: Annotated[str, typer.Option(help="Only this part of the row.")] = "",
    show: Annotated[int | None, typer.Option(help="How many differences to tell.")] = None,
    https: Annotated[bool, typer.Option("--https", help="Over sockets, not in process.")] = False,
    output: Write = Output.TEXT,
) -> None:
    """Measure the twin against recorded and real implementations."""
    from api import truth

    code = truth.fidelity(row, cases, output, case, area=area, show=show, https=https)
    raise typer.Exit(code)


def main() -> None:
    """The script `vlab`."""
    asked: dict[str, StrEnum] = {}
    try:
        code = app(standalone_mode=False, obj=asked)
    except typer.Abort:
        code = Exit.FAILED
    except Invalid as invalid:
        say(str(invalid))
        if asked.get("output") == "json":
            result_problems(invalid.problems)
        code = Exit.FAILED
    except VlabError as error:
        say(str(error))
        code = Exit.REFUSED if isinstance(error, Refused) else Exit.FAILED
    except typer.TyperException as error:
        error.message = printable_lines(error.message)
        show = getattr(error, "show", None)  # typer's own class does not promise it
        show() if show is not None else say(str(error))
        code = Exit.USAGE
    except BrokenPipeError:
        code = Exit.FAILED
    except OSError as error:
        if error.filename is None:
            raise
        say(f"{error.filename}: {error.strerror}\n  fix: name a path that can be used")
        code = Exit.FAILED
    sys.exit(code if isinstance(code, int) else Exit.FINE)
