import re
from dataclasses import fields
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.cnn.weights import RANDOM
from hep2lib.files import project_root
from hep2lib.runs.paper import printed
from hep2lib.runs.parameters import (
    WEIGHTS,
    GridParameters,
    ParameterError,
    Parameters,
    TrainingParameters,
    differences,
    make_parameters,
    new_profile,
    parse_settings,
    profile_values,
    read_parameters,
    told_parameters,
)
from hep2lib.studies.svm_study import SINGLE_TENSOR
from hep2lib.studies.trial import TrainingOptions

PROFILES = project_root() / "notebooks" / "profiles"
GRID = {"freeze": [11], "batch_sizes": [8], "learning_rates": [0.01], "epochs": 1}


def test_every_profile_can_be_used():
    names = {file.stem for file in PROFILES.iterdir()}
    assert {"smoke", "quick", "paper"} <= names
    for name in names:
        assert make_parameters(name).run_name == name


@pytest.mark.parametrize("profile", sorted(file.stem for file in PROFILES.iterdir()))
def test_every_profile_gives_all_depths_the_same(profile):
    parameters = make_parameters(profile)
    given = {}
    for grid in parameters.grids:
        for depth in grid.freeze:
            cells = product(grid.batch_sizes, grid.learning_rates)
            given.setdefault(depth, set()).update((*cell, grid.epochs, grid.seeds) for cell in cells)
    assert set(given) == {11, 110, 139}
    assert given[11] == given[110] == given[139]
    assert len({epochs for *_, epochs, _ in given[11]}) == 1
    assert parameters.rotations == 18  # the study takes configurations and epochs from the grid


def test_the_paper_profile_is_the_papers_search():
    parameters = make_parameters("paper")
    (grid,) = parameters.grids
    assert grid.freeze == (11, 110, 139)
    assert grid.batch_sizes == (4, 8, 16, 32, 64, 128)
    assert grid.learning_rates == (0.01, 0.001, 0.0001)
    assert (grid.epochs, parameters.rotations, parameters.folds) == (10, 18, 5)
    assert round(parameters.svm_grid[15], 4) == 5.1348


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sead": 1}, "parameter 'sead' is unknown; did you mean 'seed'"),
        ({"zzz": 1}, "parameter 'zzz' is unknown; known: profile, seed"),
        ({"folds": 1}, "^parameter folds = 1: this cannot be; values: 2 to 50$"),
        ({"seed": 3.5}, "^parameter seed = 3.5: a whole number is needed$"),
        (
            {"grids": [GRID, GRID | {"freeze": [11, 145]}]},
            r"^parameter grids\.2\.freeze\.2 = 145: this cannot be; values: a list of numbers, 0 to 144$",
        ),
        ({"grids": [GRID | {"batch_sizes": [0]}]}, "grids.1.batch_sizes.1 = 0: .*; values: .* 1 to 4096$"),
        ({"grids": []}, "^parameter grids: this cannot be; values: a list of grids$"),
        ({"grids": [3]}, "^parameter grids.1 = 3: this cannot be; values: a list of grids$"),
        ({"grids": [GRID | {"seeds": 0}]}, "^parameter grids.1.seeds = 0: .*; values: 1 to 100$"),
        ({"batchnorm": GRID | {"epochs": 0}}, "^parameter batchnorm.epochs = 0: .*; values: 1 to 1000$"),
        ({"bits": 20}, "^parameter bits = 20: this cannot be; values: 8 to 16$"),
        ({"chosen_seeds": {50: 3}}, "chosen_seeds: nothing is chosen at freeze 50; .* search 11, 110, 139"),
        ({"chosen_seeds": {11: 0}}, "chosen_seeds.11 = 0: this cannot be; values: 1 to 100 by depth, "),
        ({"chosen_seeds": {145: 3}}, "chosen_seeds: nothing is chosen at freeze 145; the grids search 11, "),
        ({"chosen_seeds": {"deep": 3}}, "chosen_seeds.deep = 'deep': a number is needed"),
        ({"chosen_seeds": 3}, "chosen_seeds = 3: this cannot be; values: 1 to 100 by depth, {110: 3}$"),
        (
            {"training": {"head_lr": 10}},
            "'training.head_lr' is unknown; did you mean 'training.head_rate_factor'",
        ),
        ({"training": 3}, "parameter training = 3: this cannot be; values: see its parts$"),
        ({"training.precison": "bf16"}, "'training.precison' is unknown; did you mean 'training.precision'"),
        ({"trainin.precision": "bf16"}, "'trainin' is unknown; did you mean 'training'"),
        ({"precision": "bf16"}, "'precision' is unknown; did you mean 'training.precision'"),
        ({"training.precision": "bf17"}, "training.precision = 'bf17': this cannot be; values: fp32, bf16$"),
        ({"grids.freeze": [11]}, "parameter grids: a list is needed, as in"),
        ({"grids": [GRID | {"freez": [11]}]}, "'grids.1.freez' is unknown; did you mean 'grids.1.freeze'"),
        ({"training.a.b": 1}, "'training.a.b' is unknown"),
        ({"training": {"shuffle": "never"}}, "training.shuffle = 'never': .*values: once, every-epoch$"),
        ({"seed": -1}, "parameter seed = -1: "),
        ({"rotation_epochs": 3}, "'rotation_epochs' is unknown; leave it out: trainings with rotations have"),
        ({"device": "tpu"}, "^parameter device = 'tpu': this cannot be; values: auto, cpu, cuda, cuda:1$"),
        ({"svm_layers": ["pool9"]}, "there is no layer pool9"),
    ],
)
def test_what_cannot_be_is_named(settings, message):
    with pytest.raises(ParameterError, match=message):
        make_parameters("smoke", settings)


