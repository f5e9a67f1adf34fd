"""The command line: ``hep2`` and ``python -m hep2lib``, one sub-command for each thing a person does."""

import argparse
import atexit
import difflib
import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tqdm import tqdm

from hep2lib import __version__
from hep2lib.errors import DatabaseError, InputError, counted
from hep2lib.files import RunError, named_run, parameters_of, project_root, write_text
from hep2lib.progress import close_bars

if TYPE_CHECKING:  # importing a run takes seconds, and `hep2 layers` needs none
    from hep2lib.runs.run import Run
    from hep2lib.studies.outcomes import Configuration

_FOLDER_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM, errno.ENAMETOOLONG}
_DATABASE_OPTIONS = {
    "sheet": "the ground-truth sheet, where it is not found by itself",
    "images": "the folder of the images",
    "image_column": "column of file names",
    "label_column": "column that says positive or negative",
    "specimen_column": "column of specimens (patients, wells)",
    "pattern_column": "column of staining patterns",
    "specimen_pattern": "regular expression: the specimen in a file's name, or in --specimen-column",
    "negative": "VALUE,VALUE: further words that mean negative",
    "bits": "how many bits the 16-bit images use, 8 to 16",
    "layout": "aida, manifest, folders, mivia or i3a",
}
"""The keywords of `hep2lib.data.database.read_database` that can be typed, and what they say."""
EXIT_DONE, EXIT_SHORT, EXIT_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130
PATIENCE = 2.0  # seconds from an interruption to the end, for what has to be put away


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sub-command that was typed after the program's name (``arguments``; None: this process's).

    Returns:
        0 done; 1 a check or the run's own pages failed; 2 the input cannot be used (one message on stderr);
        130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    if arguments is None:
        _heed_signals()
    options = _parser().parse_args(arguments)
    os.environ["MPLBACKEND"] = "agg"  # a person's own is for windows, and an unknown one stops the import
    try:
        try:
            done: int = options.command(options) or EXIT_DONE
            sys.stdout.flush()
            return done
        finally:
            close_bars()
    except (InputError, RunError) as error:
        message = _as_typed(str(error)) if isinstance(error, DatabaseError) else str(error)
        print(f"hep2: {message}", file=sys.stderr)
        return EXIT_INPUT if isinstance(error, InputError) else EXIT_SHORT
    except ModuleNotFoundError as error:
        if str(error.name).startswith("hep2lib"):
            raise
        where = "in the clone: `pip install -e '.[book]'`"
        print(f"hep2: {error.name} is missing; install it {where}", file=sys.stderr)
        return EXIT_INPUT
    except BrokenPipeError:  # as under `| head`, which has read enough; Python would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_SHORT
    except OSError as error:
        if error.errno not in _FOLDER_TROUBLE:
            raise
        trouble = f"{error.filename or 'a file'}: {error.strerror}; make room or choose another folder"
        print(f"hep2: {trouble}, then start again: what was computed is kept", file=sys.stderr)
        return EXIT_INPUT
    except KeyboardInterrupt:
        print("hep2: interrupted; what was computed is kept, start again to go on", file=sys.stderr)
        for worker in multiprocessing.active_children() if arguments is None else ():
            worker.kill()  # Python waits for those that were kept for another study
        return EXIT_INTERRUPTED


def _heed_signals() -> None:
    """Let Ctrl-C, a closed terminal and SIGTERM stop the program at once, with a word."""
    heeded = [each for each in signal.Signals if each.name in ("SIGINT", "SIGTERM", "SIGHUP")]
    heeded = [each for each in heeded if signal.getsignal(each) != signal.SIG_IGN]  # as under nohup

    stopped = threading.Event()

    def end() -> None:  # the last of what Python does before it takes torch down, which may last for seconds
        if stopped.is_set():
            with suppress(OSError):
                sys.stdout.flush()
            os._exit(EXIT_INTERRUPTED)

    def stop(*_: object) -> NoReturn:
        stopped.set()
        for each in heeded:
            signal.signal(each, signal.SIG_IGN)  # once is enough: what puts things away is left alone
        # A thread that trains on a GPU would be waited for much longer.
        end = threading.Timer(PATIENCE, os._exit, (EXIT_INTERRUPTED,))
        end.daemon = True
        end.start()
        with suppress(OSError):  # where the terminal is gone
            tqdm.write("hep2: stopping ...", file=sys.stderr)
        raise KeyboardInterrupt

    atexit.register(end)
    for each in heeded:
        signal.signal(each, stop)


