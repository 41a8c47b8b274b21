"""bpcli resume: as if the run had never stopped, or a refusal that says why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bpcli.engine import registry

CASES = {
    # name: example, overrides, epochs before and after the stop
    "full batch": ("xor", ["training.batch_size=full"], 7, 20),
    "batches in their own order": ("iris", ["training.early_stopping=null", "training.shuffle=false"], 3, 8),
    "shuffling": ("iris", ["data.val=null", "training.early_stopping=null"], 3, 8),
    "validation": ("iris", ["training.early_stopping=null"], 3, 8),
    "early stopping later": ("iris", [], 20, 300),
    "early stopping just before": ("iris", [], 79, 300),
    "early stopping between": ("iris", [], 60, 300),
    "adam, weight decay": ("diabetes", [], 3, 8),
    "momentum": ("xor", [], 7, 20),
    "nesterov, weight decay": ("breast-cancer", [], 3, 8),
    "plain sgd": ("iris", ["optimizer={type: sgd, learning_rate: 0.1}", "training.early_stopping=null"], 3, 8),
    "float32": ("xor", ["dtype=float32"], 7, 20),
    "float64": ("iris", ["dtype=float64", "training.early_stopping=null"], 3, 8),
    "log_every": ("iris", ["training.log_every=3", "training.early_stopping=null"], 4, 11),
    "log_every, stopped at a row": ("iris", ["training.log_every=3", "training.early_stopping=null"], 6, 11),
    "drop_last": ("iris", ["training.drop_last=true", "training.early_stopping=null"], 3, 8),
    "clip_norm": ("iris", ["training.clip_norm=0.5", "training.early_stopping=null"], 3, 8),
    "shards": ("iris", ["training.shards=3", "training.early_stopping=null"], 3, 8),
    "two layers": ("spirals", ["training.goal=null"], 2, 4),
    "frozen weights and hand-set ones": ("textbook-2-2-2", ["network.layers.0.trainable=biases"], 2, 5),
}


@pytest.fixture
def sets():
    return lambda *overrides: [part for text in overrides for part in ("--set", text)]


@pytest.fixture
def stopped(ok, configs, sets, run_files):
    """`stopped("xor", 5)`: a run that has done five epochs."""

    def call(name, epochs, *overrides):
        ok("train", configs / f"{name}.yaml", "--out", "runs/stopped", *sets(*overrides, f"training.epochs={epochs}"))
        return run_files(Path("runs/stopped"))

    return call


@pytest.fixture
def whole(ok, configs, sets, run_files):
    """The same in one go."""

    def call(name, epochs, *overrides):
        ok("train", configs / f"{name}.yaml", "--out", "runs/whole", *sets(*overrides, f"training.epochs={epochs}"))
        return run_files(Path("runs/whole"))

    return call


def assert_same(run, other):
    assert run.log() == other.log()
    assert run.weights("last") == other.weights("last")
    assert run.sha256("best.npz") == other.sha256("best.npz")


@pytest.mark.parametrize("case", CASES)
def test_gives_the_same_bits_as_an_unbroken_run(stopped, whole, ok, case):
    name, overrides, before, after = CASES[case]
    run = stopped(name, before, *overrides)
    ok("resume", run.path, "--set", f"training.epochs={after}")
    assert_same(run, whole(name, after, *overrides))


@pytest.mark.parametrize("optimizer", registry.optimizers.names())
def test_every_optimizer_goes_on_bit_for_bit(stopped, whole, ok, optimizer):
    overrides = [f"optimizer={optimizer}", "training.batch_size=full"]
    run = stopped("xor", 3, *overrides)
    ok("resume", run.path, "--set", "training.epochs=9")
    assert_same(run, whole("xor", 9, *overrides))


def test_several_stops_are_as_none(stopped, whole, ok):
    run = stopped("iris", 1, "training.early_stopping=null")
    for epochs in range(2, 7):
        ok("resume", run.path, "--set", f"training.epochs={epochs}")
    assert_same(run, whole("iris", 6, "training.early_stopping=null"))


@pytest.mark.parametrize(
    ("name", "overrides"),
    [("iris", []), ("xor", ["training.goal=0.2"]), ("xor", ["training.min_change=2e-3", "optimizer.momentum=0"])],
    ids=["early stopping", "goal", "min_change"],
)
def test_more_epochs_do_not_undo_another_reason_to_stop(stopped, whole, ok, name, overrides):
    run = stopped(name, 2000, *overrides)
    assert "the run has ended" in ok("resume", run.path, "--set", "training.epochs=4000").err
    other = whole(name, 4000, *overrides)
    assert run.log() == other.log()
    assert run.weights("last") == other.weights("last")
    assert run.weights("best") == other.weights("best")


@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt", "scaled_conjugate_gradient"])
def test_a_full_batch_method_that_finds_no_lower_loss_has_ended(stopped, ok, optimizer):
    """A linear least-squares problem, whose minimum is found to the last bit that the loss can tell."""
    overrides = ["network={layers: [2, 1], output_activation: identity}", "loss=mse", "dtype=float64"]
    run = stopped("and", 500, f"optimizer={optimizer}", *overrides)
    assert int(run.log()[-1][0]) < 100
    said = ok("resume", run.path, "--set", "training.epochs=1000").err
    assert "the run has ended (no_descent" in said
    assert "its optimizer finds no lower loss from here" in said


def test_a_checkpoint_file_will_do(stopped, whole, ok):
    run = stopped("xor", 3)
    ok("resume", run.last, "--set", "training.epochs=9")
    assert_same(run, whole("xor", 9))


def test_the_best_checkpoint_goes_on_from_the_best_epoch(stopped, whole, ok):
    run = stopped("iris", 70)
    assert "going on from epoch 50" in ok("resume", run.best, "--set", "training.epochs=80").err
    assert_same(run, whole("iris", 80))


def test_starts_from_the_beginning_where_there_is_no_checkpoint(stopped, whole, ok):
    run = stopped("iris", 5)
    shutil.rmtree(run.path / "checkpoints")
    (run.path / "checkpoints").mkdir()
    assert "starting from the beginning" in ok("resume", run.path).err
    assert_same(run, whole("iris", 5))


def test_a_missing_checkpoints_folder_is_no_checkpoint(stopped, whole, ok):
    run = stopped("iris", 5)
    shutil.rmtree(run.path / "checkpoints")
    ok("resume", run.path)
    assert_same(run, whole("iris", 5))


def test_a_finished_run_says_so(stopped, ok, sets):
    run = stopped("xor", 3)
    before = run.sha256("last.npz")
    result = ok("resume", run.path)
    assert "the run has ended (epochs, epoch 3)" in result.err
    assert "--set training.epochs=6" in result.err
    assert run.sha256("last.npz") == before


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("iris", []),
        ("xor", []),
        ("xor", ["training.goal=0.2"]),
        ("xor", ["training.min_change=2e-3", "optimizer.momentum=0"]),
        ("xor", ["training.max_seconds=1e-9"]),
    ],
    ids=["early stopping", "epochs", "goal", "min_change", "max_seconds"],
)
def test_what_a_finished_run_advises_works(stopped, ok, name, overrides):
    run = stopped(name, 400, *overrides)
    advice = ok("resume", run.path).err.split("bpcli ")[-1].split()
    before = json.loads((run.path / "summary.json").read_text())["iterations"]
    ok(*advice)
    assert json.loads((run.path / "summary.json").read_text())["iterations"] > before


def test_a_finished_run_gets_back_its_missing_summary(stopped, ok):
    run = stopped("xor", 3)
    (run.path / "summary.json").unlink()
    ok("resume", run.path)
    assert (run.path / "summary.json").is_file()


@pytest.mark.parametrize("old", ['{"iterations": 2}', '{"iter', "[]"], ids=["of an earlier end", "cut", "no summary"])
def test_a_finished_run_gets_its_own_summary_in_place_of_another(stopped, ok, old):
    run = stopped("xor", 3)
    summary = run.path / "summary.json"
    before = summary.read_text()
    summary.write_text(old)
    ok("resume", run.path)
    assert summary.read_text() == before


@pytest.mark.parametrize("override", ["training.log_every=3", "training.epochs=3", "name=other"])
def test_a_change_that_gives_a_finished_run_nothing_to_do_keeps_its_log(stopped, ok, override):
    run = stopped("xor", 5)
    result = ok("resume", run.path, "--set", override)
    assert run.epochs()[-1] == 5
    assert "nan" not in result.err


def test_quiet_prints_nothing(stopped, ok):
    run = stopped("xor", 3)
    result = ok("resume", run.path, "--set", "training.epochs=9", "--quiet")
    assert (result.out, result.err) == ("", "")


def test_says_where_it_goes_on_and_what_has_changed(stopped, ok):
    run = stopped("xor", 3)
    result = ok("resume", run.path, "--set", "training.epochs=9", "--set", "optimizer.learning_rate=0.25")
    assert "training.epochs: 3 -> 9" in result.err
    assert "optimizer.learning_rate: 0.5 -> 0.25" in result.err
    assert "going on from epoch 3" in result.err


def test_config_of_the_run_shows_the_change(stopped, ok):
    run = stopped("xor", 3)
    ok("resume", run.path, "--set", "training.epochs=9")
    assert run.config["training"]["epochs"] == 9


def test_a_refused_change_leaves_the_run_as_it_was(stopped, cli):
    run = stopped("xor", 3)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert cli("resume", run.path, "--set", "seed=8", "--set", "training.epochs=9").code == 4
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("seed=8", "seed: it was trained with 7, now it is 8"),
        ("network.layers=[2, 5, 1]", "network.layers: it was trained with [2, 4, 1], now it is [2, 5, 1]"),
        ("network.activation=tanh", "network.activation"),
        ("dtype=float32", "dtype"),
        ("loss=half_squared_error", "loss.type"),
        ("optimizer=adam", "optimizer.type"),
        ("optimizer.momentum=0.1", "optimizer.momentum"),
        ("training.batch_size=2", "training.batch_size"),
        ("training.shuffle=false", "training.shuffle"),
        ("data.scale=standard", "data.scale"),
    ],
)
def test_another_config_is_refused_by_its_first_difference(stopped, cli, override, first):
    run = stopped("xor", 3)
    result = cli("resume", run.path, "--set", override, "--set", "training.epochs=9")
    assert result.code == 4
    assert f"another {first}" in result.err


@pytest.mark.parametrize(
    "override",
    [
        "training.goal=1e-9",
        "training.max_seconds=100",
        "training.log_every=2",
        "training.early_stopping={monitor: train_loss, patience: 30}",
        "optimizer.learning_rate=0.1",
        "output.keep=4",
        "name=other",
    ],
)
def test_what_may_change_may(stopped, ok, override):
    run = stopped("xor", 3)
    ok("resume", run.path, "--set", override, "--set", "training.epochs=9")
    assert json.loads((run.path / "summary.json").read_text())["epochs"] == 9


@pytest.fixture
def own_data(stopped, datasets):
    """A run whose data file is the test's own."""
    Path("mine.csv").write_bytes((datasets / "xor.csv").read_bytes())
    return stopped("xor", 3, "data.train=mine.csv")