def test_the_study_is_given_the_options_whose_defaults_are_its_own():
    assert make_parameters("paper").training_options == TrainingOptions()
    chosen = make_parameters("paper", {"training": {"head_rate_factor": 10, "class_weights": "balanced"}})
    assert chosen.training_options == TrainingOptions(head_rate_factor=10.0, class_weights="balanced")


def test_a_part_is_set_and_the_others_stay_as_the_profile_has_them(tmp_path):
    file = tmp_path / "mine.yaml"
    values = profile_values("smoke") | {"training": {"momentum": 0.5}}
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    chosen = make_parameters(str(file), {"training.precision": "bf16", "training.l2": 0}).training
    assert (chosen.momentum, chosen.precision, chosen.l2) == (0.5, "bf16", 0)
    assert make_parameters("smoke", {"training.precision": "bf16"}).run_name != "smoke"


def test_what_is_wrong_in_a_list_is_said_once_for_each_item():
    with pytest.raises(ParameterError) as refused:
        make_parameters("smoke", {"grids": [{"freeze": [11], "batch_sizes": [4], "learning_rates": [0.1]}]})
    assert str(refused.value) == "parameter grids.1.epochs: has to be set; values: 1 to 1000"


def test_what_a_file_sets_is_refused_with_the_file_and_the_line(tmp_path):
    file = tmp_path / "mine.yaml"
    text = """\
# mine
grids:
  - freeze: [11]
    batch_sizes: [4]
    learning_rates: [0.1]
    epochs: 0
  - {freeze: [11], batch_sizes: [4], learning_rates: [0.1]}
"folds": 1
training.l2: -1
zeed: 3
chosen_seeds: {11: 0}
"""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError) as refused:
        make_parameters(file, {"image_size": 9, "training.momentum": 2})
    assert sorted(str(refused.value).splitlines()) == sorted(
        [
            f"{file}, line 2: parameter grids.1.epochs = 0: this cannot be; values: 1 to 1000",
            f"{file}, line 2: parameter grids.2.epochs: has to be set; values: 1 to 1000",
            f"{file}, line 8: parameter folds = 1: this cannot be; values: 2 to 50",
            f"{file}, line 9: parameter training.l2 = -1: this cannot be; values: 0 to 10",
            f"{file}, line 10: parameter 'zeed' is unknown; did you mean 'seed'?",
            f"{file}, line 11: parameter chosen_seeds.11 = 0: this cannot be; values: 1 to 100 by depth, "
            "{110: 3}",
            "parameter image_size = 9: this cannot be; values: 64 to 1024",
            "parameter training.momentum = 2: this cannot be; values: 0 to below 1",
        ]
    )
    file.write_text("seed: 1\nweights: randm\n", encoding="utf-8")
    with pytest.raises(ParameterError) as refused:
        make_parameters(file)
    assert str(refused.value) == (
        f"{file}, line 2: parameter weights = 'randm': no such file; did you mean random? Weights are auto, "
        "imagenet, procedural, random, random-caffe, random-matlab, or an existing .pth, .safetensors, .onnx "
        "or .caffemodel"
    )
    file.write_text("seed: 1\ndata: ~nosuchuser/x\n", encoding="utf-8")
    with pytest.raises(
        ParameterError, match=rf"^{re.escape(str(file))}, line 2: parameter data: ~nosuchuser"
    ):
        make_parameters(file)
    file.write_text("seed: 1\n", encoding="utf-8")
    with pytest.raises(ParameterError) as refused:
        make_parameters(file)
    assert str(refused.value) == f"{file}: parameter grids: has to be set; values: a list of grids"