def _as_typed(message: str) -> str:
    """Name a database's options as they are typed here: ``label_column=...`` is ``--label-column ...``."""
    names = "|".join(_DATABASE_OPTIONS)
    return re.sub(rf"(?<![\w/.-])({names})=", lambda found: f"--{found[1].replace('_', '-')} ", message)


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and what may have been meant."""

    def parse_known_args(self, *arguments: Any) -> Any:  # type: ignore[override]  # as it is called
        options, unknown = super().parse_known_args(*arguments)
        for word in unknown:
            known = re.findall("--[a-z-]+", self.format_help())
            if near := difflib.get_close_matches(word.partition("=")[0], known, n=1, cutoff=0.7):
                self.error(f"there is no {word}; did you mean {near[0]}?")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        if wrong := re.search(r"COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)", message):
            near = difflib.get_close_matches(wrong[1], re.findall(r"[\w-]+", wrong[2]), n=1)
            meant = "".join(f"; did you mean {name}?" for name in near)
            message = f"there is no command {wrong[1]}{meant}"
        self.exit(EXIT_INPUT, f"hep2: {message} (`{self.prog} --help` says more)\n")


def _filled(text: str) -> str:
    """Refuse an empty value: a shell's variable that is not set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the value is empty; give one, or leave the option out")
    return text


