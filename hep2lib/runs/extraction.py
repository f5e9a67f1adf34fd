"""A run's SVM studies: the paper's, and the other ways to do it that the paper leaves open."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.evaluation.strategies import best_tuned
from hep2lib.runs.parameters import Parameters
from hep2lib.studies.outcome import Configuration, FineTuningOutcome
from hep2lib.studies.svm import Reading
from hep2lib.studies.svm_outcome import LayerChoice
from hep2lib.studies.svm_study import BLOCKS, SVMVariant


def plain_variant(parameters: Parameters) -> SVMVariant:
    """The study as the paper describes it, with the run's reading of its values."""
    return SVMVariant(reading=parameters.svm_reading)


def other_variants(
    parameters: Parameters, chosen: LayerChoice
) -> Mapping[str, tuple[Sequence[str], SVMVariant]]:
    """Layers and options of each other way that a run asks for, besides fine-tuned features, by name.

    Args:
        parameters: the run's.
        chosen: what the plain study chose. Pooled features are tried on every block's output, all else on the
            chosen layer.
    """
    plain = plain_variant(parameters)
    other: Reading = "lambda" if plain.reading == "C" else "C"
    variants = {
        "pooled": (block_layers(parameters), replace(plain, pooled=True)),
        "rotated": ((chosen.layer,), replace(plain, rotations=parameters.svm_rotations)),
        "refitted": ((chosen.layer,), replace(plain, refitted=True)),
        "other-reading": ((chosen.layer,), replace(plain, reading=other)),
        "early-stopped": ((chosen.layer,), replace(plain, solver="early-stopped")),
    }
    return {name: what for name, what in variants.items() if name in parameters.svm_variants}


def block_layers(parameters: Parameters) -> tuple[str, ...]:
    """Those of the run's layers that stand for a depth: blocks' outputs, or all, if none of them is one."""
    return tuple(layer for layer in parameters.svm_layers if layer in BLOCKS) or parameters.svm_layers


def tuned_configuration(study: FineTuningOutcome) -> Configuration | None:
    """The best fine-tuning that changed more than the classifier, or None if there is none.

    Args:
        study: the fine-tuning study; with layers up to inception_5b-output frozen, all features stay as they
            were.
    """
    last = LAYERS.index("inception_5b-output")
    best = best_tuned(study)
    if best.freeze < last:
        return best
    depths = {record["trial"]["freeze"] for record in study.records}
    choices = [study.best(depth) for depth in sorted(depths) if depth < last]
    return max(choices, key=lambda choice: choice.validation_auc, default=None)