@pytest.mark.parametrize("typed", ["qick", "", "Quick", "./quick", "../profiles/quick", "TMP/mine"])
def test_an_unknown_profile_names_those_there_are(tmp_path, typed):
    typed = typed.replace("TMP", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(profile_values("smoke")), encoding="utf-8")
    with pytest.raises(ParameterError) as refused:
        make_parameters(typed)
    assert str(refused.value) == (
        f"profile {typed!r}: there is none of that name; choose one of paper, published, quick, smoke, or "
        "give the path of a YAML file, which ends in .yaml"
    )


def test_a_profile_that_cannot_be_read_is_named_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    for typed, trouble in (
        ("../nowhere.yml", "No such file or directory"),
        ("folder.yaml", "Is a directory"),
    ):
        with pytest.raises(ParameterError) as refused:
            make_parameters(typed)
        where = (tmp_path / typed).resolve()
        assert str(refused.value) == f"profile {where}: cannot be read ({trouble}); check the path"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "seed: 1\na: [",
            r"^FILE: not readable as YAML \(line 2: a bracket is opened there, and not closed in .*\)$",
        ),
        (
            "a: 1\nb: [2\nc: 3",
            r"^FILE: not readable as YAML \(line 2: a bracket is opened there, and not closed in .*\)$",
        ),
        ("a: b: c", r"^FILE: not readable as YAML \(line 1: mapping values are not allowed here\)$"),
        ("a: \x00", r"^FILE: not readable as YAML \(unacceptable character #x0000: [^\n]*\)$"),
        ("- 1", "a profile is a"),
    ],
)
def test_a_damaged_profile(tmp_path, content, message):
    file = tmp_path / "mine.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ParameterError, match=message.replace("FILE", re.escape(str(file)))):
        make_parameters(str(file))


def test_settings_are_written_as_in_yaml():
    settings = parse_settings(["seed= 3", "svm_layers=[a, b]", "weights=random", "data=", "training.l2=1e-3"])
    assert settings == {
        "seed": "3",
        "svm_layers": ["a", "b"],
        "weights": "random",
        "data": "",
        "training.l2": "1e-3",
    }
    parameters = make_parameters("smoke", settings | {"svm_layers": "all"})
    assert (parameters.seed, parameters.training.l2) == (3, 0.001)


@pytest.mark.parametrize(
    "text",
    [
        "010",
        "Yes",
        "1",
        "null",
        "2020-01-01",
        "Result: final",
        "Label # 2",
        "%positive",
        "*",
        "[0-9]+",
        r"^(?P<specimen>\w+)_\d",
        "a=b",
        "1:30",
        "it's",
    ],
)
def test_a_text_that_is_set_arrives_as_it_was_typed(text):
    assert make_parameters("smoke", parse_settings([f"label_column={text}"])).label_column == text