def _run_folder(typed: str) -> Path:
    try:
        return named_run(_filled(typed))
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hep2",
        description="HEp-2 intensity classification based on deep fine-tuning, as a reproducible paper.",
    )
    parser.add_argument("--version", action="version", version=f"hep2 {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    simulate = commands.add_parser("simulate", help="write a simulated database in AIDA's layout")
    simulate.add_argument("out", type=Path, help="the folder to write")
    simulate.add_argument("--specimens", type=int, default=100, help="100 make 208 images (default)")
    simulate.add_argument("--seed", type=int, default=0)
    simulate.add_argument("--laboratories", type=int, default=7)
    simulate.add_argument("--shortcut", action="store_true", help="let the files' size tell the label")
    simulate.add_argument("--scale", type=float, default=1.0, help="0.1 to 4; 1 makes about 690 x 515 pixels")
    simulate.add_argument("--label-noise", type=float, default=0.0, help="share of wrong labels, 0 to 0.5")
    simulate.add_argument("--masks", action="store_true", help="write per-cell masks too")
    simulate.set_defaults(command=_simulate)

    data = commands.add_parser("data", help="describe and check a database")
    data.add_argument("path", type=Path, help="the database's folder")
    _add_database_options(data)
    data.add_argument("--json", action="store_true", help="print the report as JSON")
    data.set_defaults(command=_data)

    layers = commands.add_parser("layers", help="print the 144 layers of GoogLeNet")
    layers.add_argument("--variant", choices=("bvlc", "torchvision"), default="bvlc")
    layers.set_defaults(command=_layers)

    pretrain = commands.add_parser(
        "pretrain", help="teach GoogLeNet on procedural images: weights to start from"
    )
    pretrain.add_argument("out", type=Path, help="the folder to write, or to go on with")
    pretrain.add_argument("--profile", choices=("laptop", "gpu"), default="laptop", help="default: laptop")
    pretrain.add_argument("--seed", type=int, default=0)
    pretrain.add_argument("--images", type=int, help="as many as these instead of the profile's")
    pretrain.add_argument("--threads", type=int, help="of torch (default: one for each core)")
    pretrain.set_defaults(command=_pretrain)

    study = commands.add_parser("study", help="run one study alone, without notebooks")
    study.add_argument("name", choices=("fine-tuning", "svm"))
    _add_run_options(study)
    where = study.add_mutually_exclusive_group()
    where.add_argument("--scheduler", metavar="ADDRESS", help="Dask scheduler, tcp://HOST:PORT")
    where.add_argument("--local-cluster", type=int, default=0, metavar="N", help="start N Dask workers here")
    study.set_defaults(command=_study)

    new = commands.add_parser("new-run", help="write runs/NAME.yaml, which says all parameters of a run")
    new.add_argument("name", help="what the run is to be called")
    other = "what to start from: a profile (default: quick), a YAML file, or another run's name"
    new.add_argument("--from", dest="profile", default="quick", metavar="PROFILE", help=other)
    new.set_defaults(command=_new_run)

    run = commands.add_parser("run", help="run the studies and execute the notebooks")
    by_name = "a run's name: runs/NAME.yaml says its parameters, runs/NAME is its folder"
    run.add_argument("run", nargs="?", type=_run_folder, metavar="NAME", help=by_name)
    _add_run_options(run)
    run.add_argument("--page", action="append", default=[], help="this notebook alone, as 05; repeatable")
    run.add_argument("--book", action="store_true", help="render the book afterwards")
    records = (
        "execute chapters 3 to 5 from the records of book/run, without training (--out: runs/from-published)"
    )
    run.add_argument("--from-published", action="store_true", help=records)
    run.set_defaults(command=_run)

    book = commands.add_parser("book", help="render the book of a run")
    whose: dict[str, Any] = {"type": _run_folder, "help": "the run's folder, or its name in runs"}
    default = whose | {"nargs": "?", "help": f"{whose['help']} (default: the published run)"}
    book.add_argument("run", **default)
    book.set_defaults(command=_book)

    runs = commands.add_parser("runs", help="list the runs: what each is, what it found, whether it is fresh")
    runs.set_defaults(command=_runs)

    compare = commands.add_parser(
        "compare", help="say what differs between runs: parameters, results, values"
    )
    known = "a run's folder, its name in runs, or published; one alone is compared with the published run"
    compare.add_argument("runs", nargs="+", metavar="RUN", type=_run_folder, help=known)
    compare.add_argument("--all", action="store_true", help="list what is the same, too")
    form = compare.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print it as JSON")
    form.add_argument("--md", action="store_true", help="print it as Markdown, with the figures of two runs")
    compare.set_defaults(command=_compare)

    check = commands.add_parser("check", help="say of each chapter whether it is fresh, or stale and why")
    check.add_argument("run", **default)
    check.add_argument("--explain", metavar="CHAPTER", help="list what of the package changed for one")
    check.set_defaults(command=_check)

    refresh = commands.add_parser("refresh", help="execute the stale chapters of a run")
    refresh.add_argument("run", **whose)
    refresh.set_defaults(command=_refresh)

    clean = commands.add_parser("clean", help="remove what a run can compute again; asks first")
    clean.add_argument("run", **whose)
    clean.add_argument("--yes", action="store_true", help="do not ask")
    clean.set_defaults(command=_clean)

    publish = commands.add_parser("publish", help="make a run the one that comes with the clone (book/run)")
    publish.add_argument("run", **whose)
    publish.add_argument("--any-size", action="store_true", help="even if smaller than profile published")
    publish.set_defaults(command=_publish)

    notebooks = commands.add_parser("notebooks", help="copy executed chapters, with their values in the text")
    notebooks.add_argument("out", type=Path, help="the folder to write")
    notebooks.add_argument("run", **default)
    notebooks.set_defaults(command=_notebooks)

    teach = commands.add_parser(
        "teach", help="write a class set: chapters without and with solutions, a plan"
    )
    teach.add_argument("out", type=Path, help="the folder to write")
    teach.add_argument("run", **default)
    only = "these alone, as 01 03 (default: 01 to 05)"
    teach.add_argument("--chapters", nargs="+", default=[], metavar="NN", help=only)
    teach.set_defaults(command=_teach)

    pair = commands.add_parser("pair", help="write the .ipynb of every notebook from its .md source")
    how = pair.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="only say whether each pair agrees")
    for ending, what in (("ipynb", "its .md from its .ipynb"), ("md", "its .ipynb, even if that was edited")):
        named: dict[str, Any] = {"type": lambda name: Path(name).stem, "action": "append", "default": []}
        how.add_argument(f"--from-{ending}", metavar="NAME", help=f"write {what}", **named)
    pair.set_defaults(command=_pair)
    for each in commands.choices.values():
        each.register("type", None, _filled)
        each.register("type", Path, lambda text: Path(_filled(text)))
    return parser


