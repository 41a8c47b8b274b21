"""Takes each guard out of a copy of the package, once, and demands that a test fails: `python tests/faults/guards.py`.

A guard that no test misses is not guarded. A new guard gets an entry in GUARDS; words after the command choose guards
whose name holds one of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("bpcli", "tests", "configs", "datasets", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Guard:
    """What protects, where it stands (the text `old` in a file of bpcli/), what is left of it, and which test cries."""

    name: str
    file: str
    old: str
    new: str
    test: str

    def occurrences(self, root: Path = ROOT) -> int:
        """How often the text stands in the file: once, or the entry has to be brought up to date."""
        return (root / "bpcli" / self.file).read_text(encoding="utf-8").count(self.old)


CHECKPOINT, FOLDER, RESUME = "tests/runs/test_checkpoint.py", "tests/runs/test_folder.py", "tests/cli/test_resume.py"
SIGNALS, CODES, RECORDER = "tests/cli/test_signals.py", "tests/cli/test_exit_codes.py", "tests/runs/test_recorder.py"
METHODS, LAYERS, LOG = (f"tests/runs/test_{name}.py" for name in ("resume_methods", "resume_layers", "loss_log"))
MAIN, TRAIN, RIG = "tests/cli/test_main.py", "tests/cli/test_train.py", "tests/faults"
NEVER = "if False:"

GUARDS = [
    # files
    Guard(
        "fsync of the file",
        "runs/files.py",
        "                os.fsync(file.fileno())\n",
        "",
        f"{CHECKPOINT}::test_a_save_is_flushed_renamed_and_its_folder_flushed",
    ),
    Guard(
        "fsync of the folder after the rename",
        "runs/files.py",
        "            sync_folder(path.parent)\n        finally",
        "        finally",
        f"{CHECKPOINT}::test_a_save_is_flushed_renamed_and_its_folder_flushed",
    ),
    Guard(
        "temporary file and rename",
        "runs/files.py",
        """            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
""",
        """            with path.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