@pytest.mark.parametrize("quoted", ['"Yes"', "'Yes'"])
def test_quotes_around_a_text_are_no_part_of_it(quoted):
    assert parse_settings([f"label_column={quoted}"]) == {"label_column": "Yes"}


@pytest.fixture
def profile(tmp_path):
    """Writes a profile that says this and no more than it has to."""

    def write(lines, name="mine.yaml"):
        grid = "grids: [{freeze: [11], batch_sizes: [8], learning_rates: [1e-2], epochs: 1}]"
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{grid}\n{lines}\n", encoding="utf-8")
        return str(file)

    return write


NO_NUMBERS = (
    "010",
    "-07",
    "1:30",
    "true",
    "True",
    "yes",
    "on",
    "0x10",
    "1_000",
    ".inf",
    ".nan",
    "nan",
    "3px",
    "",
)


@pytest.mark.parametrize("written", NO_NUMBERS)
def test_what_only_yaml_takes_for_a_number_is_refused_as_it_was_written(profile, written):
    for parameters in (
        lambda: make_parameters(profile(f"seed: {written}")),
        lambda: make_parameters("smoke", parse_settings([f"seed={written}"])),
        lambda: make_parameters("smoke", parse_settings([f"training.l2={written}"])),
    ):
        with pytest.raises(
            ParameterError, match=f"= '{re.escape(written)}': a number is needed, as in 3, 0.5"
        ):
            parameters()
    with pytest.raises(ParameterError, match=r"parameter seed = True: a number is needed"):
        make_parameters("smoke", {"seed": True})


@pytest.mark.parametrize(
    ("written", "value"), [("1e-3", 1e-3), (".5", 0.5), ("1.", 1), ("+2", 2), ("1.0e-05", 1e-5), ("'3'", 3)]
)
def test_a_number_may_be_written_in_any_way_that_has_one_meaning(profile, written, value):
    assert make_parameters(profile(f"training: {{l2: {written}}}")).training.l2 == value
    assert make_parameters("smoke", parse_settings([f"training.l2={written}"])).training.l2 == value


def test_words_in_a_profile_are_words_and_nothing_is_nothing(profile):
    known = make_parameters(profile("label_column: No\nspecimen_column: 007\nbatchnorm: null\ndata:"))
    assert (known.label_column, known.specimen_column, known.batchnorm, known.data) == ("No", "007", None, "")
    with pytest.raises(ParameterError, match="there is no layer no"):
        make_parameters(profile("svm_layers: [no]"))
    with pytest.raises(ParameterError, match="svm_layers = 'data': a list is needed"):
        make_parameters(profile("svm_layers: data"))


def test_a_number_where_a_text_is_needed_says_how_to_give_one():
    with pytest.raises(ParameterError, match=r"parameter data = 10: a text is needed; put it in quotes .*-r"):
        make_parameters("smoke", {"data": 10})


@pytest.mark.parametrize(
    ("lines", "name", "line"),
    [("seed: 1\nseed: 2", "seed", 3), ("training: {l2: 0.1, momentum: 0.5, l2: 0.2}", "l2", 2)],
)
def test_a_name_that_a_profile_sets_twice_is_refused(profile, lines, name, line):
    with pytest.raises(
        ParameterError, match=rf"mine\.yaml: not readable as YAML \(line {line}: {name} is set twice\)"
    ):
        make_parameters(profile(lines))


def test_a_profile_may_merge_what_it_named(profile, tmp_path):
    lines = "batchnorm: &one {freeze: [139], batch_sizes: [4], learning_rates: [0.1], epochs: 1}"
    file = profile(lines)
    text = Path(file).read_text(encoding="utf-8").splitlines()[1] + "\ngrids: [{<<: *one, epochs: 3}]"
    Path(file).write_text(text, encoding="utf-8")
    (grid,) = make_parameters(file).grids
    assert (grid.freeze, grid.epochs) == ((139,), 3)


