"""Which weights are the better start where ImageNet's cannot be had: procedural or random ones?

    python benchmarks/weights.py OUT --procedural A.safetensors B.safetensors C.safetensors
    python benchmarks/weights.py OUT --procedural ... --imagenet FILE --write

Every start is put to the same studies on three simulated databases that had no part in any choice: linear SVMs
on the activations of four layers, flattened and pooled, and fine-tuning at the paper's three freezing depths,
each with the same values of C, rates and epochs, chosen on validation images. Random weights are calibrated, one
start a seed, as many as there are procedural ones. Resumable: what OUT has is not computed again; about
two hours on 2 cores. --write keeps the table and the pictures of the weights for the book.

Rule for the default, written down before any result: procedural weights are shipped, and `auto` takes them
where ImageNet's cannot be had, if they are better by an interval that leaves out zero in at least half of the
rows and worse in none. The last line says which.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.weights import load_weights
from hep2lib.data.database import read_database
from hep2lib.data.folds import specimen_folds
from hep2lib.data.images import load_images
from hep2lib.evaluation.baselines import handmade_only
from hep2lib.evaluation.starts import Start, compare_starts, kept_pictures, write_comparison
from hep2lib.runs.run import CALIBRATION_IMAGES
from hep2lib.simulator.writing import simulated_images, write_database
from hep2lib.studies.fine_tuning import Grid, fine_tuning_study
from hep2lib.studies.inputs import StudyInputs
from hep2lib.studies.svm_study import svm_study
from hep2lib.studies.trial import SVMVariant, TrialStore
