"""A run: one folder, its parameters, and everything that follows from them."""

import difflib
import json
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from hep2lib.cnn.googlenet import LAYERS, GoogLeNet, Provenance, architecture
from hep2lib.cnn.weight_files import WeightsError
from hep2lib.cnn.weights import RANDOM, best_weights, load_weights
from hep2lib.data.database import database_checksum, read_database
from hep2lib.data.folds import Fold, read_folds, specimen_folds, write_folds
from hep2lib.data.images import image_file
from hep2lib.errors import DatabaseError, InputError, some
from hep2lib.evaluation.baselines import image_headers
from hep2lib.files import (
    BESIDE,
    find_kept,
    named_run,
    parameters_of,
    project_root,
    set_aside,
    typed_path,
    write_json,
)
from hep2lib.runs import records
from hep2lib.runs.archive import CODECHECK
from hep2lib.runs.freshness import RUN, recorded, typed_run
from hep2lib.runs.pairs import FACTS
from hep2lib.runs.parameters import (
    MAY_DIFFER,
    TEXT_NEEDED,
    WEIGHTS,
    ParameterError,
    Parameters,
    differences,
    make_parameters,
    read_parameters,
)
from hep2lib.runs.publish import Publication
from hep2lib.simulator.writing import simulated_images, write_database
from hep2lib.sources import code_digest, commit
from hep2lib.studies import fine_tuning as tuning
from hep2lib.studies.execution import device_name
from hep2lib.studies.floor import bf16_is_faster
from hep2lib.studies.inputs import StudyInputs, kept_network, network_file
from hep2lib.studies.outcomes import Configuration, FineTuningOutcome, SVMOutcome
from hep2lib.studies.svm_study import BLOCKS, svm_study
from hep2lib.studies.trial import SVMVariant, TrialStore

RESTARTED = "restarted "
"""What names an SVM study from other random weights begins with."""

CALIBRATION_IMAGES = 16
"""Simulated images that random weights are calibrated on."""

NOTEBOOK_PARAMETERS = ("run_folder", "profile", "data", "weights", "seed")
_FOLDER = "--out on the command line, run_folder in a notebook"  # where a run's folder is given
_PLAIN = (str, int, float, list, dict, type(None))  # what papermill and people set

PACKAGES = ("torch", "torchvision", "scikit-learn", "numpy", "pandas", "Pillow", "jupyter-book", "papermill")


class RunFolderError(InputError):
    """A run folder that cannot be used for these parameters."""


