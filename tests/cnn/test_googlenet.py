import copy

import pytest
import torch
from torch.nn import functional

from hep2lib.cnn.googlenet import (
    FREEZE_DEPTHS,
    LAYERS,
    GoogLeNet,
    architecture,
    local_response_normalisation,
)
from hep2lib.cnn.layers import Kind, layer_table
from hep2lib.cnn.weights import load_weights
from hep2lib.errors import InputError

#: The fourteen layers of a block.
BLOCK = (
    *("1x1", "relu_1x1", "3x3_reduce", "relu_3x3_reduce", "3x3", "relu_3x3", "5x5_reduce", "relu_5x5_reduce"),
    *("5x5", "relu_5x5", "pool", "pool_proj", "relu_pool_proj", "output"),
)

#: Where the network is cut for a freeze depth, worked out by hand.
CUTS = {0: 1, 2: 5, 9: 11, 11: 11, 17: 11, 24: 11, 25: 25, 39: 40, 80: 68, 110: 111, 139: 140, 144: 140}


def trainable(module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_there_are_144_layers_in_matlabs_order():
    assert len(LAYERS) == len(set(LAYERS)) == 144
    assert LAYERS[:3] == ("data", "conv1-7x7_s2", "conv1-relu_7x7")
    assert LAYERS[3:11:7] == ("pool1-3x3_s2", "pool2-3x3_s2")
    assert LAYERS[11:25] == tuple(f"inception_3a-{part}" for part in BLOCK)
    assert LAYERS[139:] == ("pool5-7x7_s1", "pool5-drop_7x7_s1", "loss3-classifier", "prob", "output")
    assert all(LAYERS[depth - 1] == name for depth, name in FREEZE_DEPTHS.items())


def test_both_variants_have_the_same_names():
    assert tuple(layer.name for layer in architecture("torchvision")) == LAYERS


@pytest.mark.parametrize(
    ("depth", "free", "frozen"),
    [(11, 5_851_186, 124_416), (110, 2_489_586, 3_486_016), (139, 2_050, 5_973_552)],
)
def test_trainable_parameters_at_the_papers_depths(depth, free, frozen):
    network = GoogLeNet("bvlc")
    network.split(depth)
    assert trainable(network) == free
    assert sum(p.numel() for p in network.parameters()) == free + frozen


def test_every_depth_freezes_the_first_layers_and_cuts_where_one_tensor_flows():
    network = GoogLeNet("bvlc")
    cuts = [cut for cut in range(1, 141) if len(crossing(network.layers, cut)) == 1]
    for depth in (*range(145), 19):
        split = network.split(depth)
        frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
        first = {f"learnable.{name}.{part}" for name in LAYERS[:depth] for part in ("weight", "bias")}
        assert frozen == {name for name, _ in network.named_parameters() if name in first}, depth
        cut = max(cut for cut in cuts if cut <= max(depth, 1))
        while cut + 1 in cuts and not network.layers[cut].parameters:  # moved on over pooling and the like
            cut += 1
        assert split.cut == cut, depth
        assert [*split.prefix.layers, *split.suffix.layers] == list(network.layers)


def crossing(layers, cut: int) -> set[str]:
    """Names of the values that layers after the cut take from layers before it."""
    return {name for layer in layers[cut:] for name in layer.inputs if LAYERS.index(name) < cut}


@pytest.mark.parametrize(("depth", "cut"), CUTS.items())
def test_prefix_and_suffix_make_the_network_bit_for_bit(network, batch, depth, cut):
    split = network.split(depth)
    assert split.cut == cut
    with torch.no_grad():
        assert torch.equal(split.suffix(split.prefix(batch)), network(batch))


def test_a_value_that_lost_its_memory_order_gives_the_same(network, batch):
    prefix, suffix, _ = network.split(11)
    with torch.no_grad():
        value = prefix(batch).contiguous(memory_format=torch.contiguous_format)
        assert torch.equal(suffix(value), network(batch))


def test_the_parts_share_the_networks_parameters():
    network = GoogLeNet("bvlc")
    prefix, suffix, _ = network.split(30)
    own = {id(p) for p in network.parameters()}
    parts = [id(p) for part in (prefix, suffix) for p in part.parameters()]
    assert set(parts) == own
    assert len(parts) == len(own)
    assert trainable(prefix) == 0
    assert any(not p.requires_grad for p in suffix.parameters())


def test_a_prefix_cannot_be_set_to_training():
    network = GoogLeNet("torchvision", batchnorm="train").train()
    prefix, suffix, _ = network.split(19)
    frozen = [name for name in suffix.normalisations if LAYERS.index(name) < 19]
    before = [prefix.state_digest(), *(suffix.normalisations[name].running_mean.clone() for name in frozen)]
    network.train()
    prefix.train()
    suffix.train()(prefix(torch.rand(2, 3, 64, 64)))
    network(torch.rand(2, 3, 64, 64))
    assert len(frozen) == 4
    assert not any(module.training for module in prefix.modules())
    assert suffix.training
    assert prefix.state_digest() == before[0]
    after = [suffix.normalisations[name].running_mean for name in frozen]
    assert all(torch.equal(x, y) for x, y in zip(before[1:], after, strict=True))


@pytest.mark.parametrize("depth", [-1, 145])
def test_an_impossible_depth_is_refused(depth):
    with pytest.raises(InputError, match=f"freeze depth is {depth}; choose 0"):
        GoogLeNet().split(depth)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "caffe"}, "variant 'caffe' is unknown; choose bvlc or torchvision"),
        ({"classes": 0}, "classes is 0"),
        ({"batchnorm": "train"}, "batchnorm 'train' is not possible with variant 'bvlc'"),
        ({"variant": "torchvision", "batchnorm": "on"}, "batchnorm 'on' is not possible"),
    ],
)
def test_impossible_networks_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        GoogLeNet(**arguments)


