"""Where the time of training goes, for `bpcli profile`."""

from __future__ import annotations

import contextlib
import io
import textwrap
from collections.abc import Iterator
from typing import Any

from bpcli.engine import registry
from bpcli.engine.measure.instrumented import SIZE
from bpcli.engine.measure.profile import LayerCost, StepProfile
from bpcli.text import duration, json_text, plural, printable, table
from bpcli.views.progress import BAR_SECONDS, progress
from bpcli.workflows.profile import Display, Profile

WIDTH, NAME_WIDTH = 100, 24
CALL_SECONDS = 10e-6  # a part that takes less spends most of it calling NumPy's functions
LITTLE, MUCH, MOST = 0.05, 0.25, 0.5
ALIKE = (0.5, 1.3)  # time of a step with stopwatches relative to one without, on an idle machine


class _UnseenTerminal(io.StringIO):
    """A stream that claims to be a terminal but is not shown."""

    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def unseen_display() -> Iterator[Display]:
    """The progress bar of `bpcli train`, drawn to memory, so that it can be timed."""
    with contextlib.redirect_stderr(_UnseenTerminal()), progress(quiet=False) as on_report:
        yield Display(on_report, BAR_SECONDS)


def profile_text(profile: Profile) -> str:
    """The tables of a step's parts, the work around the steps and memory; then one sentence of advice."""
    blocks = [_heading(profile), _step_table(profile), _notes(profile), _around_table(profile), _memory_table(profile)]
    return "\n\n".join([*blocks, _lines(advice(profile))])


def _lines(*sentences: str) -> str:
    """Starts each sentence on a new line and wraps it to fit the screen."""
    return "\n".join(textwrap.fill(sentence, WIDTH) for sentence in sentences)


def _heading(profile: Profile) -> str:
    training, config, step = profile.training, profile.session.model.config, profile.step
    n = len(training.samples)
    batch = f"one batch of {plural(n, 'sample')}"
    if training.batches.size < n:
        batch = f"batches of {training.batches.size:,} from {plural(n, 'sample')}"
    lines = [
        f"{printable(config.name or 'run')}: {config.dtype}, {_optimizer(profile)}, {batch}, "
        f"{plural(training.batches.count, 'step')} an epoch"
    ]
    if step.shards > 1:
        way = f"{step.threads} in parallel" if step.threads > 1 else "one after another"
        lines.append(
            f"A batch is split into {step.shards} shards, computed {way}, by {plural(step.threads, 'thread')}."
        )
        lines.append("Times of data, layers and loss are scaled to wall-clock time.")
    return _lines(*lines)


def _optimizer(profile: Profile) -> str:
    return registry.optimizers.name_of(profile.training.optimizer)


def _step_table(profile: Profile) -> str:
    step = profile.step
    rows = [["a step", "forward us", "backward us", "both us", "%", "mult-adds", "GFLOP/s", "% of best"]]
    decimals = 1 if step.step < 0.001 else 0

    def us(seconds: float) -> str:
        return f"{1e6 * seconds:,.{decimals}f}"

    def row(name: str, seconds: float, *, ways: tuple[float, float] | None = None, work: float = 0.0) -> None:
        share = f"{100 * seconds / step.step:.1f}"
        both = ["", ""] if ways is None else [us(way) for way in ways]
        rows.append([_short(name), *both, us(seconds), share, *_arithmetic(work, seconds, step)])

    row("data", step.data)
    for layer in step.layers:
        row(layer.name, layer.seconds, ways=(layer.forward, layer.backward), work=layer.work)
    row("loss", step.loss)
    if step.normal_equations:
        row("normal equations", step.normal_equations)
    full_batch = profile.training.optimizer.full_batch
    row("the optimizer itself" if full_batch else f"update ({_optimizer(profile)})", step.update)
    row("all of these", step.parts)
    row("between them", step.rest)
    row("step as trained", step.step, work=step.work)
    return table(rows)