def _add_database_options(parser: argparse.ArgumentParser) -> None:
    for name, what in _DATABASE_OPTIONS.items():
        kind = int if name == "bits" else _filled
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=what)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    known = (
        "smoke, quick, published, paper, or a YAML file (default: the run's in --out; quick for a new one)"
    )
    parser.add_argument("--profile", help=known)
    parser.add_argument("--data", help="a database's folder (default: a simulated one)")
    _add_database_options(parser)
    parser.add_argument("--weights", help="auto (default), imagenet, procedural, random, or a file")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="set a parameter")
    parser.add_argument("--out", help="the run's folder (default: runs/NAME)")


def _simulate(options: argparse.Namespace) -> None:
    from hep2lib.data.database import read_database
    from hep2lib.simulator.writing import write_database

    names = ("specimens", "seed", "laboratories", "shortcut", "label_noise", "scale", "masks")
    write_database(options.out, **{name: getattr(options, name) for name in names})
    database = read_database(options.out)
    print(f"{options.out}: {len(database)} images of {database['specimen'].nunique()} specimens")


def _data(options: argparse.Namespace) -> None:
    from hep2lib.data.database import read_database
    from hep2lib.data.report import describe

    try:
        report = describe(read_database(options.path, **_given(options, *_DATABASE_OPTIONS)))
    except DatabaseError as error:
        if options.json:
            problems = [_as_typed(problem) for problem in error.problems]
            print(json.dumps({"usable": False, "problems": problems}, indent=1, ensure_ascii=False))
        raise
    text = json.dumps(report.as_dict(), indent=1, ensure_ascii=False) if options.json else None
    print(text or _as_typed(report.text()))
    if not report.usable:
        raise DatabaseError(report.problems, str(options.path))


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Collect the options that were typed."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _layers(options: argparse.Namespace) -> None:
    from hep2lib.cnn.googlenet import architecture
    from hep2lib.cnn.layers import layer_table

    table = layer_table(architecture(options.variant))
    print(table[["index", "name", "type", "output", "parameters", "receptive_field"]].to_string(index=False))


def _pretrain(options: argparse.Namespace) -> None:
    from hep2lib.pretraining.pretraining import PROFILES, brightness_kept, pretrain

    recipe = replace(PROFILES[options.profile], **_given(options, "images"))
    path = pretrain(options.out, recipe, seed=options.seed, threads=options.threads)
    taught, random = brightness_kept(path, recipe)
    print(
        f"{path}: absolute brightness is read from pool5 with R2 {taught:.3f} (random weights: {random:.3f})"
    )


def _opened(options: argparse.Namespace) -> "Run":
    from hep2lib.runs.parameters import parse_settings
    from hep2lib.runs.run import open_run

    settings = _given(options, "data", "weights", *_DATABASE_OPTIONS)
    settings |= parse_settings(options.set)
    run = open_run(options.out or "", settings.pop("profile", options.profile), **settings)
    kept = len([*(run.folder / "trials").rglob("*.json")])
    on = f", which goes on with {counted(kept, 'trial')}" if kept else ""
    print(f"run: {run.folder}{on}")
    print(run.statement, flush=True)
    if run.advice:
        print(run.advice, flush=True)
    return run


def _study(options: argparse.Namespace) -> None:
    run = _opened(options)
    run.scheduler, run.local_cluster = options.scheduler or "", options.local_cluster
    if options.name == "svm":
        layer = run.svm.best()
        value = f"{run.svm.regularisation} {layer.value:.4g}"
        print(f"best on validation: {layer.layer}, {value}: AUC {layer.validation_auc:.3f}")
        return
    study = run.fine_tuning
    print(f"best on validation: {_tuned(study.best(), 'mean validation AUC')}")
    for fold, own in enumerate(study.nested(), 1):
        print(f"  by fold {fold} alone: {_tuned(own, 'validation AUC')}")
    records = [*study.records, *(run.batchnorm.records if run.batchnorm else [])]
    diverged = sum(record["diverged"] for record in records)
    print(f"{len(records)} trainings, {diverged} of them diverged; they are kept in {run.folder}")


def _tuned(chosen: "Configuration", auc: str) -> str:
    return (
        f"freeze {chosen.freeze}, batch size {chosen.batch_size}, learning rate {chosen.learning_rate:g}, "
        f"epoch {chosen.epoch}: {auc} {chosen.validation_auc:.3f}"
    )