def test_a_path_is_relative_to_where_it_was_written(tmp_path, monkeypatch, profile):
    file = profile("data: images\nweights: ../w.pth", "there/mine.yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").touch()
    (tmp_path / "link").symlink_to(tmp_path / "there", target_is_directory=True)
    for typed in (file, "there/mine.yaml", "./there/mine.yaml", "there/../there/mine.yaml"):
        known = make_parameters(typed)
        assert known.data == str(tmp_path / "there" / "images")
        assert known.weights == str(tmp_path / "w.pth")
        assert known.profile == file
    for typed in ("images", "./images", "there/../images", Path("images"), str(tmp_path / "images")):
        known = make_parameters(file, {"data": typed, "weights": "w.pth"})
        assert (known.data, known.weights) == (str(tmp_path / "images"), str(tmp_path / "w.pth"))
        assert known.run_name == make_parameters(file, {"data": str(tmp_path / "images")}).run_name


def test_a_word_for_weights_is_a_word_and_all_else_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random").touch()
    for word in WEIGHTS:
        assert make_parameters("smoke", {"weights": word}).weights == word
    assert make_parameters("smoke", {"weights": "./random"}).weights == str(tmp_path / "random")
    elsewhere = str(tmp_path / "of-another-machine.pth")
    assert make_parameters("smoke", {"weights": elsewhere}).weights == elsewhere
    with pytest.raises(
        ParameterError, match=r"^parameter weights = 'Random': no such file; did you mean random"
    ):
        make_parameters("smoke", {"weights": "Random"})
    with pytest.raises(
        ParameterError, match=r"^parameter weights = 'mine\.pth': no such file; give auto, imagen"
    ):
        make_parameters("smoke", {"weights": "mine.pth"})


def test_the_words_and_the_number_of_layers_are_those_of_the_network():
    assert WEIGHTS[3:] == (*RANDOM,)
    assert make_parameters("smoke", {"grids": [GRID | {"freeze": [len(LAYERS)]}]})
    with pytest.raises(ParameterError, match=f"values: a list of numbers, 0 to {len(LAYERS)}$"):
        make_parameters("smoke", {"grids": [GRID | {"freeze": [len(LAYERS) + 1]}]})
    values = make_parameters("smoke").model_dump(exclude={"svm_layers"})
    assert Parameters(**values).svm_layers == SINGLE_TENSOR


def test_a_sheet_is_in_the_databases_folder_or_where_it_was_written(tmp_path, monkeypatch, profile):
    file = profile("data: db\nsheet: a.csv\nimages: pictures")
    for folder in ("db/pictures", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "db" / "a.csv").touch()
    monkeypatch.chdir(tmp_path / "elsewhere")
    known = make_parameters(file)
    assert known.sheet == str(tmp_path / "db" / "a.csv")
    assert known.images == str(tmp_path / "db" / "pictures")
    (tmp_path / "elsewhere" / "b.csv").touch()
    assert make_parameters(file, {"sheet": "b.csv"}).sheet == str(tmp_path / "elsewhere" / "b.csv")
    (tmp_path / "elsewhere" / "a.csv").touch()
    assert make_parameters(file).sheet == known.sheet  # in the profile: its folder has none
    with pytest.raises(
        ParameterError, match=r"parameter sheet: a\.csv: there are .*db/a\.csv and .*elsewhere"
    ):
        make_parameters(file, {"sheet": "a.csv"})


def test_a_home_folder(monkeypatch, tmp_path, profile):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make_parameters("smoke", {"data": "~/db"}).data == str(tmp_path / "db")
    assert make_parameters(profile("data: ~/db")).data == str(tmp_path / "db")
    assert make_parameters("~/mine.yaml").profile == str(tmp_path / "mine.yaml")
    for name in ("data", "weights", "sheet", "images"):
        with pytest.raises(ParameterError, match=f"parameter {name}: ~nosuchuser/x: nobody .* whole path"):
            make_parameters("smoke", {name: "~nosuchuser/x"})


@pytest.mark.parametrize("text", ["seed", "=3", "seed=["])
def test_a_setting_that_is_none(text):
    with pytest.raises(ParameterError, match="--set"):
        parse_settings([text])