def _arithmetic(work: float, seconds: float, step: StepProfile) -> list[str]:
    """Multiply-adds, GFLOP/s and the percentage of the machine's best; empty without a matrix product."""
    if not work or seconds <= 0.0:
        return ["", "", ""]
    speed = 2.0 * work / seconds
    share = 100 * speed / step.all_threads
    return [_amount(work), f"{speed / 1e9:.3g}", f"{share:.0f}" if share > 10 else f"{share:.2g}"]


def _notes(profile: Profile) -> str:
    step, training = profile.step, profile.training
    threads = f", {step.all_threads / 1e9:.0f} on {step.threads}" if step.threads > 1 else ""
    lines = [
        f"{1 / step.step:,.0f} steps and {step.samples / step.step:,.0f} samples per second, "
        f"{_time(profile.epoch)} an epoch.",
        f"Best: {SIZE} x {SIZE} matrices multiplied here, {step.one_thread / 1e9:.0f} GFLOP/s on one thread{threads}. "
        "A mult-add is 2 FLOP.",
    ]
    if training.optimizer.full_batch:
        lines.append(f"A step computes {step.evaluations:.3g} gradients; data, layers and loss are their sums.")
    between = "the loop, shuffling, an epoch's end" + (", adding up the shards" if step.shards > 1 else "")
    between += ", waiting" if step.threads > 1 else ""
    lines += [
        f"Between them: {between}; below 0, noise.",
        f"Means of {plural(step.steps, 'step')}. With stopwatches a step took {_us(step.watched)} us, "
        f"of which their own {_us(step.watches)} us are subtracted above.",
    ]
    return _lines(*lines)


def _around_table(profile: Profile) -> str:
    rows = [["around the steps", "each time us", "how often", "% of training"]]
    rows.append(["all steps of an epoch", _us(profile.epoch), "each epoch", f"{100 * profile.share_of_steps:.2f}"])
    rows += [[each.name, _us(each.seconds), each.often, f"{100 * profile.share(each):.2f}"] for each in profile.around]
    return table(rows)


def _memory_table(profile: Profile) -> str:
    rows = [["memory", ""], *([name, _bytes(size)] for name, size in profile.memory.items() if size)]
    rows.append(["made and freed again in a step", _bytes(profile.step.made_anew)])
    if profile.peak_resident is not None:
        rows.append(["peak resident, whole process", _bytes(profile.peak_resident)])
    return table(rows)


def _short(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 3]}..."


def _time(seconds: float) -> str:
    return f"{_us(seconds)} us" if seconds < 0.01 else duration(seconds)


def _us(seconds: float) -> str:
    us = seconds * 1e6
    return f"{us:,.1f}" if abs(us) < 1000 else f"{us:,.0f}"


def _amount(count: float) -> str:
    for unit in ("", " k", " M", " G"):
        if count < 1000:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g} T"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def profile_json(profile: Profile) -> str:
    """All figures, unrounded: seconds, bytes, multiply-adds, operations per second."""
    step, training = profile.step, profile.training
    values: dict[str, Any] = {
        "name": profile.session.model.config.name,
        "optimizer": _optimizer(profile),
        "samples": len(training.samples),
        "batch_size": training.batches.size,
        "steps_per_epoch": training.batches.count,
        "shards": step.shards,
        "threads": step.threads,
        "steps_measured": step.steps,
        "step_seconds": step.step,
        "steps_per_second": 1.0 / step.step,
        "samples_per_second": step.samples / step.step,
        "data_seconds": step.data,
        "layers": [_layer_json(layer) for layer in step.layers],
        "loss_seconds": step.loss,
        "update_seconds": step.update,
        "normal_equations_seconds": step.normal_equations,
        "parts_seconds": step.parts,
        "rest_seconds": step.rest,
        "gradients_per_step": step.evaluations,
        "multiply_adds": step.work,
        "flop_per_second": 2.0 * step.work / step.step,
        "machine_flop_per_second": {"one_thread": step.one_thread, "threads_in_use": step.all_threads},
        "stopwatches": {"step_seconds": step.watched, "own_seconds": step.watches},
        "around": [
            {"name": each.name, "seconds": each.seconds, "how_often": each.often, "share": profile.share(each)}
            for each in profile.around
        ],
        "memory": {**profile.memory, "made anew in a step": step.made_anew, "peak resident": profile.peak_resident},
        "advice": advice(profile),
    }
    return json_text(values)