class Run:
    """A run's folder and what is in it; everything is computed when first asked for, and only once.

    Attributes:
        scheduler: address of a Dask scheduler that trials run on; "" for none. It changes no result.
        local_cluster: number of Dask workers to start on this machine; 0 for none.
    """

    def __init__(self, folder: Path, parameters: Parameters):
        self.folder = folder
        self.parameters = parameters
        self.scheduler = ""
        self.local_cluster = 0

    @cached_property
    def database(self) -> pd.DataFrame:
        """The database's table (``hep2lib.data.database.read_database``); a simulated one is written."""
        p = self.parameters
        if p.data:
            return read_database(p.data, **p.database_options)
        if p.database_options:
            given = ", ".join(f"{name}={value!r}" for name, value in p.database_options.items())
            raise DatabaseError(
                f"{given}: for a database of one's own, and none was given; give its folder (--data on the "
                "command line), or leave this out (in the profile, too) for the simulated one"
            )
        try:
            write_database(self._simulated_folder, specimens=p.specimens, seed=p.seed)
        except OSError:
            if not self._simulated_folder.is_dir():  # no other process was faster
                raise
        return read_database(self._simulated_folder)

    @property
    def _simulated_folder(self) -> Path:
        """Where the simulated database is; that of another simulator is kept for the runs it belongs to."""
        code = code_digest("hep2lib.simulator.writing.write_database")
        clone = project_root(
            "the folder of simulated databases",
            "write one with `hep2 simulate OUT` and give OUT as data (--data on the command line)",
        )
        return clone / "data" / f"simulated-{self.parameters.specimens}-seed{self.parameters.seed}-{code}"

    @cached_property
    def images(self) -> Tensor:
        """All images, uint8, N x 3 x size x size."""
        return torch.from_numpy(np.load(self._images_file, mmap_mode="c"))

    @cached_property
    def _images_file(self) -> Path:
        p, cache = self.parameters, self.folder / "cache"
        return image_file(self.database, p.image_size, aspect=p.aspect, colour=p.colour, cache=cache)

    @cached_property
    def folds(self) -> list[Fold]:
        """The folds by specimen, kept in ``folds.csv`` and checked whenever they are read."""
        file = self.folder / "folds.csv"
        if not file.is_file():
            folds = specimen_folds(self.database, self.parameters.folds, self.parameters.seed)
            write_folds(folds, self.database, file)
        return read_folds(file, self.database)

    @cached_property
    def weights(self) -> dict[str, str]:
        """Which weights are used: settled once and kept in ``weights.json``, so that all pages use the same.

        ``asked`` is the parameter, ``used`` a source for ``load_weights``, ``reason`` why ("" if as asked):
        ``auto`` takes what ``best_weights`` says.
        """
        file = self.folder / "weights.json"
        if known := _read_texts(file, ("asked", "used", "reason")):
            return known
        asked = self.parameters.weights
        used, reason = best_weights(self.parameters.variant) if asked == "auto" else (asked, "")
        settled = {"asked": asked, "used": used, "reason": reason}
        write_json(file, settled)
        return settled

    @cached_property
    def network(self) -> GoogLeNet:
        """The network before any training, with the run's weights."""
        return self._start(self.parameters.seed)

    def _start(self, seed: int) -> GoogLeNet:
        """The network with the run's weights; random ones are drawn with this seed.

        Random weights are calibrated on simulated images that belong to no database: one starting point
        serves all folds. They are kept in ``cache``; what was altered there, or deleted, is drawn anew.
        """
        p, used = self.parameters, self.weights["used"]
        network = GoogLeNet(variant=p.variant, classes=2)
        if used != "random":
            load_weights(network, used, seed=seed)
            return network
        code = code_digest("hep2lib.cnn.weights.load_weights", "hep2lib.simulator.writing.simulated_images")
        cache = self.folder / "cache"
        file = cache / f"random-{p.variant}-seed{seed}-{code}.json"
        if known := _read_texts(file, [field.name for field in fields(Provenance)]):
            provenance = Provenance(**known)
            if found := find_kept(network_file(cache, provenance.sha256)):
                network.load_state_dict(load_file(found))
                network.provenance = provenance
                return network
        images = torch.from_numpy(simulated_images(CALIBRATION_IMAGES, seed))
        origin = "simulated images that belong to no database"
        load_weights(network, used, seed=seed, images=images, images_are=origin)
        kept_network(network, cache)
        write_json(file, asdict(network.provenance))
        return network

    def check(self) -> None:
        """Raise whatever the studies would, having written nothing but the cache of decoded images."""
        p = self.parameters
        _ = self.device
        if p.weights not in ("auto", *RANDOM):
            self.network = GoogLeNet(variant=p.variant, classes=2)
            load_weights(self.network, p.weights, seed=p.seed)
        if p.data or p.database_options:
            specimen_folds(self.database, p.folds, p.seed)
        _ = self.images if p.data else self._simulated_folder

    @property
    def device(self) -> str:
        """Where the studies compute: "cpu" or "cuda"."""
        asked = self.parameters.device
        if asked == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if asked != "cpu" and int(asked[5:] or 0) >= torch.cuda.device_count():
            raise RunFolderError(f"device {asked}: torch finds no such GPU here; choose device auto or cpu")
        return asked

    @property
    def advice(self) -> str:
        """What a person should hear before the studies start; "" for nothing."""
        if self.parameters.training.precision != "bf16" or self.device != "cpu" or bf16_is_faster():
            return ""
        return "note: this processor has no fast bfloat16; training.precision=fp32 takes much less time here"

    @cached_property
    def inputs(self) -> StudyInputs:
        """What both studies are computed from."""
        return StudyInputs(
            images=self.images,
            labels=self.database["label"].to_numpy(),
            folds=self.folds,
            network=self.network,
            cache=self.folder / "cache",
            device=self.device,
            workers=self.parameters.workers,
            scheduler=self.scheduler,
            local_cluster=self.local_cluster,
            cache_limit=int(self.parameters.cache_gigabytes * 1e9),
            images_file=self._images_file,
        )

    @cached_property
    def fine_tuning(self) -> FineTuningOutcome:
        """The fine-tuning study; only what the run lacks is computed."""
        p = self.parameters
        store = TrialStore(self.folder / "trials" / "fine-tuning")
        return tuning.fine_tuning_study(
            self.inputs,
            store,
            [tuning.Grid(**dict(grid)) for grid in p.grids],
            None if p.rotations == 1 else tuning.Rotation(p.rotations, min(p.views_per_epoch, p.rotations)),
            chosen_seeds=p.chosen_seeds,
            seed=p.seed,
            options=p.training_options,
            starts=self._start if self.weights["used"] in RANDOM else None,
        )

    @cached_property
    def batchnorm(self) -> FineTuningOutcome | None:
        """Some trainings with the frozen layers' batch normalisation frozen, and alive.

        None if the parameters ask for none, or the weights have no batch normalisation.
        """
        p, used = self.parameters, self.weights["used"]
        if p.batchnorm is None or p.variant != "torchvision":
            return None
        if used in RANDOM:
            alive = tuning.unfolded(self.network)
        else:
            alive = GoogLeNet(variant=p.variant, classes=2, batchnorm="train")
            try:
                load_weights(alive, used, seed=p.seed)
            except WeightsError:
                return None  # a file whose normalisation was folded before it was written
        return tuning.batchnorm_study(
            replace(self.inputs, alive=alive),
            TrialStore(self.folder / "trials" / "fine-tuning"),
            tuning.Grid(**dict(p.batchnorm)),
            folds=min(p.batchnorm_folds, p.folds),
            seed=p.seed,
            options=p.training_options,
        )

    @property
    def tuned_configuration(self) -> Configuration | None:
        """The best fine-tuning that changed more than the classifier; None if there is none.

        Its networks give the features of ``svm_variants["fine-tuned"]``; with the last block's
        convolutions frozen, all features stay as they were.
        """
        last = LAYERS.index("inception_5b-pool_proj") + 1
        best = self.fine_tuning.best(rotated=None)
        if best.freeze < last:
            return best
        means = self.fine_tuning.means()
        earlier = means[(means["freeze"] < last) & (means["rotations"] == 1)]
        return None if earlier.empty else self.fine_tuning.choose(earlier)

    def tuned_networks(self, configuration: Configuration) -> list[GoogLeNet]:
        """The fine-tuned networks of a configuration of ``fine_tuning``, one a fold, kept in the run.

        Raises:
            TunedNetworkError: if their scores are not those on record, or a kept network cannot be read.
            OutcomeError: if the study has no such training.
        """
        return tuning.tuned_networks(self.inputs, self.fine_tuning, configuration, self.folder / "networks")

    @cached_property
    def svm(self) -> SVMOutcome:
        """The SVM study as the paper describes it; only what the run lacks is computed."""
        return self._svm(self.parameters.svm_layers, {})

    @cached_property
    def svm_variants(self) -> dict[str, SVMOutcome]:
        """The SVM study in other ways (parameter ``svm_variants``), by name.

        Pooled features are tried on every block's output (on all of the run's layers, if none of them is
        one), fine-tuned ones on those that the tuning changed, all else on the layer that ``svm`` chose.
        """
        p, chosen = self.parameters, (self.svm.best().layer,)
        blocks = tuple(layer for layer in p.svm_layers if layer in BLOCKS) or p.svm_layers
        other = "lambda" if p.svm_regularisation == "C" else "C"
        ways: dict[str, tuple[Sequence[str], dict[str, Any]]] = {
            "pooled": (blocks, {"pooled": True}),
            "rotated": (chosen, {"rotations": p.svm_rotations}),
            "refitted": (chosen, {"refitted": True}),
            "other-regularisation": (chosen, {"regularisation": other}),
            "early-stopped": (chosen, {"solver": "early-stopped"}),
        }
        found: dict[str, SVMOutcome]
        found = {name: self._svm(*way) for name, way in ways.items() if name in p.svm_variants}
        tuned = self.tuned_configuration if "fine-tuned" in p.svm_variants else None
        if tuned and (changed := [layer for layer in blocks if layer in _tuned_layers(tuned.freeze)]):
            networks = self.tuned_networks(tuned)
            found["fine-tuned"] = self._svm(changed, {}, networks=networks, frozen=tuned.freeze)
        return found

    @cached_property
    def svm_restarted(self) -> list[SVMOutcome]:
        """The SVM study on its chosen layer, from other random weights; as many as other seeds were trained.

        Empty where weights are not random: no seed moves an SVM then.
        """
        p, seeds = self.parameters, {int(record["trial"]["seed"]) for record in self.fine_tuning.records}
        others = sorted(seeds - {p.seed}) if self.weights["used"] in RANDOM else ()
        layers = (self.svm.best().layer,)
        return [self._svm(layers, {}, replace(self.inputs, network=self._start(seed))) for seed in others]

    def _svm(
        self,
        layers: Sequence[str],
        options: Mapping[str, Any],
        inputs: StudyInputs | None = None,
        **networks: Any,
    ) -> SVMOutcome:
        store = TrialStore(self.folder / "trials" / "svm")
        variant = replace(SVMVariant(regularisation=self.parameters.svm_regularisation), **options)
        return svm_study(inputs or self.inputs, store, layers, self.parameters.svm_grid, variant, **networks)

    def keep_records(self) -> None:
        """Write what the studies found as tables: see ``hep2lib.runs.records``."""
        told = ("name", "simulated", "layout", "classes", "simulation")
        database = self.database.drop(columns="path").join(image_headers(self.database))
        tunings = {"search": self.fine_tuning}
        about = {
            "database": {name: self.database.attrs[name] for name in told if name in self.database.attrs},
            "network": asdict(self.network.provenance),
            "device": self._computed_on,
        }
        records.keep(
            self.folder,
            database,
            tunings | ({"batchnorm": self.batchnorm} if self.batchnorm else {}),
            {"": self.svm}
            | self.svm_variants
            | {f"{RESTARTED}{n}": one for n, one in enumerate(self.svm_restarted, 1)},
            about,
        )

    def publication(self, page: str) -> Publication:
        """Where a page of the book publishes its values, tables and figures."""
        return Publication(self.folder, page, self.short_statement)

    @property
    def short_statement(self) -> str:
        """What results were obtained on, short enough for the head of a figure."""
        used = self.weights["used"]
        words = f"{used.replace('imagenet', 'ImageNet')} weights"
        weights = words if used in WEIGHTS else f"weights {Path(used).name}"
        name, profile = self.database.attrs["name"], self.parameters.profile_name
        return f"{name}; {weights}; profile {profile}"

    @property
    def statement(self) -> str:
        """What results are obtained on here, in full."""
        return self._stated(device_name(self.device))

    def _stated(self, device: str) -> str:
        specimens = self.database["specimen"].nunique()
        reason = f" ({self.weights['reason']})" if self.weights["reason"] else ""
        note = " These are not patient images, and no number here is the paper's." if self.simulated else ""
        bf16 = ", trained in bfloat16" if self.parameters.training.precision == "bf16" else ""
        return (
            f"Obtained on: {self.database.attrs['name']}, "
            f"{len(self.database)} images of {specimens} specimens; "
            f"{self.network.provenance.description}{reason}; profile {self.parameters.profile_name}, "
            f"run seed {self.parameters.seed}; device {device}{bf16}.{note}"
        )

    @property
    def _computed_on(self) -> str:
        """The device by name; with the studies', if the run was begun on another one."""
        here, records = device_name(self.device), (*self.fine_tuning.records, *self.svm.records)
        studies = {record["device"] for record in records}
        return (
            here
            if studies <= {here}
            else f"{some(sorted(studies))} for the studies, {here} for the notebooks"
        )

    @property
    def simulated(self) -> bool:
        """Whether the database was written by our simulator."""
        return bool(self.database.attrs.get("simulated", False))

    @property
    def facts(self) -> list[str]:
        """What the database has of ``pairs.FACTS``."""
        data = self.database
        patterns = data["pattern"].ne("") & data["label"].eq(1)
        grades = "intensity" in data and data["intensity"].ne("").any()
        found = (self.simulated, patterns.any(), grades, not data["specimen"].is_unique)
        return [fact for fact, there in zip(FACTS, found, strict=True) if there]

    def describe(self, seconds: dict[str, float]) -> dict[str, Any]:
        """What ``run.json`` holds: what was computed, on what, with what, and the seconds each step took."""
        options = self.parameters.database_options
        options |= {name: Path(options[name]).name for name in ("sheet", "images") if name in options}
        return {
            "profile": self.parameters.profile_name,
            "published": False,
            "statement": self._stated(self._computed_on),
            "facts": self.facts,
            "database": {
                **{k: v for k, v in self.database.attrs.items() if k in ("name", "simulation")},
                "images": len(self.database),
                "specimens": int(self.database["specimen"].nunique()),
                "sha256": database_checksum(self.database),
                **({"read with": options} if options else {}),
            },
            "weights": {
                "asked for": Path(self.weights["asked"]).name,
                "used": self.network.provenance.description,
                "sha256": self.network.provenance.sha256,
            },
            "commit": commit(BESIDE, RUN, CODECHECK),
            "device": self._computed_on,
            "processor": processor(),
            "versions": {"python": platform.python_version()}
            | {n: version(n) for n in ("hep2lib", *PACKAGES)},
            "seconds": {name: round(value, 2) for name, value in seconds.items()},
        }