""",
        f"{CHECKPOINT}::test_a_failed_save_leaves_the_old_file",
    ),
    Guard(
        "a failed save's temporary file is removed",
        "runs/files.py",
        "            temporary.unlink(missing_ok=True)\n",
        "            pass\n",
        f"{CODES}::test_a_leftover_of_a_failed_save_is_cleared_away",
    ),
    Guard(
        "a failed write is exit code 6",
        "runs/files.py",
        'raise DiskError(f"{what}: {error.strerror or error}") from error',
        "raise",
        f"{CODES}::test_a_full_disk_at_a_checkpoint_is_exit_code_6",
    ),
    Guard(
        "a new folder's entry is flushed",
        "runs/files.py",
        "        path.mkdir(exist_ok=True)\n        sync_folder(path.parent)\n",
        "        path.mkdir(exist_ok=True)\n",
        f"{RIG}/test_system_calls.py::test_the_order_of_calls_survives_a_power_cut",
    ),
    Guard(
        "a new run's entry in runs/ is flushed",
        "runs/folder.py",
        "            sync_folder(parent)\n",
        "",
        f"{FOLDER}::test_the_entry_of_a_new_run_is_flushed_to_the_disk",
    ),
    # checkpoints
    Guard(
        "SHA-256 of the metadata",
        "runs/checkpoint.py",
        "if hashlib.sha256(text.encode()).hexdigest() != digest:",
        NEVER,
        f"{CHECKPOINT}::test_members_that_are_not_those_that_were_saved_are_refused",
    ),
    Guard(
        "SHA-256 of every array",
        "runs/checkpoint.py",
        'if {name: _entry(array) for name, array in members.items()} != meta["arrays"]:',
        'if set(members) != set(meta["arrays"]):',
        f"{CHECKPOINT}::test_members_that_are_not_those_that_were_saved_are_refused",
    ),
    Guard(
        "exact list of members",
        "runs/checkpoint.py",
        'if {name: _entry(array) for name, array in members.items()} != meta["arrays"]:',
        'if any(_entry(members[name]) != entry for name, entry in meta["arrays"].items()):',
        f"{CHECKPOINT}::test_members_that_are_not_those_that_were_saved_are_refused",
    ),
    Guard(
        "no member twice",
        "runs/checkpoint.py",
        "if len(set(names)) != len(names):",
        NEVER,
        f"{CHECKPOINT}::test_a_member_that_stands_there_twice_is_refused",
    ),
    Guard(
        "no compressed member",
        "runs/checkpoint.py",
        "if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):",
        NEVER,
        f"{CHECKPOINT}::test_a_compressed_member_is_refused_before_it_is_read",
    ),
    Guard(
        "nothing is unpickled",
        "runs/checkpoint.py",
        "io.BytesIO(archive.read(name)), allow_pickle=False",
        "io.BytesIO(archive.read(name)), allow_pickle=True",
        f"{CHECKPOINT}::test_nothing_is_ever_unpickled",
    ),
    Guard(
        "another format is refused",
        "runs/checkpoint.py",
        'if meta["format"] != FORMAT:',
        NEVER,
        f"{CHECKPOINT}::test_another_format_says_so",
    ),
    Guard(
        "the shuffling generator's state",
        "runs/checkpoint.py",
        'shuffle = generator_at(fields.pop("shuffle"))',
        'shuffle = (fields.pop("shuffle"), fresh.shuffle)[1]',
        f"{RESUME}::test_gives_the_same_bits_as_an_unbroken_run",
    ),
    Guard(
        "the noise generators' states",
        "runs/checkpoint.py",
        'noise = [generator_at(state) for state in fields.pop("noise")]',
        'noise = (fields.pop("noise"), fresh.noise)[1]',
        f"{LAYERS}::test_a_layer_goes_on_bit_for_bit",
    ),
    Guard(
        "the position in the epoch",
        "runs/checkpoint.py",
        '    "position",\n',
        "",
        f"{SIGNALS}::test_a_signal_in_the_middle_of_an_epoch_is_no_loss",
    ),
    Guard(
        "the epoch's loss so far",
        "runs/checkpoint.py",
        '    "loss_sum",\n',
        "",
        f"{SIGNALS}::test_a_signal_in_the_middle_of_an_epoch_is_no_loss",
    ),
    Guard(
        "shuffle_before in the checkpoint",
        "runs/checkpoint.py",
        '    "shuffle_before",\n',
        "",
        f"{SIGNALS}::test_a_signal_in_the_middle_of_an_epoch_is_no_loss",
    ),
    Guard(
        "early stopping's memory",
        "runs/checkpoint.py",
        '    "stall_epoch",\n',
        "",
        f"{RESUME}::test_gives_the_same_bits_as_an_unbroken_run",
    ),
    Guard(
        "the schedule's memory",
        "runs/checkpoint.py",
        '    "memory",\n',
        "",
        f"{METHODS}::test_a_plateau_seen_before_the_stop_is_remembered_after_it",
    ),
    Guard(
        "a full-batch method's numbers",
        "runs/checkpoint.py",
        '    "scalars",\n',
        "",
        f"{METHODS}::test_every_full_batch_method_goes_on_after_any_iteration",
    ),
    Guard(
        "the best weights in last.npz",
        "runs/checkpoint.py",
        "    if best is not None and not is_best:\n",
        "    if best is not None and False:\n",
        f"{RESUME}::test_best_stays_best_when_a_worse_model_follows",
    ),
    # training
    Guard(
        "an order begun is drawn again",
        "engine/trainer.py",
        "if state.position and state.shuffle_before is not None:",
        NEVER,
        f"{SIGNALS}::test_a_signal_in_the_middle_of_an_epoch_is_no_loss",
    ),
    Guard(
        "a gradient that is not finite",
        "engine/update.py",
        "if not math.isfinite(square):",
        NEVER,
        f"{CODES}::test_a_gradient_beyond_all_numbers_is_told_in_its_own_iteration",
    ),
    Guard(
        "other data are refused",
        "training.py",
        "if digest != old_digest:",
        NEVER,
        f"{RESUME}::test_changed_data_are_refused",
    ),
    Guard(
        "another config is refused",
        "training.py",
        'if not any(key == allowed or key.startswith(f"{allowed}.") for allowed in MAY_CHANGE):',
        NEVER,
        f"{RESUME}::test_another_config_is_refused_by_its_first_difference",
    ),
    Guard(
        "a summary of an earlier end is written anew",
        "training.py",
        "if _iterations_told(folder.summary) != state.step:",
        "if not folder.summary.exists():",
        f"{RESUME}::test_a_finished_run_gets_its_own_summary_in_place_of_another",
    ),
    # the run folder
    Guard(
        "the lock",
        "runs/folder.py",
        "            if not held:\n",
        f"            {NEVER}\n",
        f"{FOLDER}::test_a_folder_is_locked_for_one_at_a_time",
    ),
    Guard(
        "a lock refused is no other process",
        "runs/folder.py",
        "except (BlockingIOError, PermissionError):",
        "except OSError:",
        f"{FOLDER}::test_a_lock_that_the_file_system_refuses_is_no_other_process",
    ),
    Guard(
        "a run is never overwritten: --out",
        "runs/folder.py",
        "        _refuse_a_run(run)\n        make_folder",
        "        make_folder",
        f"{FOLDER}::test_run_at_refuses_a_folder_with_a_run",
    ),
    Guard(
        "a run is never overwritten: once more under the lock",
        "runs/folder.py",
        "        _refuse_a_run(run)\n        _put_aside",
        "        _put_aside",
        f"{FOLDER}::test_a_run_that_another_process_began_before_the_lock_is_refused",
    ),
    Guard(
        "a run is never overwritten: NAME-2",
        "runs/folder.py",
        "                folder.mkdir()\n",
        "                folder.mkdir(exist_ok=True)\n",
        f"{FOLDER}::test_new_runs_are_numbered",
    ),
    Guard(
        "an older run's checkpoints are put aside",
        "runs/folder.py",
        "        _put_aside(run.checkpoints)\n",
        "",
        f"{TRAIN}::test_out_without_config_leaves_no_checkpoint_of_an_older_run",
    ),
    # the recorder
    Guard(
        "the older checkpoint in place of a damaged one",
        "runs/recorder.py",
        "            notes.append(str(error))\n",
        "            raise\n",
        f"{RESUME}::test_a_damaged_last_checkpoint_gives_way_to_the_one_before",
    ),
    Guard(
        "nothing but damaged checkpoints is an error",
        "runs/recorder.py",
        "    if notes:\n",
        f"    {NEVER}\n",
        f"{RESUME}::test_nothing_but_damaged_checkpoints_is_exit_code_4",
    ),
    Guard(
        "last-10.npz is older than last-9.npz",
        "runs/recorder.py",
        "key=lambda path: (len(path.name), path.name)",
        "key=lambda path: path.name",
        f"{RECORDER}::test_the_newest_whole_checkpoint_is_found_among_ten",
    ),
    Guard(
        "loss.csv is on the disk before the checkpoint",
        "runs/recorder.py",
        "        self.log.flush(sync=True)\n",
        "        self.log.flush()\n",
        f"{RECORDER}::test_log_then_best_then_last_each_safely_on_the_disk",
    ),
    Guard(
        "the checkpoint before the last is kept",
        "runs/recorder.py",
        "        self._rotate(folder)\n",
        "",
        f"{RECORDER}::test_keeps_as_many_as_told",
    ),
    Guard(
        "loss.csv is cut back at a resume",
        "runs/loss_log.py",
        "number.isdigit() and int(number) <= epoch and",
        "number.isdigit() and",
        f"{LOG}::test_a_resume_keeps_the_rows_up_to_its_checkpoint",
    ),
    Guard(
        "half a row of loss.csv is dropped",
        "runs/loss_log.py",
        'if line.endswith("\\n") and self._keeps(line, epoch)',
        "if self._keeps(line, epoch)",
        f"{LOG}::test_a_resume_keeps_the_rows_up_to_its_checkpoint",
    ),
    # signals
    Guard(
        "a signal is noted",
        "interrupts.py",
        "            signal.signal(number, note)\n",
        "            pass\n",
        f"{SIGNALS}::test_a_signal_saves_and_a_resume_gives_the_same_bits",
    ),
    Guard(
        "a second signal quits at once",
        "interrupts.py",
        "        signal.signal(number, before[signal.Signals(number)])\n",
        "",
        f"{SIGNALS}::test_a_second_interrupt_quits_at_once",
    ),
    Guard(
        "what nohup ignores stays ignored",
        "interrupts.py",
        "if handler is not signal.SIG_IGN:",
        "if True:",
        f"{SIGNALS}::test_a_hangup_that_nohup_ignores_stays_ignored",
    ),
    Guard(
        "handlers are put back",
        "interrupts.py",
        "            signal.signal(number, handler)\n",
        "            pass\n",
        f"{SIGNALS}::test_handlers_are_as_before_afterwards",
    ),
    Guard(
        "a word on an early Ctrl-C",
        "cli/main.py",
        'raise InterruptedCommandError(*interrupt.args or ["interrupted"]) from None',
        "raise",
        f"{RIG}/test_many_signals.py::test_an_interrupt_while_the_config_is_read",
    ),
    # whoever reads
    Guard(
        "a reader of the result that has gone",
        "cli/output.py",
        "    except BrokenPipeError:\n",
        "    except ZeroDivisionError:\n",
        f"{MAIN}::test_a_reader_that_leaves_early_is_no_error",
    ),
    Guard(
        "a reader of the progress that has gone",
        "views/progress.py",
        "            except OSError:\n",
        "            except ZeroDivisionError:\n",
        f"{MAIN}::test_training_goes_on_when_nobody_reads_its_lines",
    ),
    Guard(
        "a sink for closed streams",
        "cli/main.py",
        "    fill_closed_streams()\n",
        "",
        f"{RIG}/test_surroundings.py::test_no_traceback_wherever_it_writes_to",
    ),
    Guard(
        "a reader of the help that has gone",
        "cli/main.py",
        "if isinstance(left.__context__, BrokenPipeError):",
        NEVER,
        f"{RIG}/test_surroundings.py::test_no_traceback_wherever_it_writes_to",
    ),
]


def copy_to(folder: Path) -> None:
    """A copy of all that the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def run_tests(folder: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit code on the copy, and the line that says which test failed, or else the last one."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in list(environment):
        if name.startswith("PYTEST"):
            del environment[name]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/tmp", *tests]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or [""]
    telling = [line for line in lines if line.startswith(("FAILED", "ERROR")) or " passed" in line]
    return done.returncode, (telling or lines)[0]


def is_missed(guard: Guard) -> tuple[bool, str]:
    """Whether its test fails without the guard, and pytest's last line."""
    if guard.occurrences() != 1:
        return False, f"the text stands {guard.occurrences()} times in {guard.file}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_to(folder)
        path = folder / "bpcli" / guard.file
        path.write_text(path.read_text(encoding="utf-8").replace(guard.old, guard.new), encoding="utf-8")
        code, line = run_tests(folder, [guard.test])
    return code == 1, line  # 1: tests failed; anything else is no answer


def with_all_guards_in() -> tuple[int, str]:
    """The same tests on a copy that nothing was taken out of: they have to pass."""
    with tempfile.TemporaryDirectory() as name:
        copy_to(Path(name))
        return run_tests(Path(name), sorted({guard.test for guard in GUARDS}))


def main(words: Sequence[str]) -> int:
    """Prints the table; gives the number of guards that nothing misses."""
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    code, line = with_all_guards_in()
    print(f"with all guards in: {line}")
    if code:
        return 1
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(is_missed, chosen))
    print("| guard | in | the test that fails without it | it did |\n| --- | --- | --- | --- |")
    for guard, (missed, line) in zip(chosen, results, strict=True):
        test = guard.test.removeprefix("tests/").replace("::", "`, `")
        print(f"| {guard.name} | `{guard.file}` | `{test}` | {'yes' if missed else f'NO: {line}'} |")
    return sum(not missed for missed, _ in results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
