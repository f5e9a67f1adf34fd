"""Pre-training: the same losses whoever draws and wherever it was stopped, and a file that is the network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors
import torch

from hep2lib.cli import main
from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.weights import load_weights
from hep2lib.errors import InputError
from hep2lib.pretraining import pretraining, procedural
from hep2lib.pretraining.pretraining import (
    HELD_OUT,
    POOL5,
    PROFILES,
    Learner,
    Recipe,
    brightness_kept,
    held_out,
    log_brightness,
    pretrain,
    readable_brightness,
)

TINY = Recipe(images=50, size=32, classes=4, batch=4, held_out=16)


def losses(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "history.csv").drop(columns="seconds")


def contents(file: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """What a file of weights holds; its head may list the notes in any order."""
    with safetensors.safe_open(file, framework="np") as opened:
        return opened.metadata(), {name: opened.get_tensor(name).tobytes() for name in opened.keys()}  # noqa: SIM118


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A training that nothing disturbed: 12 steps."""
    out = tmp_path_factory.mktemp("trained") / "out"
    assert pretrain(out, TINY, seed=1, threads=1, workers=0) == out / "procedural-1.safetensors"
    return out


def test_the_history_has_every_step(trained):
    history = losses(trained)
    assert history["step"].tolist() == list(range(1, 13))
    assert history["loss"].between(0.1, 20).all()
    assert history["learning_rate"].max() == pytest.approx(2e-3, rel=0.05)
    checked = history["step"][history["validation_accuracy"].notna()]
    assert checked.tolist() == [2, 3, 4, 5, 6, 8, 9, 10, 11, 12]