class RecordedRun(Run):
    """A run that was made from the records of another: what its studies found, without images or a network.

    Raises:
        RecordsError: if the records are not what was published; later, where images or training are needed.
    """

    def __init__(self, folder: Path, parameters: Parameters):
        super().__init__(folder, parameters)
        records.check_seal(folder)
        kept, self.database = folder / records.RECORDS, records.read_images(folder)
        self.folds = read_folds(kept / "folds.csv", self.database)
        self.weights = json.loads((kept / "weights.json").read_text(encoding="utf-8"))
        known = folder, self.database["label"].to_numpy(), self.folds
        tunings, svms = records.read_tunings(*known), records.read_svms(*known)
        self.fine_tuning, self.batchnorm = tunings["search"], tunings.get("batchnorm")
        self.svm = svms.pop("")
        self.svm_restarted = [svms.pop(way) for way in [*svms] if way.startswith(RESTARTED)]
        self.svm_variants = svms
        about = records.read_about(folder)
        self.computed_on = about["device"]
        # Its layers, with shapes for parameters and no values: nobody can score an image with it.
        self.network = GoogLeNet(variant=parameters.variant, classes=2).to("meta")
        self.network.provenance = Provenance(**about["network"])

    @property
    def device(self) -> str:
        """Where the records were computed."""
        return self.computed_on

    @cached_property
    def images(self) -> Tensor:
        """Refused: there are none."""
        raise records.RecordsError(f"{self.folder}: was made from records, without images; {records.REAL}")

    @cached_property
    def inputs(self) -> StudyInputs:
        """Refused: nothing can be trained."""
        raise records.RecordsError(f"{self.folder}: was made from records, without training; {records.REAL}")

    def keep_records(self) -> None:
        """Leave them as they are."""

    def describe(self, seconds: dict[str, float]) -> dict[str, Any]:
        """What was said of the run that the records are of, and that this one was made from them."""
        about = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        return about | {
            "made from": "records: chapters 3 to 5 were executed again without training",
            "seconds": about["seconds"] | {name: round(value, 2) for name, value in seconds.items()},
        }