def _layer_json(layer: LayerCost) -> dict[str, Any]:
    return {
        "name": layer.name,
        "forward_seconds": layer.forward,
        "backward_seconds": layer.backward,
        "forward_multiply_adds": layer.forward_work,
        "backward_multiply_adds": layer.backward_work,
        "flop_per_second": 2.0 * layer.work / layer.seconds if layer.seconds > 0.0 else None,
    }


def advice(profile: Profile) -> str:
    """What limits the speed, and what would help. The first case that applies is reported."""
    step = profile.step
    around = max(profile.around, key=profile.share)
    calls = 2 * len(step.layers) + 3
    if not ALIKE[0] < (step.watched - step.watches) / step.step < ALIKE[1]:
        return (
            "A step as trained and the same step in parts took different times: other programs are at work. "
            "Measure again when the machine is quiet, or for longer, with --seconds."
        )
    if profile.share(around) > MUCH:
        return _around(around.name, profile.share(around))
    if _at_full_speed(step) < LITTLE and step.step < calls * CALL_SECONDS * step.evaluations:
        return _calls(profile)
    if step.normal_equations > MOST * step.step:
        return _percent(step.normal_equations, step) + (
            "the normal equations, whose work grows with the square of the weights: try a smaller network, or lbfgs."
        )
    if step.update > MUCH * step.step:
        return _percent(step.update, step) + (
            "the update, which costs the same for any batch: a larger training.batch_size means fewer updates."
            if profile.training.batches.size < len(profile.training.samples)
            else "the optimizer's own work, which grows with the number of weights."
        )
    if step.data > MUCH * step.step:
        return _percent(step.data, step) + "fetching the batch: the network is small compared with its inputs."
    if _at_full_speed(step) > MOST:
        return (
            f"Arithmetic is the limit: the step runs at {100 * _at_full_speed(step):.0f} % of the machine's speed. "
            "Fewer multiply-adds or more processors would help."
        )
    slowest = max(step.layers, key=lambda layer: layer.seconds)
    at = f", at {200 * slowest.work / slowest.seconds / step.all_threads:.0f} % of the machine's speed"
    return (
        _percent(slowest.seconds, step)
        + f"{printable(slowest.name)}{at if slowest.work else ''}: the layer to look at first."
    )


def _at_full_speed(step: StepProfile) -> float:
    """The fraction of a step that its multiply-adds would take at the speed of a matrix product."""
    return 2.0 * step.work / step.all_threads / step.step


def _percent(seconds: float, step: StepProfile) -> str:
    return f"{100 * seconds / step.step:.0f} % of a step goes to "


def _calls(profile: Profile) -> str:
    step = profile.step
    text = (
        f"A step spends its time in function calls, not in arithmetic: its multiply-adds alone would take "
        f"{1e6 * _at_full_speed(step) * step.step:.2g} us. "
    )
    if profile.training.batches.size < len(profile.training.samples):
        return text + "A larger training.batch_size costs little more per step, and an epoch needs fewer steps."
    if profile.training.optimizer.full_batch:
        return text + "With so few weights and samples there is little to gain."
    return text + "The batch is already all the data, so only fewer steps would help: lbfgs or levenberg_marquardt."


def _around(name: str, share: float) -> str:
    remedies = {
        "validation": "a smaller data.val, or fewer metrics",
        "row of loss.csv": "training.log_every above 1",
        "checkpoint saved": "output.checkpoint_every: auto, or a larger number",
    }
    remedy = f": {remedies[name]} would help" if name in remedies else ""
    return f"{100 * share:.0f} % of training goes not to steps but to {name!r}{remedy}."