def test_a_runs_name_says_what_differs():
    assert make_parameters("smoke", {"seed": 4}).run_name == "smoke-seed4"
    names = {make_parameters("smoke", {"folds": folds}).run_name for folds in (2, 3, 4)}
    assert len(names) == 3
    assert make_parameters("smoke", {"workers": 7}).run_name == "smoke"
    assert make_parameters("smoke", {"workers": 7, "seed": 4}).run_name == "smoke-seed4"
    for name, value in (("device", "cpu"), ("cache_gigabytes", 1), ("training.momentum", 0.8)):
        assert re.fullmatch("smoke-[0-9a-f]{8}", make_parameters("smoke", {name: value}).run_name)


def test_parameters_are_read_as_they_were_written(tmp_path):
    parameters = make_parameters("quick", {"seed": 5})
    parameters.write(tmp_path / "parameters.yaml")
    assert read_parameters(tmp_path / "parameters.yaml") == parameters
    assert make_parameters(tmp_path / "parameters.yaml").effective == parameters.effective
    (tmp_path / "parameters.yaml").write_text("seed: many", encoding="utf-8")
    with pytest.raises(ParameterError, match="not a run's parameters"):
        read_parameters(tmp_path / "parameters.yaml")
    (tmp_path / "parameters.yaml").write_text("svm_reading: C", encoding="utf-8")
    with pytest.raises(ParameterError, match="parameter 'svm_reading' is unknown"):
        read_parameters(tmp_path / "parameters.yaml")


def test_parameters_that_were_edited_in_a_run_are_refused(tmp_path):
    file = tmp_path / "parameters.yaml"
    make_parameters("quick").write(file)
    text = file.read_text(encoding="utf-8")
    file.write_bytes(text.replace("\n", "\r\n").encode())  # as git may store it: the same content
    assert read_parameters(file) == make_parameters("quick")
    file.write_text(text.replace("folds: 5", "folds: 4"), encoding="utf-8")
    with pytest.raises(ParameterError) as refused:
        read_parameters(file)
    assert str(refused.value) == (
        f"{file}: was edited, but a run's parameters stay as they are; undo that, or make another run of a "
        "copy of the file (`hep2 run --profile COPY.yaml`)"
    )
    assert make_parameters(file).folds == 4  # a copy of it is a profile
    file.write_text("".join(text.splitlines(keepends=True)[1:]), encoding="utf-8")  # as written before 0.1.0
    assert read_parameters(file) == make_parameters("quick")


def test_every_part_that_differs_is_named_with_both_values():
    grids = [GRID, GRID | {"freeze": [139]}]
    kept = make_parameters("smoke", {"grids": grids, "training.momentum": 0.9, "batchnorm": None})
    other = {"grids": [GRID | {"epochs": 2}], "training.momentum": 0.5, "bits": 12, "svm_layers": ["data"]}
    asked = make_parameters("smoke", other)
    grid = {"freeze": [139], "batch_sizes": [8], "learning_rates": [0.01], "epochs": 1, "seeds": 1}
    assert differences(kept.effective, asked.effective) == [
        "bits is nothing there, 12 was asked for",
        "grids.1.epochs is 1 there, 2 was asked for",
        f"grids.2 is {grid} there, nothing was asked for",
        "training.momentum is 0.9 there, 0.5 was asked for",
        f"batchnorm is nothing there, {grid} was asked for",
        f"svm_layers is {list(kept.svm_layers)} there, ['data'] was asked for",
    ]
    assert "training is" not in "".join(differences(asked.effective, kept.effective))
    assert differences(kept.effective, kept.effective) == []


def test_a_number_written_otherwise_and_a_default_written_out_differ_in_nothing(profile):
    plain = make_parameters(profile("seed: 3"))
    written = make_parameters(profile("seed: '3'\nsvm_smallest: -6\ntraining: {l2: 1e-4}\nbits: null"))
    assert differences(plain.effective, written.effective) == []
    assert plain.run_name == written.run_name


