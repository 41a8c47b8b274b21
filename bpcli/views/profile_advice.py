"""The one sentence of advice that a profile's figures give."""

from __future__ import annotations

from bpcli.engine.measure.profile import StepProfile
from bpcli.text import printable
from bpcli.workflows.profile import Profile

CALL_SECONDS = 10e-6  # a part that takes less spends most of it calling NumPy's functions
LITTLE, MUCH, MOST = 0.05, 0.25, 0.5
ALIKE = (0.5, 1.3)  # time of a step with stopwatches relative to one without, on an idle machine


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