def open_run(folder: str | Path = "", profile: str | Path | None = None, /, **settings: Any) -> Run:
    """Open the run with these parameters, making its folder if need be.

    Before a new folder is made, a database that was given is read, divided and decoded, and a file's weights
    are loaded: what is refused leaves nothing behind.

    Args:
        folder: the run's folder; "" takes ``runs/NAME`` in the clone, named after the parameters.
        profile: a profile's name, or the path of a YAML file. None takes the parameters of the run that the
            folder holds, for a new run those of ``quick``.
        settings: parameters that differ from those, as ``make_parameters`` takes them; None for what they
            are. A folder that holds a run is opened if all parameters agree with that run's; those that
            ``MAY_DIFFER`` names need not, and hold for the run that is returned.

    Raises:
        ParameterError: for an unknown parameter or an impossible value.
        RunFolderError: if the folder holds something else, or a run with other parameters.
        InputError: if the database, the weights or the device cannot be used.
    """
    settings = {n: value for n, value in settings.items() if value is not None or n == "batchnorm"}
    file = typed_path(folder) / "parameters.yaml" if folder else None
    known = read_parameters(file) if file and file.is_file() else None
    parameters = make_parameters(profile or (file if known else None) or "quick", settings)
    if file is None:
        clone = project_root("the folder runs", "name the run's folder (--out on the command line)")
        file = clone / "runs" / parameters.run_name / "parameters.yaml"
        known = read_parameters(file) if file.is_file() else None
    where = file.parent
    if known:
        if lines := differences(known.effective, parameters.effective):
            own, name = where.with_name(f"{where.name}.yaml"), typed_run(where)
            how = (
                f"A run keeps its parameters: `hep2 new-run OTHER --from {name}` makes another one of {own} "
                f"as it is now; with the change undone, `hep2 run {name}` goes on with this one"
                if profile and typed_path(profile) == own
                else f"To go on with that run as it is, give its folder alone ({_FOLDER}), without "
                "profile, seed or others; for other parameters, give another folder"
            )
            told = "\n  ".join(["the run in this folder has other parameters:", *lines])
            raise RunFolderError(f"{where}: {told}\n{how}")
        kind = RecordedRun if recorded(where) else Run
        return kind(where, known.model_copy(update={n: getattr(parameters, n) for n in MAY_DIFFER}))
    wrong = ""
    for other in (str(BESIDE / "book"), parameters.data):
        if other and where.resolve().is_relative_to(Path(other).resolve()):
            wrong = f"lies in {other}"
    if where.exists() and not where.is_dir():
        wrong = "there is a file of that name"
    elif where.is_dir() and any(path.name != "cache" and path.suffix != ".part" for path in where.iterdir()):
        wrong = "the folder is not empty and holds no run (no parameters.yaml)"
    if wrong:
        raise RunFolderError(f"{where}: {wrong}; choose another folder ({_FOLDER})")
    run, new = Run(where, parameters), not where.exists()
    try:
        run.check()
        parameters.write(file)
    except BaseException as error:
        if new:
            shutil.rmtree(where / "cache", ignore_errors=True)
            with suppress(OSError):
                where.rmdir()
        if not isinstance(error, OSError):
            raise
        trouble = f"cannot be written ({error.strerror})"
        raise RunFolderError(f"{where}: {trouble}; choose another folder ({_FOLDER})") from None
    return run


