"""bpcli validate: all errors in a config and its data, before training."""

from __future__ import annotations

from bpcli.cli import arguments as options
from bpcli.cli.output import notify, write


def validate(config: options.Config, set_: options.Set = None) -> None:
    """Checks a config and its data without training.

    Example: bpcli validate configs/iris.yaml
    """
    from bpcli.build.advice import warnings
    from bpcli.build.checks import load_checked
    from bpcli.build.session import open_session
    from bpcli.text import printable
    from bpcli.views.summary import data_text

    session = open_session(load_checked(config, set_ or ()))
    for note in session.datasets.notes:
        notify(note)
    for text in warnings(session):
        notify(text)
    write(f"{printable(str(config))}: OK\n{data_text(session)}")
