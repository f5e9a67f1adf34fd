import errno
from dataclasses import asdict
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from PIL import Image

from hep2lib.cnn.googlenet import LAYERS, GoogLeNet
from hep2lib.cnn.weight_files import write_tensors
from hep2lib.cnn.weights import load_weights
from hep2lib.data.folds import FoldError
from hep2lib.errors import DatabaseError, InputError
from hep2lib.files import project_root
from hep2lib.runs import parameters as parameters_module
from hep2lib.runs import run as run_module
from hep2lib.runs.parameters import ParameterError, make_parameters, profile_values
from hep2lib.runs.run import Run, RunFolderError, open_run
from hep2lib.simulator.simulation import VERSION
from hep2lib.simulator.writing import write_database
from hep2lib.studies.svm_study import BLOCKS, SVMVariant

from ..data.handmade import aida_rows, write_aida
from ..evaluation.made_outcomes import svm_outcome, tuning_outcome

NOTHING = SimpleNamespace(records=[])  # a study without trials


@pytest.fixture
def database(tmp_path):
    return str(write_aida(tmp_path / "data", aida_rows(specimens=12)))


def test_the_folds_are_kept_in_the_run_and_checked_when_read(tmp_path, database):
    folder = tmp_path / "run"
    folds = open_run(folder, "smoke", data=database).folds
    assert len(folds) == 2
    again = open_run(folder, "smoke", data=database).folds
    assert [fold.test.tolist() for fold in again] == [fold.test.tolist() for fold in folds]
    file = folder / "folds.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(FoldError, match=r"folds\.csv"):
        _ = open_run(folder, "smoke", data=database).folds