def test_every_activation_has_the_tabled_shape(network, full_images):
    with torch.no_grad():
        values = network.activations(network.preprocess(full_images[:1]), LAYERS)
    assert tuple(values) == LAYERS
    for row in layer_table(network.layers).itertuples():
        channels, height, width = map(int, row.output.split("x"))
        flat = row.index >= 142
        assert values[row.name].shape == ((1, channels) if flat else (1, channels, height, width)), row.name


def test_activations_are_the_layers_own_values(network, batch):
    names = ["inception_3a-relu_1x1", "inception_3a-1x1", "inception_3a-output", "prob", "output"]
    with torch.no_grad():
        together = network.activations(batch, [*names, "loss3-classifier"])
        logits = network(batch)
        apart = {name: network.activations(batch, [name])[name] for name in names}
    before, after = together["inception_3a-1x1"], together["inception_3a-relu_1x1"]
    assert (before < 0).any()
    assert torch.equal(before.clamp(min=0), after)
    assert torch.equal(together["inception_3a-output"][:, :64], after)
    assert torch.equal(together["loss3-classifier"], logits)
    assert torch.equal(together["prob"], logits.softmax(1))
    assert torch.equal(together["prob"], together["output"])
    assert all(torch.equal(apart[name], together[name]) for name in names)


def test_activations_stop_at_the_deepest_and_leave_out_what_is_not_needed(network, batch, monkeypatch):
    computed = []
    compute = type(network).compute

    def watch(self, layer, inputs):
        computed.append(layer.name)
        return compute(self, layer, inputs)

    monkeypatch.setattr(type(network), "compute", watch)
    with torch.no_grad():
        network.activations(batch[:1], ["inception_3a-pool_proj", "pool1-norm1"])
    stem = [name for name in LAYERS[:11] if "relu" not in name]  # rectifiers work in place
    assert computed == [*stem, "inception_3a-pool", "inception_3a-pool_proj"]