def test_changed_data_are_refused(own_data, cli):
    Path("mine.csv").write_text("x1,x2,y\n0,0,0\n0,1,1\n1,0,1\n1,1,1\n")
    result = cli("resume", own_data.path, "--set", "training.epochs=9")
    assert result.code == 4
    assert 'mine.csv" has changed since it was trained on' in result.err


def test_changed_data_of_a_finished_run_are_told_too(own_data, cli):
    Path("mine.csv").write_text("x1,x2,y\n0,0,0\n0,1,1\n1,0,1\n1,1,1\n")
    assert cli("resume", own_data.path).code == 4


def test_missing_data_are_exit_code_3(own_data, cli):
    Path("mine.csv").unlink()
    result = cli("resume", own_data.path, "--set", "training.epochs=9")
    assert result.code == 3
    assert "mine.csv" in result.err


def test_data_and_run_may_move_together(own_data, ok, run_files):
    Path("new home").mkdir()
    for name in ("runs", "mine.csv"):
        shutil.move(name, "new home")
    ok("resume", "new home/runs/stopped", "--set", "training.epochs=9")
    assert run_files(Path("new home/runs/stopped")).epochs() == list(range(1, 10))


@pytest.mark.parametrize("harm", [b"", b"junk", None], ids=["empty", "junk", "cut"])
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(stopped, whole, ok, harm):
    run = stopped("iris", 4, "output.checkpoint_every=1")
    run.last.write_bytes(run.last.read_bytes()[:-100] if harm is None else harm)
    result = ok("resume", run.path)
    assert "last.npz: damaged" in result.err
    assert "going on from the checkpoint before it" in result.err
    assert "going on from epoch 3" in result.err
    assert_same(run, whole("iris", 4, "output.checkpoint_every=1"))


