"""bpcli step: one training step with every number in it."""

from __future__ import annotations

from bpcli.cli import arguments as options
from bpcli.cli.output import notify, write


def step(config: options.Config, set_: options.Set = None, json: options.Json = False) -> None:
    """Shows one training step with every number in it.

    Shows z, a, the loss, delta, every gradient, and the weights before and after.

    The batch is the first training.batch_size samples in their own order.

    Example: bpcli step configs/textbook-2-2-2.yaml
    """
    from bpcli.build.session import open_session
    from bpcli.config.load import load_config
    from bpcli.views.step import first_step, step_json, step_text

    session = open_session(load_config(config, set_ or ()))
    for note in session.datasets.notes:
        notify(note)
    with session.memory_errors():
        trace = first_step(session)
    if not trace.finite:
        notify("warning: a value in this step is not finite: training would stop here as diverged, with exit code 5")
    write(step_json(trace) if json else step_text(trace, session.model.config.optimizer))