def test_rectifying_in_place_changes_no_gradient(network, batch):
    """Where the convolutions' values are asked for, nothing may be written over."""
    found = []
    for asked in ((), [layer.name for layer in network.layers if layer.kind == Kind.CONVOLUTION]):
        network.zero_grad()
        values = network.activations(batch[:2], ["loss3-classifier", *asked])
        functional.cross_entropy(values["loss3-classifier"], torch.tensor([0, 1])).backward()
        found.append([parameter.grad.clone() for parameter in network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_an_image_has_the_same_values_in_a_batch_of_many_up_to_rounding(network, images):
    """oneDNN chooses its method by the batch: 1.5e-6 of the largest value were measured."""
    many = network.preprocess(images[:, :, :64, :64].repeat(4, 1, 1, 1))
    names = ["pool2-3x3_s2", "inception_5b-output"]
    with torch.no_grad():
        together = network.activations(many, names)
        alone = network.activations(many[10:11], names)
    for name in names:
        assert len(together[name]) == 12
        largest = float(alone[name].max())
        torch.testing.assert_close(together[name][10:11], alone[name], rtol=0, atol=1e-5 * largest)


def test_every_layer_computes_on_the_device_of_its_input(network):
    """PyTorch's meta device stands in for a GPU: an operand left on the CPU is refused."""
    prefix, suffix, _ = network.to("meta").split(83)
    images = torch.empty(2, 3, 224, 224, dtype=torch.uint8, device="meta")
    logits = suffix.train()(prefix(network.preprocess(images)))
    logits.sum().backward()
    assert logits.device.type == "meta"
    assert logits.shape == (2, 2)
    assert suffix["inception_5b-3x3"].weight.grad.device.type == "meta"


def test_training_in_bfloat16_follows_that_in_float32(images):
    gradients = []
    for half in (False, True):
        network = GoogLeNet("bvlc").eval()
        load_weights(network, "random", images=images)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = network(network.preprocess(images))
        assert logits.dtype == (torch.bfloat16 if half else torch.float32)
        functional.cross_entropy(logits.float(), torch.tensor([0, 1, 1])).backward()
        gradients.append([network[name].weight.grad for name in ("conv2-3x3", "inception_4c-5x5")])
    for single, half in zip(*gradients, strict=True):
        assert half.dtype == torch.float32
        assert functional.cosine_similarity(single.flatten(), half.flatten(), dim=0) > 0.9


def test_an_unknown_layer_is_refused(network, batch):
    with pytest.raises(InputError, match="no layer 'inception_3a_output' here; `hep2 layers` lists"):
        network.activations(batch, ["inception_3a_output"])


def test_convolutions_are_found_by_matlabs_name():
    network = GoogLeNet("bvlc")
    assert network["inception_4e-5x5"].weight.shape == (128, 32, 5, 5)
    assert GoogLeNet("torchvision")["inception_4e-5x5"].weight.shape == (128, 32, 3, 3)
    assert network["conv1-7x7_s2"].weight.is_contiguous(memory_format=torch.channels_last)


def test_dropout_draws_from_the_suffixs_own_generator():
    network = GoogLeNet("bvlc").train()
    _, suffix, _ = network.split(139)
    value = torch.rand(4, 1024, 1, 1)
    outputs = []
    for seed in (1, 1, 2):
        suffix.generator = torch.Generator().manual_seed(seed)
        outputs.append(suffix(value))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_dropout_keeps_the_mean_and_zeroes_its_share():
    network = GoogLeNet("bvlc").train()
    _, suffix, _ = network.split(139)
    suffix.generator = torch.Generator().manual_seed(0)
    value = suffix.activations(torch.ones(64, 1024, 1, 1), ["pool5-drop_7x7_s1"])["pool5-drop_7x7_s1"]
    assert abs((value == 0).float().mean() - 0.4) < 0.01
    assert torch.allclose(value[value > 0], torch.tensor(1 / 0.6))


def test_training_from_cached_values_is_training_bit_for_bit(images):
    labels = torch.tensor([0, 1, 1])
    digests = []
    for cached in (True, False):
        network = GoogLeNet("bvlc").train()
        prefix, suffix, _ = network.split(83)
        suffix.generator = torch.Generator().manual_seed(3)
        batch = network.preprocess(images)
        value = prefix(batch).detach() if cached else None
        optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 1e-3, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            logits = suffix(value if cached else prefix(batch))
            functional.cross_entropy(logits, labels).backward()
            optimizer.step()
        digests.append(network.state_digest())
    assert digests[0] == digests[1] != GoogLeNet("bvlc").state_digest()


def test_the_digest_follows_the_values():
    network = GoogLeNet("bvlc")
    twin = copy.deepcopy(network)
    assert twin.state_digest() == network.state_digest()
    with torch.no_grad():
        twin["inception_5b-1x1"].bias[3] += 1e-6
    assert twin.state_digest() != network.state_digest()


def test_other_image_sizes_are_possible(network):
    with torch.no_grad():
        assert network(torch.rand(1, 3, 320, 256)).shape == (1, 2)


def test_normalised_values_computed_by_hand():
    x = torch.tensor([10.0, 0.0, 20.0, 0.0, 0.0, 30.0]).view(1, 6, 1, 1)
    energies = [500, 500, 500, 1300, 1300, 900]
    expected = [v / (1 + 1e-4 / 5 * e) ** 0.75 for v, e in zip(x.flatten().tolist(), energies, strict=True)]
    assert torch.allclose(local_response_normalisation(x).flatten(), torch.tensor(expected), rtol=1e-6)


def test_normalisation_and_its_gradient_agree_with_pytorchs_form():
    x = (torch.randn(2, 64, 5, 7, generator=torch.Generator().manual_seed(0)) * 200).requires_grad_()
    other = x.detach().clone().requires_grad_()
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    ours = local_response_normalisation(x)
    theirs = functional.local_response_norm(other, 5, 1e-4, 0.75, 1.0)
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-4)
    assert torch.allclose(x.grad, other.grad, rtol=1e-4, atol=1e-5)


def test_normalisation_keeps_the_memory_order_and_half_precision_computed_in_float32():
    x = (torch.randn(1, 8, 4, 4) * 300).contiguous(memory_format=torch.channels_last)
    assert local_response_normalisation(x).is_contiguous(memory_format=torch.channels_last)
    half = local_response_normalisation(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), local_response_normalisation(x), rtol=2e-2, atol=1e-2)