def test_seeds_of_chosen_configurations_are_kept_with_a_run(tmp_path):
    parameters = make_parameters("smoke", parse_settings(["chosen_seeds={110: 3, 139: 2}"]))
    assert parameters.chosen_seeds == {110: 3, 139: 2}
    parameters.write(tmp_path / "parameters.yaml")
    assert read_parameters(tmp_path / "parameters.yaml") == parameters
    more = make_parameters("smoke", {"chosen_seeds": {110: 3}})
    assert differences(parameters.effective, more.effective) == [
        "chosen_seeds.139 is 2 there, nothing was asked for"
    ]


def test_a_run_is_smaller_by_what_it_is_allowed_and_not_by_its_name():
    published = make_parameters("published")
    for profile in ("published", "paper"):
        assert make_parameters(profile).smaller_than(published) == []
    assert make_parameters("published", {"data": "aida", "specimens": 10}).smaller_than(published) == []
    assert make_parameters("quick", {"data": "aida"}).smaller_than(published) == [
        *(f"epochs at freeze {depth}: 3 of 10" for depth in (11, 110, 139)),
        "pixels a side: 112 of 224",
    ]
    grid = {"batch_sizes": [16], "learning_rates": [0.01, 0.001], "epochs": 10}
    less = {"grids": [grid | {"freeze": [139]}, grid | {"freeze": [11], "learning_rates": [0.01]}]}
    less |= {"rotations": 1, "svm_values": 10, "svm_layers": ["pool5-7x7_s1"] * 30, "svm_variants": []}
    assert set(make_parameters("published", less | {"chosen_seeds": {}}).smaller_than(published)) == {
        "configurations at freeze 11: 1 of 2",
        "configurations at freeze 110: 0 of 2",
        "epochs at freeze 110: 0 of 10",
        f"layers for the SVM: 1 of {len(SINGLE_TENSOR)}",
        "rotations: 1 of 18",
        "values of C: 10 of 20",
        "ways of the SVM: 0 of 6",
    }


def test_layers_are_named_one_by_one_or_by_a_word():
    assert make_parameters("smoke", {"svm_layers": "single-tensor"}).svm_layers == SINGLE_TENSOR
    assert len(make_parameters("smoke", {"svm_layers": "all"}).svm_layers) == 144
    assert make_parameters("smoke", {"svm_layers": ["data"]}).svm_layers == ("data",)
    with pytest.raises(ParameterError, match="svm_layers"):
        make_parameters("smoke", {"svm_layers": "every"})