def _new_run(options: argparse.Namespace) -> None:
    from hep2lib.runs.parameters import new_profile

    clone = project_root("the folder runs", "copy a profile, and give its path as --profile")
    file, name, taken = clone / "runs" / f"{options.name}.yaml", options.name, ""
    if not re.fullmatch(r"\w[\w.-]*(?<!\.yaml)(?<!\.yml)(?<!\.)", name):
        taken = "write letters, digits, - and _"
    elif (clone / "notebooks" / "profiles" / file.name).is_file():
        taken = "it is a profile's"
    elif re.fullmatch(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", name, re.IGNORECASE):
        taken = "Windows calls a device so"
    elif file.exists() or file.with_suffix("").exists():
        taken = f"{file.parent} has one of that name (`hep2 run {name}` computes it, or goes on with it)"
    if taken:
        raise InputError(f"{name!r} cannot be the name of a new run: {taken}; choose another")
    other = parameters_of(_run_folder(options.profile))
    write_text(file, new_profile(name, other if other.is_file() else options.profile))
    print(f"{file}: change what you like in it, then `hep2 run {name}`")


def _take_named(options: argparse.Namespace) -> None:
    """Take the run that was named: its folder, and the parameters of the file beside it, if there is one."""
    file = parameters_of(options.run)
    single = ("profile", "data", "weights", *_DATABASE_OPTIONS, "set") if file.is_file() else ()
    for name in ("out", "from_published", *single):
        if getattr(options, name):
            why = f"the run that was named lies in {options.run}; give one of the two"
            if name in single:
                other = f"hep2 new-run OTHER --from {options.run.name}"
                why = f"{file} says the parameters; change them there, or in a new run (`{other}`)"
            raise InputError(f"--{name.replace('_', '-')}: {why}")
    options.out, options.profile = options.run, str(file) if single else options.profile


def _run(options: argparse.Namespace) -> None:
    from hep2lib.runs.freshness import no_such_run, typed_run
    from hep2lib.runs.notebooks import PAGES, complete, execute_run
    from hep2lib.runs.pairs import refuse_edited

    start = time.perf_counter()
    project_root("the notebooks", "run `hep2 study`, which needs none")
    pages = sorted({_page(name, PAGES) for name in options.page})
    if options.run:
        if not options.run.is_dir() and not parameters_of(options.run).is_file():
            raise InputError(no_such_run(options.run))
        _take_named(options)
    if options.from_published:
        from hep2lib.runs.book import run_from_published

        options.out = options.out or str(project_root() / "runs" / "from-published")
        run_from_published(Path(options.out))
    refuse_edited(project_root() / "notebooks" / f"{page}.md" for page in pages or PAGES)
    run = _opened(options)
    if pages:
        execute_run(run, pages)
    elif not (pages := complete(run)):
        again = f"`hep2 run {typed_run(run.folder)} --page 03` executes one again"
        print(f"all chapters are there and fresh: nothing was executed; {again}")
    print(f"executed in {time.perf_counter() - start:.0f} s: {run.folder}" if pages else f"run: {run.folder}")
    if options.book:
        _book(argparse.Namespace(run=run.folder))
    elif not options.page:
        print(f"`hep2 book {typed_run(run.folder)}` renders its book")


def _book(options: argparse.Namespace) -> None:
    from hep2lib.runs.book import build_book
    from hep2lib.runs.freshness import check

    print(f"the book: {build_book(options.run)}")
    if stale := [page for page, chapter in check(options.run).items() if chapter.reasons]:
        command = " ".join(["hep2 check", *([str(options.run)] if options.run else [])])
        print(f"stale in it: {', '.join(stale)} (`{command}` says why)")


def _runs(options: argparse.Namespace) -> None:
    from hep2lib.runs.freshness import known_runs

    runs = known_runs()
    rows = [[*runs[0]], *([*run.values()] for run in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print("\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))


def _compare(options: argparse.Namespace) -> None:
    from hep2lib.runs.compare import as_markdown, as_text, compare
    from hep2lib.runs.freshness import PUBLISHED, known_run, typed_run

    named = [*options.runs, Path(PUBLISHED)][: max(2, len(options.runs))]
    runs = [(typed_run(run), known_run(run)) for run in named]
    found = compare(runs, everything=options.all)
    if options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False))
    elif options.md:
        print(as_markdown(found, [os.path.relpath(folder / "figures") for _, folder in runs]))
    else:
        print(as_text(found, shutil.get_terminal_size().columns))


def _page(name: str, known: Collection[str]) -> str:
    """The page that a person means by its name, or by its number alone."""
    for page in known:
        if name in (page, page[:2]):
            return page
    near = difflib.get_close_matches(name, [*known, *(page[:2] for page in known)], n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"page {name!r}: there is none of that name; the pages are {', '.join(known)}{meant}")


def _check(options: argparse.Namespace) -> int:
    from hep2lib.runs.freshness import check, published_run
    from hep2lib.runs.pairs import check_pairs

    found = check(options.run)
    print(f"{options.run or published_run()}:")
    only = options.explain and _page(options.explain, found)
    for page, chapter in found.items():
        if only in (None, page):
            print(f"{page}: {'stale' if chapter.reasons else 'fresh'}")
            for reason in chapter.reasons:
                print(f"  {reason}")
            for file, names in chapter.definitions.items() if only else ():
                print(f"  in {file}: {', '.join(names)}")
    if unchecked := dict.fromkeys(name for chapter in found.values() for name in chapter.unchecked):
        print(f"not at hand here, so not checked: {', '.join(unchecked)}")
    for problem in check_pairs(project_root() / "notebooks"):
        print(f"a run executes the text, but {problem}")
    return EXIT_SHORT if any(chapter.reasons for chapter in found.values()) else EXIT_DONE


def _refresh(options: argparse.Namespace) -> None:
    from hep2lib.runs.notebooks import refresh

    if pages := refresh(options.run):
        print(f"refreshed: {', '.join(pages)}; `hep2 book {options.run}` renders them")
    else:
        print("refreshed: nothing, all of it is fresh")


def _clean(options: argparse.Namespace) -> None:
    from hep2lib.runs.freshness import removable

    total = 0.0
    found = removable(options.run)
    for path, what in found.items():
        files = path.rglob("*") if path.is_dir() else [path]
        total += (size := sum(file.stat().st_size for file in files) / 1e6)
        print(f"{size:10.1f} MB  {path.name}: {what}")
    if not found:
        print(f"{options.run}: there is nothing to remove")
        return
    if not options.yes:
        if not sys.stdin.isatty():
            raise InputError(f"{options.run}: nobody can be asked here; add --yes to remove {total:.1f} MB")
        question = f"Remove these {total:.1f} MB? What is needed again is computed again. [y/N] "
        answer = ""
        with suppress(EOFError):
            answer = input(question)
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"removed: {total:.1f} MB")


def _publish(options: argparse.Namespace) -> None:
    from hep2lib.runs.book import publish_run

    folder = publish_run(options.run, any_size=options.any_size)
    print(f"published: {folder}; commit it together with codecheck.yml, which lists its files")


def _notebooks(options: argparse.Namespace) -> None:
    from hep2lib.runs.book import filled_notebooks

    out = filled_notebooks(options.out, options.run)
    print(f"written: {out}; `jupyter lab {out}` opens them")


def _teach(options: argparse.Namespace) -> None:
    from hep2lib.runs.book import class_set
    from hep2lib.runs.notebooks import PAGES

    chapters = PAGES[:-1]  # the appendix has no exercises
    pages = {_page(name, chapters) for name in options.chapters} or chapters
    out = class_set(options.out, pages, options.run)
    print(f"written: {out}; hand out {out / 'student'} alone, {out / 'teacher' / 'plan.md'} is for you")


def _pair(options: argparse.Namespace) -> int:
    from hep2lib.runs.pairs import check_pairs, pair, write_source

    folder = project_root() / "notebooks"
    problems = check_pairs(folder) if options.check else []
    known = sorted({file.stem for file in folder.glob("[0-9][0-9]-*.*") if file.suffix in (".md", ".ipynb")})
    edited, texts = (
        [_page(name, known) for name in names] for names in (options.from_ipynb, options.from_md)
    )
    for name in edited:
        for file in write_source(folder / f"{name}.ipynb"):
            print(f"written: {file}")
    for file in () if options.check else pair(folder, edited + texts):
        print(f"written: {file}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return EXIT_SHORT if problems else EXIT_DONE
