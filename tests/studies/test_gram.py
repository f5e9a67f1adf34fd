import numpy as np
import pytest
import torch

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.data.images import rotate
from hep2lib.errors import InputError
from hep2lib.studies import gram
from hep2lib.studies.gram import SVMError, gram_matrices, gram_matrix


@pytest.fixture(scope="module")
def features(start, images):
    """Every layer's activations of six images, flattened, in double precision."""
    start.eval()
    with torch.no_grad():
        values = start.activations(start.preprocess(images[:6]), LAYERS)
    return {name: value.flatten(1).double().numpy() for name, value in values.items()}


def test_the_gram_matrix_is_that_of_all_features_at_once(monkeypatch):
    features = torch.randn(7, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    flat = features.flatten(1).double().numpy()
    np.testing.assert_allclose(gram_matrix(features), flat @ flat.T, rtol=1e-13)
    monkeypatch.setattr(gram, "_CHUNK", 7 * 16)
    monkeypatch.setattr(gram, "_TILE", 3)
    chunked = gram_matrix(features)
    np.testing.assert_allclose(chunked, flat @ flat.T, rtol=1e-13)
    np.testing.assert_array_equal(chunked, chunked.T)


# Within little memory a layer is computed in small batches of images, and rounded differently.
@pytest.mark.parametrize(("memory", "tolerance"), [(gram.MEMORY, 1e-12), (2**19, 1e-6)])
def test_all_144_matrices_are_those_of_the_activations(start, images, features, memory, tolerance):
    found = dict(gram_matrices(start, images[:6], LAYERS, memory=memory))
    assert set(found) == set(LAYERS)
    for layer, x in features.items():
        expected = x @ x.T
        atol = tolerance * np.abs(expected).max()
        np.testing.assert_allclose(found[layer], expected, rtol=0, atol=atol, err_msg=layer)
        np.testing.assert_array_equal(found[layer], found[layer].T)


def test_few_layers_do_not_lean_on_others(start, images, features):
    layers = ("conv1-relu_7x7", "inception_3a-output", "pool5-drop_7x7_s1", "output")
    for layer, matrix in gram_matrices(start, images[:6], layers):
        np.testing.assert_allclose(matrix, features[layer] @ features[layer].T, rtol=1e-12, err_msg=layer)


def test_no_more_is_held_than_memory_allows(start, images, monkeypatch):
    held = []
    compute = gram._Work.features

    def watched(self, *given):
        features = compute(self, *given)
        held.append(sum(x.nbytes for x in features.values()))
        return features

    monkeypatch.setattr(gram._Work, "features", watched)
    memory = 2**20
    list(gram_matrices(start, images, ("conv1-7x7_s2", "conv2-3x3", "pool5-7x7_s1"), memory=memory))
    assert max(held) <= memory // 2
    assert len(held) > 10


def test_pooled_features_are_the_channels_means(start, images):
    with torch.no_grad():
        value = start.activations(start.preprocess(images[:6]), ("inception_3b-output",))[
            "inception_3b-output"
        ]
    means = value.double().mean((2, 3)).numpy()
    layers = [layer for layer in LAYERS if layer.startswith("inception_3b")]
    found = dict(gram_matrices(start, images[:6], layers, pooled=True))
    np.testing.assert_allclose(found["inception_3b-output"], means @ means.T, rtol=1e-5)


def test_views_are_rotated_copies_one_after_the_other(start, images):
    both = torch.cat([images[:5], rotate(images[:5], 90.0)])
    ((_, found),) = gram_matrices(start, images[:5], ("pool2-3x3_s2",), views=(0.0, 90.0), memory=2**19)
    ((_, wanted),) = gram_matrices(start, both, ("pool2-3x3_s2",))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("frozen", [11, 110])
def test_behind_kept_activations_the_matrices_are_the_same(start, images, tmp_path, frozen):
    layers = ("inception_5a-output", "pool5-7x7_s1")
    whole = dict(gram_matrices(start, images[:6], layers))
    behind = dict(gram_matrices(start, images[:6], layers, frozen=frozen, cache=tmp_path))
    for layer in layers:
        np.testing.assert_allclose(behind[layer], whole[layer], rtol=1e-12)
    assert all(parameter.requires_grad for parameter in start.parameters())


@pytest.mark.parametrize("damage", [np.nan, np.inf, -np.inf])
def test_features_that_are_no_numbers_name_their_image(damage):
    X = np.random.default_rng(9).normal(size=(6, 4))
    X[3, 1] = damage
    with pytest.raises(SVMError, match="features of image 3 are not finite"):
        gram_matrix(X)


def test_a_damaged_network_names_image_and_layer(start, images):
    import copy

    damaged = copy.deepcopy(start)
    with torch.no_grad():
        damaged["conv2-3x3"].weight[0] = torch.nan
    with pytest.raises(SVMError, match="features of image 0 at conv2-3x3 are not finite"):
        list(gram_matrices(damaged, images[:3], ("pool1-3x3_s2", "conv2-3x3")))


def test_an_unknown_layer_has_a_message(start, images):
    with pytest.raises(InputError, match="there is no layer 'pool9'"):
        list(gram_matrices(start, images[:3], ("pool9",)))