def test_a_profile_of_ones_own_is_found_from_any_folder_and_named_without_it(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(profile_values("smoke")), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    parameters = make_parameters("mine.yaml")
    assert parameters.profile == str(tmp_path / "mine.yaml")
    monkeypatch.chdir("/")
    assert make_parameters(parameters.profile) == parameters
    assert re.fullmatch("mine-[0-9a-f]{8}", parameters.run_name)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.yaml").write_text("seed: 0\n", encoding="utf-8")
    with (tmp_path / "there" / "mine.yaml").open("a", encoding="utf-8") as stream:
        yaml.safe_dump(profile_values("smoke"), stream)
    for typed in (tmp_path / "there" / "mine.yaml", tmp_path / "there" / ".." / "mine.yaml"):
        assert make_parameters(typed).run_name == parameters.run_name
        assert make_parameters(str(typed), {"workers": 2}).run_name == parameters.run_name
        assert make_parameters(typed, {"seed": 2}).run_name != parameters.run_name
    assert make_parameters(typed, {"seed": 1}).run_name != make_parameters(typed, {"seed": 2}).run_name


def test_what_can_be_set_of_a_training_is_what_a_training_has():
    options = {field.name: field.default for field in fields(TrainingOptions)}
    assert TrainingParameters().model_dump() == options


def test_every_parameter_has_a_meaning_values_and_a_default():
    told = told_parameters()
    parts = {"grids": GridParameters, "training": TrainingParameters}
    names = [
        *Parameters.model_fields,
        *(f"{whole}.{part}" for whole in parts for part in parts[whole].model_fields),
    ]
    assert sorted(told) == sorted(names)
    for name, text in told.items():
        assert re.fullmatch(r"[A-Z].{10,}?[.] Values: .+?[.] Default: .*?[.]( The paper: .+[.])?", text), name
    assert told["seed"].endswith("Values: 0 to 2147483647. Default: 0.")
    assert "Values: above 0 to 10." not in told["grids.learning_rates"]
    assert "Values: a list of numbers, above 0, up to 10." in told["grids.learning_rates"]
    assert "Values: 0 to below 1. Default: 0.9. The paper: 0.9." in told["training.momentum"]
    assert "Values: 8 to 16. Default: null." in told["bits"]
    assert "Values: C, lambda. Default: C." in told["svm_regularisation"]
    assert "Default: single-tensor." in told["svm_layers"]
    assert "Default: empty." in told["data"]


PRINTED = {  # by parameter, what book/paper-values.yaml calls it
    "folds": ["folds"],
    "rotations": ["rotations.factor"],
    "grids.freeze": ["table2.soft", "table2.medium", "table2.hard"],
    "grids.batch_sizes": ["search.batch_sizes"],
    "grids.learning_rates": ["search.learning_rates"],
    "grids.epochs": ["search.epochs"],
    "training.momentum": ["search.momentum"],
    "svm_values": ["svm.values"],
    "svm_smallest": ["svm.smallest"],
    "svm_largest": ["svm.largest"],
}


def test_what_the_paper_says_of_a_parameter_is_what_it_printed():
    told, paper = told_parameters(), make_parameters("paper").model_dump()
    quoted = {n: text.partition(" The paper: ")[2].removesuffix(".") for n, text in told.items()}
    for name, keys in PRINTED.items():
        values = [value for key in keys for value in np.atleast_1d(printed(key))]
        assert [float(text) for text in quoted[name].split(", ")] == pytest.approx(values), name
    for name, text in quoted.items():
        if re.fullmatch(r"[\d., -]+", text) and "." not in name:  # the paper's profile is the paper's study
            assert float(text) == paper[name], name
    words = {
        "data": "AIDA",
        "weights": "pre-trained",
        "svm_layers": "various layers",
        "svm_variants": "fine-tuned",
    }
    assert {n: text for n, text in quoted.items() if text and not re.match(r"[\d-]", text)} == words | {
        "svm_regularisation": "C"
    }


@pytest.mark.parametrize("profile", sorted(file.stem for file in PROFILES.iterdir()))
def test_a_new_profile_sets_what_another_one_does_and_shows_all_else(profile, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(new_profile("mine", profile), encoding="utf-8")
    first = make_parameters(profile)
    assert make_parameters(file).effective == first.effective
    text = file.read_text(encoding="utf-8")
    unset = re.findall(r"(?m)^#([a-z_0-9.]+):", text)
    assert not set(unset) & set(profile_values(profile))
    assert {*unset, *re.findall(r"(?m)^([a-z_0-9.]+):", text)} >= {*Parameters.model_fields} - {
        "profile",
        "training",
    }
    file.write_text(
        re.sub(r"(?m)^#(?=[a-z_0-9.]+:)", "", text), encoding="utf-8"
    )  # each one set to its default
    assert make_parameters(file).effective == first.effective
    assert max(map(len, text.splitlines())) <= 130
    again = tmp_path / "again.yaml"
    again.write_text(new_profile("again", file), encoding="utf-8")
    assert make_parameters(again).effective == first.effective


def test_a_part_may_be_set_in_a_profile_but_not_beside_its_whole(profile):
    assert make_parameters(profile("training.l2: 1e-3")).training.l2 == 0.001
    with pytest.raises(
        ParameterError, match=r"training is set as a whole, and by its part training\.l2; keep one"
    ):
        make_parameters(profile("training.l2: 1e-3\ntraining: {momentum: 0.5}"))
    with pytest.raises(ParameterError, match=r"'training\.l3' is unknown; did you mean 'training\.l2'"):
        make_parameters(profile("training.l3: 1"))