def test_the_rate_rises_then_falls_as_half_a_cosine():
    recipe = Recipe(images=64 * 1000)
    assert recipe.rate_at(0) == pytest.approx(2e-3 / 61)
    assert recipe.rate_at(60) == pytest.approx(2e-3)
    assert recipe.rate_at(530) == pytest.approx(1e-3)
    assert 0 < recipe.rate_at(999) < 1e-7


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(trained, tmp_path, monkeypatch):
    draw = pretraining.procedural_image

    def interrupted(index, seed, *more):
        if index >= 24 and seed != HELD_OUT:
            raise KeyboardInterrupt
        return draw(index, seed, *more)

    monkeypatch.setattr(pretraining, "CHECKPOINT_EVERY", 0.0)
    monkeypatch.setattr(pretraining, "procedural_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(tmp_path / "out", TINY, seed=1, threads=1, workers=0)
    assert len(losses(tmp_path / "out")) == 6
    assert not (tmp_path / "out" / "procedural-1.safetensors").exists()

    numbers = []
    monkeypatch.setattr(
        pretraining, "procedural_image", lambda index, *more: numbers.append(index) or draw(index, *more)
    )
    pretrain(tmp_path / "out", TINY, seed=1, workers=0)
    assert numbers == [*range(16), *range(24, 48)], "only what was left is drawn, after the held-out images"
    pd.testing.assert_frame_equal(losses(tmp_path / "out"), losses(trained))
    assert contents(tmp_path / "out" / "procedural-1.safetensors") == contents(
        trained / "procedural-1.safetensors"
    )


def test_a_finished_training_writes_its_file_again(trained):
    file = trained / "procedural-1.safetensors"
    before, history = contents(file), losses(trained)
    file.unlink()
    pretrain(trained, TINY, seed=1, workers=0)
    assert contents(file) == before
    pd.testing.assert_frame_equal(losses(trained), history)


def test_the_network_learns_the_formula_and_keeps_brightness(tmp_path, monkeypatch):
    monkeypatch.setattr(procedural, "EXPOSURES", (80.0, 120.0))  # with a smaller range it learns sooner
    recipe = Recipe(images=40 * 16, size=32, classes=2, batch=16, held_out=64)
    path = pretrain(tmp_path / "out", recipe, threads=1, workers=0)
    history = losses(tmp_path / "out")
    assert history["loss"][-5:].mean() < history["loss"][:5].mean() - 0.3
    assert history["validation_accuracy"].iloc[-1] > 0.7, "a half by chance"
    taught, random = brightness_kept(path, recipe)
    assert 0.4 < taught < 1, "a GPU computes in bfloat16"
    assert random < 1, "of so few and small images it may be anything below"


def test_brightness_cannot_be_read_where_it_is_not():
    images = torch.cat([held_out(TINY)[0]] * 4)
    told = torch.rand(len(images), generator=torch.Generator().manual_seed(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "log_brightness", lambda _: told)
        assert readable_brightness(GoogLeNet("torchvision").eval(), images) < 0.2


def test_the_file_is_the_trained_network(trained):
    path = trained / "procedural-1.safetensors"
    assert path.stat().st_size < 12e6
    live = Learner(TINY, 1)
    live.load_state_dict(torch.load(trained / "checkpoint.pt", weights_only=True)["model"])
    live.eval()
    network = GoogLeNet("torchvision", 2).eval()
    words = load_weights(network, path)
    assert "48 procedural images of 32 pixels and 4 formulas" in words
    assert "seed 1" in words
    images = held_out(TINY)[0]
    assert torch.equal(network.preprocess(images), live.network.preprocess(images))
    with torch.no_grad():
        expected, found = (
            net.activations(net.preprocess(images), ("conv1-relu_7x7", "inception_4e-output", POOL5))
            for net in (live.network, network)
        )
    for name, values in expected.items():
        error = (found[name] - values).norm() / values.norm()
        assert error < 0.01, name


@pytest.mark.parametrize(
    ("recipe", "options", "words"),
    [
        (TINY, {"seed": 2}, "seed 1, not 2"),
        (replace(TINY, images=100), {"seed": 1}, "images 50, not 100"),
        (replace(TINY, size=48), {"seed": 1}, "size 32, not 48"),
        (TINY, {"seed": 1, "threads": 2}, "threads 1, not 2"),
    ],
)
def test_the_folder_of_another_training_is_refused(trained, recipe, options, words):
    before = (trained / "checkpoint.pt").stat().st_mtime_ns
    with pytest.raises(InputError, match=words):
        pretrain(trained, recipe, workers=0, **options)
    assert (trained / "checkpoint.pt").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("recipe", "options", "words"),
    [
        (TINY, {"seed": -1}, "seed is -1"),
        (TINY, {"seed": HELD_OUT}, "seed is 4294967296"),
        (TINY, {"threads": 0}, "threads is 0"),
        (replace(TINY, images=39), {}, "images is 39; choose 40"),
    ],
)
def test_a_value_out_of_range_is_refused_before_anything_is_written(tmp_path, recipe, options, words):
    with pytest.raises(InputError, match=words):
        pretrain(tmp_path / "out", recipe, workers=0, **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "photograph.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="holds no pre-training"):
        pretrain(tmp_path, TINY, workers=0)
    with pytest.raises(InputError, match="holds no pre-training"):
        pretrain(tmp_path / "photograph.png", TINY, workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["photograph.png"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged"):
        pretrain(tmp_path, TINY, workers=0)


def test_brightness_is_the_logarithm_of_the_mean():
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    images[1, 0] = 30
    assert log_brightness(images).tolist() == pytest.approx([0, np.log(11)])


def test_the_profiles_are_what_their_names_say():
    assert PROFILES["laptop"].steps == 2700
    assert PROFILES["gpu"].images == 10 * PROFILES["laptop"].images
    assert PROFILES["gpu"].size > PROFILES["laptop"].size


def test_the_command_gives_the_same_losses_where_another_process_draws(
    trained, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(PROFILES, "laptop", replace(TINY, images=1))
    monkeypatch.setattr(pretraining, "brightness_kept", lambda path, recipe: (0.75, 0.5))
    out = tmp_path / "out"
    words = ["pretrain", str(out), "--seed", "1", "--threads", "1", "--images"]
    assert main([*words, "50"]) == 0
    said = f"{out / 'procedural-1.safetensors'}: absolute brightness is read from pool5 with R2 0.750 (random"
    assert said in capsys.readouterr().out
    pd.testing.assert_frame_equal(losses(out), losses(trained))
    assert main([*words, "44"]) == 2
    assert "images 50, not 44" in capsys.readouterr().err