def test_a_missing_last_checkpoint_gives_way_to_the_one_before(stopped, whole, ok):
    run = stopped("iris", 4, "output.checkpoint_every=1")
    run.last.unlink()
    ok("resume", run.path)
    assert_same(run, whole("iris", 4, "output.checkpoint_every=1"))


def test_nothing_but_damaged_checkpoints_is_exit_code_4(stopped, cli):
    run = stopped("iris", 4, "output.checkpoint_every=1")
    for path in run.path.glob("checkpoints/last*.npz"):
        path.write_bytes(b"junk")
    result = cli("resume", run.path)
    assert result.code == 4
    assert "last.npz: damaged" in result.err
    assert "last-2.npz: damaged" in result.err


def test_a_named_checkpoint_that_is_damaged_is_exit_code_4(stopped, cli):
    run = stopped("iris", 4, "output.checkpoint_every=1")
    run.last.write_bytes(b"junk")
    result = cli("resume", run.last)
    assert result.code == 4
    assert "last.npz: damaged" in result.err


def test_best_stays_best_when_a_worse_model_follows(stopped, ok):
    run = stopped("iris", 300)
    best = run.weights("best")
    on = ("--set", "training.early_stopping=null", "--set", "training.epochs=110")
    ok("resume", run.path, *on, "--set", "optimizer.learning_rate=5")  # none of its epochs is any better
    assert run.weights("best") == best