def test_the_simulated_database_may_be_written_by_a_process_that_was_faster(tmp_path, monkeypatch):
    def beaten(folder, **options):
        write_database(folder, **options, workers=1)
        raise OSError(errno.ENOTEMPTY, "Directory not empty")  # as where another process has put it there

    monkeypatch.setattr(run_module, "project_root", lambda *words: tmp_path)
    monkeypatch.setattr(run_module, "write_database", beaten)
    run = Run(tmp_path / "run", make_parameters("smoke", {"specimens": 10}))
    assert run.database["specimen"].nunique() == 10
    monkeypatch.setattr(
        run_module, "write_database", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        _ = Run(tmp_path / "run", make_parameters("smoke", {"specimens": 11})).database


def test_a_run_with_other_parameters_is_refused(tmp_path):
    run = open_run(tmp_path / "run", "smoke", seed=1, device="cpu")
    for same in (
        ((), {}),
        (("smoke",), {"seed": 1, "device": "cpu"}),
        ((), {"seed": 1}),
        ((None,), {"folds": 2}),
    ):
        assert open_run(tmp_path / "run", *same[0], **same[1]).parameters == run.parameters
    others = [
        (("smoke",), {"device": "cpu"}, ["seed is 1 there, 0 was asked for"]),
        ((), {"seed": 2}, ["seed is 1 there, 2 was asked for"]),
        ((), {"device": "auto"}, ["device is 'cpu' there, 'auto' was asked for"]),
        ((), {"cache_gigabytes": 2}, ["cache_gigabytes is 0.0 there, 2.0 was asked for"]),
        (
            ("quick",),
            {},
            ["seed is 1 there", "specimens is 16 there, 100 was asked for", "grids.1.epochs is 1 there"],
        ),
    ]
    for profile, settings, lines in others:
        with pytest.raises(
            RunFolderError, match=r"the run in this folder has other parameters:\n"
        ) as refused:
            open_run(tmp_path / "run", *profile, **settings)
        assert [line for line in lines if f"\n  {line}" not in str(refused.value)] == []
        assert "profile is" not in str(refused.value)


def test_a_run_goes_on_with_as_many_workers_as_are_asked_for_now(tmp_path):
    folder = tmp_path / "run"
    open_run(folder, "smoke", workers=1)
    for asked, used in (({}, 1), ({"workers": 2}, 2), ({"workers": 0}, 0), ({}, 1)):
        assert open_run(folder, **asked).parameters.workers == used
    assert open_run(folder, "smoke", workers=3).parameters.workers == 3
    assert open_run(folder, "smoke").parameters.workers == 1  # as the profile says now


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear", encoding="utf-8")
    with pytest.raises(RunFolderError, match="the folder is not empty and holds no run"):
        open_run(tmp_path, "smoke")
    with pytest.raises(RunFolderError, match="there is a file of that name"):
        open_run(tmp_path / "letter.txt", "smoke")


def refused(folder, kind, words, **settings):
    with pytest.raises(kind, match=words):
        open_run(folder, "smoke", **settings)
    return not folder.exists()


def test_what_is_refused_leaves_no_folder(tmp_path, database, monkeypatch):
    run = tmp_path / "run"
    assert refused(run, InputError, "no such folder", data=tmp_path / "nowhere")
    assert refused(run, InputError, r"nowhere\.pth.: no such file", weights=tmp_path / "nowhere.pth")
    (tmp_path / "letter.pth").write_text("Dear", encoding="utf-8")
    assert refused(run, InputError, r"letter\.pth", weights=tmp_path / "letter.pth", data=database)
    assert refused(run, FoldError, "specimens", data=database, folds=40)
    assert refused(run, InputError, "no such column|column", data=database, label_column="Verdict")
    assert refused(run, InputError, r"truth\.xlsx", data=database, sheet="truth.xlsx")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert refused(run, RunFolderError, "device cuda:1: torch finds no such GPU", device="cuda:1")
    image = next((tmp_path / "data" / "aida_project_database").iterdir())
    image.write_bytes(image.read_bytes()[:-200])  # its header is whole
    assert refused(run, DatabaseError, image.name, data=database)


def test_a_folder_that_was_there_stays(tmp_path, database):
    run = tmp_path / "run"
    run.mkdir()
    assert not refused(run, FoldError, "specimens", data=database, folds=40)
    assert list(run.iterdir()) == []


def test_a_run_keeps_out_of_what_is_read(tmp_path, database):
    data = tmp_path / "data"
    (tmp_path / "link").symlink_to(data, target_is_directory=True)
    for folder in (data / "run", tmp_path / "link" / "runs" / "mine", project_root() / "book" / "mine"):
        assert refused(folder, RunFolderError, "lies in .*; choose another folder", data=database)


def test_a_run_means_the_same_files_wherever_it_is_opened(tmp_path, database, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opened = open_run("run", "smoke", data="data", images="aida_project_database")
    assert opened.folder == tmp_path / "run"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = open_run("../run", "smoke", data="../data", images="aida_project_database")
    assert again.parameters == opened.parameters
    assert again.parameters.data == database
    assert again.database["path"].tolist() == opened.database["path"].tolist()


def test_what_is_not_said_is_the_profiles_and_then_the_runs(tmp_path, database):
    profile = tmp_path / "mine.yaml"
    values = profile_values("smoke") | {"data": "data", "seed": 5}
    profile.write_text(yaml.safe_dump(values), encoding="utf-8")
    run = open_run(tmp_path / "run", str(profile), data=None, weights=None, seed=None)
    assert (run.parameters.data, run.parameters.seed) == (database, 5)
    again = open_run(tmp_path / "run", str(profile), data=None, weights=None, seed=None)
    assert again.parameters == run.parameters
    off = open_run(tmp_path / "off", "smoke", batchnorm=None)
    assert off.parameters.batchnorm is None


def test_a_profile_that_changed_is_not_taken_for_the_one_a_run_was_named_after(tmp_path, monkeypatch):
    (tmp_path / "notebooks" / "profiles").mkdir(parents=True)
    shipped, mine = tmp_path / "notebooks" / "profiles" / "smoke.yaml", tmp_path / "mine.yaml"
    values = profile_values("smoke")
    for module in (run_module, parameters_module):
        monkeypatch.setattr(module, "project_root", lambda *words: tmp_path)
    for file in (shipped, mine):
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
    first = open_run("", mine)
    assert first.folder.parent == tmp_path / "runs"
    assert open_run("", "smoke").folder == tmp_path / "runs" / "smoke"
    for file in (shipped, mine):
        file.write_text(yaml.safe_dump(values | {"image_size": 96}), encoding="utf-8")
    assert open_run("", mine).folder not in (first.folder, tmp_path / "runs" / "smoke")
    for asked in (("", "smoke"), (first.folder, mine), (tmp_path / "runs" / "smoke", mine)):
        with pytest.raises(RunFolderError, match=r"\n  image_size is 64 there, 96 was asked for\n"):
            open_run(*asked)
    assert open_run(first.folder).parameters.image_size == 64
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.yaml", "notebooks", "runs"]


def test_a_profile_of_ones_own_makes_one_run_wherever_it_lies_and_is_named_from(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "project_root", lambda *words: tmp_path / "clone")
    for folder in ("a", "b/c"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "mine.yaml").write_text(
            yaml.safe_dump(profile_values("smoke")), encoding="utf-8"
        )
    found = set()
    for cwd, typed in (
        ("a", "mine.yaml"),
        ("b", "c/mine.yaml"),
        ("b/c", "../../a/mine.yaml"),
        ("b", "./c/mine.yaml"),
    ):
        monkeypatch.chdir(tmp_path / cwd)
        for name in (typed, str(tmp_path / cwd / typed), tmp_path / cwd / typed):
            found.add(open_run("", name, seed=3).folder)
    (folder,) = found
    assert folder.parent == tmp_path / "clone" / "runs"
    assert folder.name.startswith("mine-")
    assert [[file.name for file in (tmp_path / where).iterdir()] for where in ("a", "b/c")] == [
        ["mine.yaml"]
    ] * 2


def test_captions_name_a_weights_file_without_its_folder(tmp_path, database):
    file = tmp_path / "mine.safetensors"
    network = GoogLeNet(variant="torchvision", classes=2)
    load_weights(network, "random-matlab")
    write_tensors(file, network.state_dict(), {})
    run = open_run(tmp_path / "run", "smoke", data=database, weights=file)
    assert "; weights mine.safetensors; " in run.short_statement
    assert "; profile smoke, run seed 0; device cpu." in run.statement
    assert str(tmp_path) not in run.statement


@pytest.mark.parametrize(("reachable", "used"), [(True, "imagenet"), (False, "procedural")])
def test_which_weights_auto_means_is_settled_once_and_said(tmp_path, monkeypatch, reachable, used):
    monkeypatch.setattr("hep2lib.cnn.weights.imagenet_available", lambda: reachable)
    monkeypatch.setattr("hep2lib.cnn.weights.PROCEDURAL", tmp_path / "file")
    (tmp_path / "file").touch()  # whether it is there is another matter
    weights = open_run(tmp_path / "run", "smoke", weights="auto").weights
    assert (weights["asked"], weights["used"]) == ("auto", used)
    assert ("could not be reached" in weights["reason"]) != reachable
    monkeypatch.setattr("hep2lib.cnn.weights.imagenet_available", lambda: not reachable)
    assert open_run(tmp_path / "run").weights == weights


def test_without_the_file_of_procedural_weights_a_run_starts_from_random_ones(tmp_path, monkeypatch):
    monkeypatch.setattr("hep2lib.cnn.weights.imagenet_available", lambda: False)
    monkeypatch.setattr("hep2lib.cnn.weights.PROCEDURAL", tmp_path / "missing.safetensors")
    missing = open_run(tmp_path / "run", "smoke", weights="auto").weights
    assert missing["used"] == "random"
    assert missing["reason"].endswith("and missing.safetensors is missing beside the package's code")
    bvlc = open_run(tmp_path / "bvlc", "smoke", weights="auto", variant="bvlc").weights
    assert (bvlc["used"], "bvlc variant" in bvlc["reason"]) == ("random", True)


def test_random_weights_are_never_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("hep2lib.cnn.weights.imagenet_available", lambda: True)
    assert open_run(tmp_path / "run", "smoke", weights="random").weights["used"] == "random"


def test_random_weights_are_drawn_once_and_kept(tmp_path, monkeypatch):
    drawn = open_run(tmp_path / "run", "smoke", weights="random").network
    assert "16 simulated images that belong to no database; seed 0" in drawn.provenance.description
    monkeypatch.setattr(run_module, "load_weights", None)  # a second drawing would fail
    kept = open_run(tmp_path / "run", "smoke").network
    assert kept.state_digest() == drawn.state_digest()
    assert kept.provenance == drawn.provenance


@pytest.mark.parametrize(
    ("precision", "device", "faster", "warned"),
    [
        ("bf16", "cpu", False, True),
        ("bf16", "cpu", True, False),
        ("fp32", "cpu", False, False),
        ("bf16", "cuda", False, False),
    ],
)
def test_bf16_on_a_processor_without_it_is_advised_against(
    tmp_path, monkeypatch, precision, device, faster, warned
):
    monkeypatch.setattr("hep2lib.runs.run.bf16_is_faster", lambda: faster)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    run = open_run(tmp_path / "run", "smoke", **{"training.precision": precision, "device": device})
    assert ("training.precision=fp32" in run.advice) is warned


@pytest.fixture
def studied(tmp_path, monkeypatch):
    """Opens a run whose studies are made up, or say how they were started."""

    def open_one(**settings):
        run = open_run(tmp_path / f"run{len(list(tmp_path.iterdir()))}", "smoke", **settings)
        run.__dict__ |= {"inputs": None, "svm": svm_outcome(), "fine_tuning": tuning_outcome()}
        run.tuned_networks = lambda configuration: [configuration]
        return run

    def started(inputs, store, layers, grid, variant, **networks):
        return layers, variant, networks

    monkeypatch.setattr(run_module, "svm_study", started)
    return open_one


def test_each_way_differs_from_the_plain_one_by_one_option(studied):
    run = studied(svm_rotations=6, svm_layers="all")
    ways = run.svm_variants
    names = {"pooled", "rotated", "refitted", "other-regularisation", "early-stopped", "fine-tuned"}
    assert set(ways) == names
    tuned = run.tuned_configuration
    behind = [layer for layer in BLOCKS if LAYERS.index(layer) >= tuned.freeze]
    for name, (layers, variant, networks) in ways.items():
        differing = [key for key, value in asdict(variant).items() if value != asdict(SVMVariant())[key]]
        assert len(differing) == (name != "fine-tuned")
        expected = {"pooled": BLOCKS, "fine-tuned": behind}.get(name, [run.svm.best().layer])
        assert list(layers) == list(expected)
        assert bool(networks) == (name == "fine-tuned")
    assert ways["rotated"][1].rotations == 6
    assert ways["other-regularisation"][1].regularisation == "lambda"
    assert ways["fine-tuned"][2] == {"networks": [tuned], "frozen": tuned.freeze}


def frozen_up_to(run, freeze):
    """All trainings of the run's study moved to one depth."""
    study = run.fine_tuning
    for record in study.records:
        record["trial"]["freeze"] = freeze
    run.fine_tuning = type(study)(study.records, study.labels, study.folds)
    return run


@pytest.mark.parametrize(
    ("freeze", "asked", "changed"),
    [
        (0, ["pool2-3x3_s2", "inception_5b-output"], ["pool2-3x3_s2", "inception_5b-output"]),
        (11, ["pool2-3x3_s2", "inception_3a-output"], ["inception_3a-output"]),
        (110, "all", ["inception_5a-output", "inception_5b-output", "pool5-7x7_s1"]),
        # Behind the last convolution nothing is learnt that these layers pass on.
        (136, "all", ["inception_5b-output", "pool5-7x7_s1"]),
        (137, "all", None),
        (139, "all", None),
        # A branch that follows in the list, but not in the network: relu_1x1 is behind 1x1 alone.
        (127, ["inception_5b-relu_1x1", "inception_5b-3x3"], ["inception_5b-3x3"]),
        (110, ["data", "conv1-7x7_s2"], None),
        (110, ["inception_3a-output"], None),
    ],
)
def test_fine_tuned_features_are_those_of_layers_that_were_tuned(studied, freeze, asked, changed):
    run = frozen_up_to(studied(svm_layers=asked, svm_variants=["fine-tuned"]), freeze)
    found = run.svm_variants
    assert (list(found["fine-tuned"][0]) if found else None) == changed


def test_no_network_is_trained_again_for_layers_that_it_left_as_they_were(studied):
    run = frozen_up_to(studied(svm_layers=["data"]), 110)
    run.tuned_networks = None
    assert "fine-tuned" not in run.svm_variants


def test_without_an_output_of_a_block_every_layer_stands_for_a_depth(studied):
    assert studied(svm_layers=["data"]).svm_variants["pooled"][0] == ("data",)


def test_other_random_weights_give_other_svms_and_other_weights_none(studied, monkeypatch):
    monkeypatch.setattr(run_module, "replace", lambda one, **new: new.get("network", SVMVariant()))
    monkeypatch.setattr(
        run_module, "svm_study", lambda network, store, layers, grid, variant: (network, layers)
    )
    run = studied(weights="random", seed=4)
    for number, record in enumerate(run.fine_tuning.records):
        record["trial"]["seed"] = 4 + number % 3
    run._start = lambda seed: f"network {seed}"
    layers = (run.svm.best().layer,)
    assert run.svm_restarted == [("network 5", layers), ("network 6", layers)]
    taught = studied(weights="auto")
    taught.__dict__ |= {"weights": {"used": "imagenet"}, "fine_tuning": run.fine_tuning}
    assert taught.svm_restarted == []


def test_only_the_ways_asked_for(studied):
    assert studied(svm_variants=[]).svm_variants == {}
    asked = studied(svm_variants=["refitted"], svm_regularisation="lambda")
    assert {name: way[1] for name, way in asked.svm_variants.items()} == {
        "refitted": SVMVariant(regularisation="lambda", refitted=True)
    }
    with pytest.raises(ParameterError, match="svm_variants"):
        make_parameters("smoke", {"svm_variants": ["whitened"]})


def test_the_tuned_network_changed_more_than_its_classifier(studied):
    run = studied()
    study = run.fine_tuning
    found = run.tuned_configuration
    assert found is not None
    assert found == study.best(rotated=None)
    for record in study.records:
        if record["trial"]["freeze"] == found.freeze:
            record["trial"]["freeze"] = 139  # now the best one leaves all features as they were
    run.fine_tuning = type(study)(study.records, study.labels, study.folds)
    other = run.tuned_configuration
    assert other is not None
    assert other.freeze not in (139, found.freeze)
    for record in study.records:
        record["trial"]["freeze"] = 139
    run.fine_tuning = type(study)(study.records, study.labels, study.folds)
    assert run.tuned_configuration is None
    assert "fine-tuned" not in run.svm_variants


def test_a_run_names_a_simulated_database_by_its_origin_beside_its_checksum(tmp_path):
    write_database(tmp_path / "a", 12, 3, scale=0.1)
    write_database(tmp_path / "b", 12, 3, scale=0.1, masks=True)
    picture = next((tmp_path / "b").rglob("*.bmp"))
    Image.open(picture).save(
        picture.with_suffix(".png")
    )  # as another library might: other bytes, same pixels
    picture.with_suffix(".png").replace(picture)
    known = []
    for name in "ab":
        run = Run(tmp_path / f"run {name}", make_parameters("smoke", {"data": str(tmp_path / name)}))
        run.network, run.fine_tuning, run.svm = GoogLeNet(classes=2), NOTHING, NOTHING
        known.append(run.describe({})["database"])
    assert known[0]["simulation"] == known[1]["simulation"]
    assert known[0]["simulation"].startswith(f"version {VERSION}, parameters ")
    assert known[0]["simulation"].endswith(", seed 3")
    assert known[0]["sha256"] != known[1]["sha256"]


def test_a_run_says_where_its_studies_were_computed(tmp_path):
    run = Run(tmp_path / "run", make_parameters("smoke", {"data": str(write_aida(tmp_path / "data"))}))
    run.network = GoogLeNet(classes=2)
    for devices, said in (
        (["cpu", "cpu"], "cpu"),
        (["NVIDIA H100", "NVIDIA H100"], "NVIDIA H100 for the studies, cpu for the notebooks"),
        (["NVIDIA H100", "cpu"], "NVIDIA H100, cpu for the studies, cpu for the notebooks"),
    ):
        run.fine_tuning, run.svm = (SimpleNamespace(records=[{"device": device}]) for device in devices)
        about = run.describe({})
        assert about["device"] == said
        assert f"device {said}." in about["statement"]


def test_folds_that_cannot_be_judged_are_refused_before_anything_is_there(tmp_path):
    data = write_aida(tmp_path / "data", aida_rows(specimens=20))
    with pytest.raises(FoldError, match=r"5 folds divide .* 7 specimens with negative .* --set folds=3"):
        open_run(tmp_path / "run", "smoke", data=str(data), folds=5)
    assert not (tmp_path / "run").exists()
    assert open_run(tmp_path / "run", "smoke", data=str(data), folds=3).parameters.folds == 3


def test_a_run_says_how_its_database_was_read(tmp_path):
    rows = [(row[0], "none" if row[2] == "negative" else "Nucleolar") for row in aida_rows(specimens=12)]
    data = write_aida(tmp_path / "data", rows, ("ImageFileName", "StainingPatterns"))
    options = {"label_column": "StainingPatterns", "specimen_pattern": r"^(\d+)_", "negative": "none"}
    for given in ({}, {"sheet": str(next(data.glob("*.csv"))), "bits": 12}):
        run = Run(tmp_path / "run", make_parameters("smoke", {"data": str(data), **options, **given}))
        run.network, run.fine_tuning, run.svm = GoogLeNet(classes=2), NOTHING, NOTHING
        sheet = {"sheet": next(data.glob("*.csv")).name, "bits": 12} if given else {}
        assert run.describe({})["database"]["read with"] == options | sheet
    run = Run(tmp_path / "run", make_parameters("smoke", {"data": str(write_aida(tmp_path / "plain"))}))
    run.network, run.fine_tuning, run.svm = GoogLeNet(classes=2), NOTHING, NOTHING
    assert "read with" not in run.describe({})["database"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"asked": "auto"}', '{"asked": 1, "used": 2, "reason": 3}']
)
def test_damaged_notes_on_the_weights_are_set_aside_and_settled_again(tmp_path, database, content, capsys):
    weights = open_run(tmp_path / "run", "smoke", data=database).weights
    file = tmp_path / "run" / "weights.json"
    file.write_text(content, encoding="utf-8")
    assert open_run(tmp_path / "run", "smoke", data=database).weights == weights
    assert f"{file}: not what was written there; it is set aside" in capsys.readouterr().err
    assert file.with_name("weights.json.damaged").read_text(encoding="utf-8") == content


@pytest.mark.parametrize("name", ["network-*.safetensors", "random-*.json"])
@pytest.mark.parametrize("part", [slice(0, 200), slice(0, 0), slice(0, -2)])
def test_a_damaged_start_network_is_drawn_again(tmp_path, database, capsys, name, part):
    first = open_run(tmp_path / "run", "smoke", data=database).network
    (file,) = (tmp_path / "run" / "cache").glob(name)
    whole = file.read_bytes()
    file.write_bytes(whole[part])
    again = open_run(tmp_path / "run", "smoke", data=database).network
    assert again.state_digest() == first.state_digest()
    assert again.provenance == first.provenance
    assert file.read_bytes() == whole
    assert f"{file}: not what was written there; it is set aside" in capsys.readouterr().err


def test_the_cache_holds_the_images_and_the_start_network_once(tmp_path, database):
    run = open_run(tmp_path / "run", "smoke", data=database)
    run.inputs.for_workers()
    kinds = [file.name.partition("-")[0] for file in (tmp_path / "run" / "cache").iterdir()]
    assert sorted(kinds) == ["images", "index.json", "network", "random"]


@pytest.mark.parametrize(
    ("columns", "simulated", "facts"),
    [
        ({}, False, []),
        ({"specimen": ["a", "a", "b"]}, False, ["fields"]),
        ({"pattern": ["", "", "speckled"], "intensity": ["", "", ""]}, False, ["patterns"]),
        ({"pattern": ["none", "", ""]}, False, []),  # of a negative image
        ({"intensity": ["0", "", "2+"]}, False, ["grades"]),
        ({"specimen": ["a", "a", "b"], "pattern": ["", "x", "y"]}, True, ["simulated", "patterns", "fields"]),
    ],
)
def test_what_a_database_has_is_known(tmp_path, columns, simulated, facts):
    run = Run(tmp_path, make_parameters("smoke"))
    plain = {"label": [0, 1, 1], "specimen": ["a", "b", "c"], "pattern": ["", "", ""]}
    run.database = pd.DataFrame(plain | columns)
    run.database.attrs["simulated"] = simulated
    assert run.facts == facts