def notebook_run(names: Mapping[str, Any]) -> Run:
    """Open the run that a notebook asks for, after a look at its parameters' names; print where it is made.

    Args:
        names: what the notebook has set, ``globals()``: at first its parameters, and what papermill or a
            person set beside them. Once it has a ``run``, only what is annotated (``seed: int``) counts.

    Raises:
        ParameterError: for a name that no parameter has, or a value of the wrong type.
        InputError: as ``open_run`` does.
    """
    known = NOTEBOOK_PARAMETERS
    for name in names.get("__annotations__", {}) if isinstance(names.get("run"), Run) else names:
        if (
            name.startswith("_")
            or name in (*known, "In", "Out")
            or not isinstance(names.get(name, ...), _PLAIN)
        ):
            continue
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
        rest = f"a notebook has {', '.join(known)}; set others in a profile (`hep2 new-run`), and restart "
        rest += "the kernel if a cell has set it"
        raise ParameterError(
            f"parameter {name!r} is unknown; {f'did you mean {near[0]!r}?' if near else rest}"
        )
    folder, profile, *_ = (names.get(name) for name in known)
    for name, value in (("run_folder", folder), ("profile", profile)):
        if not isinstance(value, str | Path | None):
            raise ParameterError(f"parameter {name} = {value!r}: {TEXT_NEEDED}")
    where = named_run(str(folder)) if folder else None
    if where and profile is None and not (where / "parameters.yaml").is_file():
        own = parameters_of(where)  # of a run that was named and is computed for the first time
        profile = own if own.is_file() else None
    run = open_run(where or "", profile, **{name: names.get(name) for name in known[2:]})
    if not where:
        print(f"run: {run.folder}")
    return run


def processor() -> str:
    """The name of this machine's processor, or of its kind where the system tells no more."""
    with suppress(OSError):
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        if named := re.search(r"^model name\s*:\s*(.*\S)", told, re.MULTILINE):
            return named[1]
    return platform.processor() or platform.machine()


def _read_texts(file: Path, names: Sequence[str]) -> dict[str, str]:
    """The texts by name that a run keeps in a file; none where there is none, or another content."""
    try:
        texts = json.loads(file.read_text(encoding="utf-8"))
        if sorted(texts) == sorted(names) and all(isinstance(text, str) for text in texts.values()):
            return texts
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        pass
    set_aside(file)
    return {}


def _tuned_layers(freeze: int) -> set[str]:
    """The layers whose activations change when all but the first ``freeze`` layers are trained."""
    changed: set[str] = set()
    for layer in architecture():
        if (layer.index > freeze and layer.parameters) or changed & set(layer.inputs):
            changed.add(layer.name)
    return changed