def test_a_summary_is_written_anew(stopped, ok):
    run = stopped("xor", 3)
    ok("resume", run.path, "--set", "training.epochs=9")
    assert json.loads((run.path / "summary.json").read_text())["epochs"] == 9


def test_on_a_config_says_what_a_run_is(cli, configs):
    result = cli("resume", configs / "xor.yaml")
    assert result.code in (2, 4)
    assert "xor.yaml" in result.err


LENGTHS = {  # schedule -> whether the rates of the first epochs depend on how long the run is
    "cosine": True,
    "one_cycle": True,
    "coslog": True,
    "polynomial": True,
    "{type: cosine, warmup: 2}": True,
    "{type: cosine, period: 2}": False,
    "{type: polynomial, duration: 7}": False,
    "{type: step, every: 2}": False,
    "{type: exponential, gamma: 0.9}": False,
    "reduce_on_plateau": False,
}


@pytest.mark.parametrize("schedule", LENGTHS)
def test_a_longer_run_says_where_its_schedule_depended_on_its_length(stopped, whole, ok, schedule):
    overrides = [f"schedule={schedule}", "training.early_stopping=null"]
    run = stopped("iris", 4, *overrides)
    err = ok("resume", run.path, "--set", "training.epochs=8").err
    assert ("depends on training.epochs, which was 4" in err) == LENGTHS[schedule]
    same = run.weights("last") == whole("iris", 8, *overrides).weights("last")
    assert same != LENGTHS[schedule]


def test_a_longer_run_says_what_the_learning_rate_does_now(stopped, ok, configs):
    overrides = ["schedule=cosine", "training.early_stopping=null", "optimizer={type: sgd, learning_rate: 0.5}"]
    run = stopped("iris", 4, *overrides)
    before = run.log()[-1][-1]
    err = ok("resume", run.path, "--set", "training.epochs=8", "--set", "optimizer.learning_rate=0.25").err
    after = run.log()[5][-1]
    said = f"of 8 epochs in one go. The learning rate was {float(before):.4g} in the last iteration and goes on from"
    assert f"{said} {float(after):.4g}\n" in err
    assert "depends on" not in ok("resume", run.path, "--set", "output.keep=3", "--set", "training.epochs=8").err
