import pytest

from hep2lib.evaluation.scores import best_tuned
from hep2lib.runs.parameters import ParameterError, make_parameters
from hep2lib.runs.run import block_layers, other_variants, plain_variant, tuned_configuration
from hep2lib.studies.outcomes import LayerChoice
from hep2lib.studies.svm_study import BLOCKS, SINGLE_TENSOR

from ..evaluation.made_outcomes import tuning_outcome

CHOSEN = LayerChoice("conv2-3x3", 1.0, 0.9)


def test_layers_are_named_one_by_one_or_by_a_word():
    assert make_parameters("smoke", {"svm_layers": "single-tensor"}).svm_layers == SINGLE_TENSOR
    assert len(make_parameters("smoke", {"svm_layers": "all"}).svm_layers) == 144
    assert make_parameters("smoke", {"svm_layers": ["data"]}).svm_layers == ("data",)
    with pytest.raises(ParameterError, match="svm_layers"):
        make_parameters("smoke", {"svm_layers": "every"})


def test_what_stands_for_a_depth():
    assert block_layers(make_parameters("smoke", {"svm_layers": "all"})) == BLOCKS
    assert block_layers(make_parameters("smoke", {"svm_layers": ["data"]})) == ("data",)


def test_each_way_differs_from_the_plain_one_by_one_option():
    p = make_parameters("smoke", {"svm_rotations": 6})
    ways = other_variants(p, CHOSEN)
    assert set(ways) == {"pooled", "rotated", "refitted", "other-reading", "early-stopped"}
    plain = plain_variant(p)
    for layers, variant in ways.values():
        fields = [
            name for name in variant.__dataclass_fields__ if getattr(variant, name) != getattr(plain, name)
        ]
        assert len(fields) == 1
        assert layers == (block_layers(p) if fields == ["pooled"] else ("conv2-3x3",))
    assert ways["rotated"][1].rotations == 6
    assert ways["other-reading"][1].reading == "lambda"


def test_only_the_ways_asked_for():
    assert other_variants(make_parameters("smoke", {"svm_variants": []}), CHOSEN) == {}
    asked = make_parameters("smoke", {"svm_variants": ["refitted", "fine-tuned"], "svm_reading": "lambda"})
    assert list(other_variants(asked, CHOSEN)) == ["refitted"]
    assert plain_variant(asked).reading == "lambda"
    with pytest.raises(ParameterError, match="svm_variants"):
        make_parameters("smoke", {"svm_variants": ["whitened"]})


def test_the_tuned_network_changed_more_than_its_classifier():
    study = tuning_outcome()
    found = tuned_configuration(study)
    assert found is not None
    assert found == best_tuned(study)
    for record in study.records:
        if record["trial"]["freeze"] == found.freeze:
            record["trial"]["freeze"] = 139  # now the best one leaves all features as they were
    other = tuned_configuration(type(study)(study.records, study.labels, study.folds))
    assert other is not None
    assert other.freeze not in (139, found.freeze)
    for record in study.records:
        record["trial"]["freeze"] = 139
    assert tuned_configuration(type(study)(study.records, study.labels, study.folds)) is None
