"""Loading a config: lines, overrides, whose paths start where, and the name a run gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpcli.build.locations import data_plan
from bpcli.config.load import ConfigFile, load_config
from bpcli.errors import ConfigError

TEXT = """\
data:
  train: data.csv
network:
  layers: [2, 3, 1]
optimizer: {type: sgd, learning_rate: 0.5}
training:
  epochs: 10
"""


@pytest.fixture
def write():
    def to_file(text: str = TEXT, path: str = "folder/c.yaml") -> Path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
        return Path(path)

    return to_file


def problems(path: str | Path, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return caught.value.problems


def train_of(file: ConfigFile) -> Path:
    return data_plan(file).train.x


# --- overrides --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.epochs=300", lambda config: config.training.epochs == 300),
        ("optimizer.learning_rate=1e-3", lambda config: config.optimizer.learning_rate == 0.001),
        ("optimizer=adam", lambda config: config.optimizer.learning_rate == 0.001),
        ("network.layers[1]=7", lambda config: config.network.layers == (2, 7, 1)),
        ("network.layers.1=7", lambda config: config.network.layers == (2, 7, 1)),
        ("network.layers=[2, 1]", lambda config: config.network.layers == (2, 1)),
        ("data.val=0.25", lambda config: config.data.val == 0.25),
        ("training.early_stopping={patience: 3}", lambda config: config.training.early_stopping.patience == 3),
        ("training.early_stopping.patience=3", lambda config: config.training.early_stopping.patience == 3),
        ("loss.reduction=sum", lambda config: config.loss.reduction == "sum"),
        ("seed=3", lambda config: config.seed == 3),
    ],
)
def test_an_override_sets_its_key(write, override, value):
    assert value(load_config(write(), [override]).config)


def test_the_last_of_two_overrides_wins(write):
    assert load_config(write(), ["seed=1", "seed=2"]).config.seed == 2


def test_an_override_leaves_its_neighbours_as_they_were(write):
    optimizer = load_config(write(), ["optimizer.momentum=0.9"]).config.optimizer
    assert (optimizer.learning_rate, optimizer.momentum) == (0.5, 0.9)


def test_a_key_of_a_part_that_is_not_in_the_file_belongs_to_the_default_part(write):
    text = TEXT.replace("optimizer: {type: sgd, learning_rate: 0.5}\n", "")
    assert load_config(write(text), ["optimizer.momentum=0.5"]).config.optimizer.momentum == 0.5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs=0", "must be at least 1, got 0"),
        ("training.epochs=x", 'expected an integer, got "x"'),
        ("training.epochs=", "expected an integer, got nothing (null)"),
        ("training.epoch=5", 'unknown key "epoch", did you mean "epochs"?'),
        ("optimizer.learning_rate=fast", 'expected a number, got "fast"'),
        ("optimizer.l1=-1", "must be at least 0"),
        ("data.scale=standrd", "expected none, standard, minmax"),
        ("nmae=a", 'unknown key "nmae", did you mean "name"?'),
    ],
)
def test_a_wrong_override_gets_the_message_of_the_file_under_its_own_name(write, override, message):
    (problem,) = problems(write(), override)
    assert problem.startswith(f"--set {override.partition('=')[0]}")
    assert message in problem


def test_an_override_is_named_once_in_its_message(write):
    (problem,) = problems(write(), "training.epochs=0")
    assert problem.count("training.epochs") == 1


@pytest.mark.parametrize("override", ["optimizer.l1=x", "optimizer={type: adam, beta1: 2}", "a1=3"])
def test_a_wrong_override_whose_key_ends_in_a_digit_is_reported(write, override):
    assert any(problem.startswith("--set ") for problem in problems(write(), override, "seed=-1"))


def test_a_wrong_override_and_wrong_lines_are_shown_together(write):
    path = write(TEXT.replace("epochs: 10", "epochs: 0"))
    found = problems(path, "seed=-1")
    assert sorted(problem.split(" ")[0] for problem in found) == ["--set", "folder/c.yaml:7"]


def test_a_line_that_an_override_replaces_is_not_checked(write):
    path = write(TEXT.replace("epochs: 10", "epochs: 0"))
    assert load_config(path, ["training.epochs=5"]).config.training.epochs == 5


def test_the_error_for_a_malformed_override_says_what_is_expected(write):
    (problem,) = problems(write(), "training.epochs")
    assert problem == "--set training.epochs: expected KEY=VALUE, such as --set training.epochs=300"


# --- paths ------------------------------------------------------------------------------------------------------------


def test_a_path_in_the_file_starts_at_the_files_folder(write):
    assert train_of(load_config(write())) == Path("folder/data.csv")


def test_a_pair_of_paths_in_the_file_starts_at_the_files_folder(write):
    plan = data_plan(load_config(write(TEXT.replace("data.csv", "{x: x.npy, y: ../y.npy}"))))
    assert (plan.train.x, plan.train.y) == (Path("folder/x.npy"), Path("y.npy"))


def test_an_absolute_path_stays_as_it_is(write, tmp_path):
    assert train_of(load_config(write(TEXT.replace("data.csv", f"{tmp_path}/a.csv")))) == tmp_path / "a.csv"


@pytest.mark.parametrize("override", [False, True])
@pytest.mark.parametrize(("path", "meant"), [("~/a.csv", "home/a.csv"), ("~nobody-here/a.csv", "~nobody-here/a.csv")])
def test_a_tilde_is_the_home_folder_where_there_is_one(write, monkeypatch, path, meant, override):
    monkeypatch.setenv("HOME", str(Path("home").absolute()))
    file = (
        load_config(write(), [f"data.train={path}"]) if override else load_config(write(TEXT.replace("data.csv", path)))
    )
    folder = Path() if override or meant.startswith("home") else Path("folder")
    assert train_of(file).absolute() == (folder / meant).absolute()


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_a_path_in_an_override_starts_at_the_current_folder(write, name):
    plan = data_plan(load_config(write(), [f"data.{name}=other.csv"]))
    assert getattr(plan, name).x.resolve() == Path.cwd() / "other.csv"


def test_a_pair_of_paths_in_an_override_starts_at_the_current_folder(write):
    plan = data_plan(load_config(write(), ["data.train={x: a.npy, y: b.npy}"]))
    assert (plan.train.x.resolve(), plan.train.y.resolve()) == (Path.cwd() / "a.npy", Path.cwd() / "b.npy")


def test_one_path_of_a_pair_in_an_override_starts_at_the_current_folder(write):
    path = write(TEXT.replace("data.csv", "{x: x.npy, y: y.npy}"))
    plan = data_plan(load_config(path, ["data.train.x=a.npy"]))
    assert plan.train.x.resolve() == Path.cwd() / "a.npy"
    assert plan.train.y == Path("folder/y.npy")


def test_a_whole_data_section_in_an_override_starts_at_the_current_folder(write):
    plan = data_plan(load_config(write(), ["data={train: other.csv, val: v.csv}"]))
    assert plan.train.x.resolve() == Path.cwd() / "other.csv"
    assert plan.val.x.resolve() == Path.cwd() / "v.csv"


def test_a_fraction_in_an_override_is_not_taken_for_a_path(write):
    assert data_plan(load_config(write(), ["data.val=0.2"])).val == 0.2


def test_a_share_in_an_override_is_no_path(write):
    with pytest.raises(ConfigError, match=r'--set data\.val: expected a path .*, got "20%" \(write 0\.2\)'):
        load_config(write(), ["data.val=20%"])


# --- the file itself --------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named_with_the_nearest_there_is(write):
    write()
    (problem,) = problems("folder/cc.yaml")
    assert problem == "folder/cc.yaml: there is no such file; did you mean folder/c.yaml?"


def test_a_file_without_a_size_is_not_read(tmp_path, monkeypatch):
    """/proc/kmsg is a regular file of 0 bytes, and reading it waits for ever."""
    path = tmp_path / "c.yaml"
    path.touch()
    opened = Path.open

    def without_reading(self, *args, **options):
        file = opened(self, *args, **options)
        monkeypatch.setattr(file, "read", lambda *_: pytest.fail("read"), raising=False) if self == path else None
        return file

    monkeypatch.setattr(Path, "open", without_reading)
    with pytest.raises(ConfigError):
        load_config(path)


def test_messages_name_the_file_as_the_user_wrote_it(write, tmp_path):
    write(TEXT.replace("epochs: 10", "epochs: 0"))
    assert problems("folder/../folder/c.yaml")[0].startswith("folder/../folder/c.yaml:7 training.epochs: ")
    assert problems(tmp_path / "folder" / "c.yaml")[0].startswith(f"{tmp_path}/folder/c.yaml:7 ")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("c.yaml", "c"),
        ("my run.yml", "my run"),
        ("a.b.yaml", "a.b"),
        (".yaml", "yaml"),
        ("größe.yaml", "größe"),
        ("a:b?.yaml", "a-b"),
        ("--.yaml", "run"),
        ("x" * 150 + ".yaml", "x" * 100),
    ],
)
def test_a_config_without_a_name_is_called_after_its_file(write, file, name):
    assert load_config(write(path=file)).config.name == name


@pytest.mark.parametrize("file", ["a:b?.yaml", "-x-.yaml", "_a.yaml", "x" * 99 + " y.yaml", "\uff41.yaml", "²½.yaml"])
def test_the_name_taken_from_a_file_is_one_a_config_may_have(write, file):
    name = load_config(write(path=file)).config.name
    assert load_config(write(f"name: {name!r}\n{TEXT}")).config.name == name


def test_a_name_in_the_file_stays(write):
    assert load_config(write(f"name: mine\n{TEXT}")).config.name == "mine"


def test_a_problem_is_located_at_the_line_of_its_key(write):
    file = load_config(write())
    assert str(file.error((("training", "epochs"), "no"))) == "folder/c.yaml:7 training.epochs: no"


def test_a_problem_at_a_key_that_is_not_written_is_located_at_what_would_hold_it(write):
    file = load_config(write())
    assert str(file.error((("training", "goal"), "no"))) == "folder/c.yaml:6 training.goal: no"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("networks.layers=[1]", '--set networks.layers networks: unknown key "networks", did you mean "network"?'),
        ("data.train.x=a", "--set data.train.x: data.train is 'd.csv' and holds no keys"),
    ],
)
def test_a_mistake_in_an_override_is_not_looked_for_in_the_file(tmp_path, override, message):
    path = tmp_path / "c.yaml"
    path.write_text("data: {train: d.csv}\nnetwork: {layers: [2, 1]}\ntraining: {epochs: 1}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, [override])
    assert str(caught.value) == message
