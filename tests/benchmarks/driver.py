"""The command line of the benchmark: which cases, how many rounds, what is printed."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cases import ONLY_WHEN_ASKED, PROCESSES, STEPS, Options
from benchmarks.processes import MEASURES, ProcessResult, Workspace, process_text
from benchmarks.report import machine, machine_text, markdown
from benchmarks.steps import StepResult, measure_steps, step_text

GROUPS = {
    "steps": [case.name for case in STEPS],
    "processes": [name for name in PROCESSES if name not in ONLY_WHEN_ASKED],
}

RANDOM_DATA = "In MNIST's place random data of its shapes; BPCLI_MNIST says where the real files are."


def main(arguments: list[str] | None = None) -> None:
    """Measures what is asked for, one case after the other, and prints each as it is done."""
    given = _parser().parse_args(arguments)
    names = [name for word in given.names or GROUPS for name in GROUPS.get(word, [word])]
    options = _options(given)
    found = machine()
    log = sys.stderr if given.markdown else sys.stdout
    print(machine_text(found), file=log, flush=True)
    steps, processes = list[StepResult](), list[ProcessResult]()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        at = Workspace(Path(folder), options)
        for case in STEPS:
            if case.name in names:
                steps.append(measure_steps(case, options, at.step_data(case)))
                print(step_text(steps[-1]), file=log, flush=True)
        for name, what in PROCESSES.items():
            if name in names:
                for result in _measured(name, what, at):
                    result.met = None if options.quick else result.met
                    processes.append(result)
                    print(process_text(result), file=log, flush=True)
        random_data = "digits" in vars(at) and not at.digits["real"]
    if given.markdown:
        print(markdown(steps, processes, found, options))
    if random_data:
        print(f"\n{RANDOM_DATA}")
    if given.json:
        values = _as_json(steps, processes, found, options, random_data)
        given.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(result.failed for result in processes))


def _measured(name: str, what: str, at: Workspace) -> list[ProcessResult]:
    """The rows of a case; one that says why, if a process failed: the others are not lost with it."""
    try:
        return MEASURES[name](what, at)
    except RuntimeError as error:
        return [ProcessResult(name, what, str(error), "", "", None, failed=True)]


def _parser() -> argparse.ArgumentParser:
    cases = "\n".join(
        [
            "cases:",
            *(f"  {case.name:12} a step: {case.what}" for case in STEPS),
            *(f"  {name:12} {what}" for name, what in PROCESSES.items()),
            *(f"  {name:12} all of {', '.join(members)}" for name, members in GROUPS.items()),
        ]
    )
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks",
        description="Times bpcli and its peers side by side, in turns.",
        epilog=cases,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = [*GROUPS, *GROUPS["steps"], *PROCESSES]
    parser.add_argument("names", nargs="*", metavar="CASE", type=_one_of(known), help="default: all but install")
    parser.add_argument("--rounds", type=_at_least_one, default=15, help="turns of each tool; long cases take a fifth")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a turn in the steps (0.3)")
    parser.add_argument("--quick", action="store_true", help="a few steps on little data: shows that it works, no more")
    parser.add_argument("--alone", action="store_true", help="without the peers")
    parser.add_argument("--npy-mb", type=_at_least_one, default=4000, help="size of the npy file, MB (4000)")
    parser.add_argument("--csv-mb", type=_at_least_one, default=200, help="size of the CSV, MB (200)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every measured number")
    parser.add_argument(
        "--markdown", action="store_true", help="the tables of the README on stdout, the rest on stderr"
    )
    return parser


def _one_of(known: list[str]) -> Any:
    def name(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(known)}")
        return text

    return name


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _options(given: argparse.Namespace) -> Options:
    if given.quick:
        return Options(rounds=1, seconds=0.01, quick=True, alone=given.alone, npy_mb=8, csv_mb=1)
    return Options(given.rounds, given.seconds, False, given.alone, given.npy_mb, given.csv_mb)


def _as_json(
    steps: list[StepResult],
    processes: list[ProcessResult],
    found: dict[str, Any],
    options: Options,
    random_data: bool,
) -> dict[str, Any]:
    return {
        "machine": found,
        "options": dataclasses.asdict(options),
        "random_data": random_data,
        "steps": [
            {
                "name": one.case.name,
                "goal": one.case.goal,
                "met": one.met,
                "absent": one.absent,
                "seconds_per_step": one.turns,
                "ratio": {tool: one.ratio(tool) for tool in one.turns if tool != "bpcli"},
                "paired_ratio": {tool: one.paired_ratio(tool) for tool in one.turns if tool != "bpcli"},
            }
            for one in steps
        ],
        "processes": [dataclasses.asdict(one) for one in processes],
    }
