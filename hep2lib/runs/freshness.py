"""What a page of a run was made from, and whether that is still so: by digests, without running anything."""

import ast
import difflib
import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import jupytext
import yaml

from hep2lib.errors import InputError, some
from hep2lib.files import BESIDE, CARD, file_digest, project_root, typed_path
from hep2lib.sources import LIBRARIES, reached

RUN = "book/run"  # where the book expects its run, in the clone as in a staged copy
PUBLISHED = "published"  # what is typed for that of the clone
RECORDS, SEAL = "records", "records.json"  # a folder of a run, and the file in it that it is published with
PACKAGE = Path(__file__).resolve().parents[1]
PROSE = "only prose changed"
DATABASE, WEIGHTS = "the database", "the weights (weights.json)"

_READ_BY = {  # files that code reads, and what reads them
    "book/claims.yaml": "hep2lib.runs.paper.printed_claims",
    "book/paper-values.yaml": "hep2lib.runs.paper._values",
    "book/simulator-difficulty.json": "hep2lib.runs.paper.stated_difficulty",
    "book/weights.json": "hep2lib.runs.paper.stated_weights",
}
_REMOVABLE = {
    "cache": "decoded images, the start network, activations and Gram matrices",
    "networks": "fine-tuned networks",
    "html": "the rendered book",
    "build.log": "what the renderer said",
    "failed": "notebooks that failed",
    "staged": "pages that were not finished",
}
_ALWAYS = "from hep2lib.runs.notebooks import normalise"  # makes a page of an executed notebook
_SIMULATOR = "from hep2lib.simulator.writing import write_database"
_RECORDED = """
from hep2lib.cnn.weights import load_weights
from hep2lib.data.database import read_database
from hep2lib.data.folds import specimen_folds
from hep2lib.data.images import image_file
from hep2lib.evaluation.baselines import image_headers
from hep2lib.studies.fine_tuning import fine_tune
from hep2lib.studies.gram import gram_matrices
from hep2lib.studies.svm_study import fit_path
"""  # what records are computed by, apart from what pages keep
_NO_RESULT = ("profile", "workers")  # parameters that no result follows from
_SETTLED = 2_000_000_000  # nanoseconds after which a file that changes has another time of modification


@dataclass(frozen=True, slots=True)
class Chapter:
    """Why a page of a run is stale, in words (not at all: it is fresh).

    Attributes:
        unchecked: what it was made from and is not at hand here.
        definitions: by file of the package, what in it changed.
    """

    reasons: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    definitions: dict[str, list[str]] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """What the page says under its title."""
        why = some(self.reasons, 3)
        return f"Stale: {why}." if why else "Fresh: this page is what today's code and data give."


def published_run(project: Path | None = None) -> Path:
    """The folder of the run that comes with the clone."""
    return (project or project_root()) / RUN


def book_pages(project: Path) -> list[str]:
    """The pages of the book in order, the first of them its root; those of its run are in ``RUN``."""
    toc = yaml.safe_load((project / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def check(run: Path | None = None, *, project: Path | None = None) -> dict[str, Chapter]:
    """Judge of each chapter of a run whether it is what today's code, notebooks, parameters and data give.

    Args:
        run: the run's folder; without one, the published run that comes with the clone.
        project: the clone, if not the one this package is installed from.

    Returns:
        By page, in the order of the book.

    Raises:
        InputError: if there is no such run.
    """
    project = project or project_root()
    run = known_run(run or published_run(project))
    pages = [Path(page).name for page in book_pages(project) if page.startswith(f"{RUN}/")]
    try:
        return {page: _judged(project, run, page) for page in pages}
    except SyntaxError:
        raise InputError(_unreadable()) from None


def _unreadable() -> str:
    """Name the file of the package that cannot be read as Python."""
    for file in sorted(PACKAGE.rglob("*.py")):
        try:
            ast.parse(file.read_text(encoding="utf-8"))
        except SyntaxError as error:
            return f"{file}, line {error.lineno}: {error.msg}; mend it, then check again"
    return f"{PACKAGE}: was edited while it was read; check again"


def known_run(run: Path) -> Path:
    """The folder of a run that was typed, as an absolute path; `InputError` if there is none."""
    folder = published_run() if run == Path(PUBLISHED) else typed_path(run)
    if not (folder / "parameters.yaml").is_file():
        raise InputError(no_such_run(run))
    return folder


def typed_run(run: Path) -> str:
    """What is typed for a run: its name, if it lies in the clone's ``runs``, or its path."""
    return run.name if run.parent == BESIDE / "runs" else str(run)


def no_such_run(run: Path) -> str:
    """What to say of a run that is not there, or not yet."""
    if Path(f"{run}.yaml").is_file():
        return f"{run}: this run has not been computed yet; `hep2 run {typed_run(run)}` does that"
    names = {path.name.removesuffix(".yaml") for path in (BESIDE / "runs").glob("[!.]*")}
    near = difflib.get_close_matches(run.name, sorted(names - {run.name}), n=1)
    meant = "".join(f"did you mean {name}? " for name in near)
    how = "`hep2 runs` lists those there are, `hep2 new-run` makes one, --profile takes a profile"
    return f"{run}: there is no such run; {meant}{how}"


def _judged(project: Path, run: Path, page: str) -> Chapter:
    chapter, then = Chapter(damages(run, page)), page_content(run, page).get("from")
    say, source = chapter.reasons.append, f"notebooks/{page}.md"
    if any(reason.startswith("published/") for reason in chapter.reasons):
        return chapter
    if not then:
        say("the page does not say what it was made from")
        return chapter
    now = made_from(project, run, page, then)
    cells, code = now["cells"], [cell for cell in then["cells"] if cell[0] == "c"]
    if not cells:
        say(f"{source} is not there")
        return chapter
    if edited := code != [cell for cell in cells if cell[0] == "c"]:
        changed = [str(n) for n, cell in enumerate(cells, start=1) if cell[0] == "c" and cell not in code]
        listed = " and ".join(filter(None, (", ".join(changed[:-1]), *changed[-1:])))
        of = f"cell{'s' * (len(changed) > 1)} {listed} of {source} changed"
        say(of if changed else f"code cells of {source} were moved or taken out")
    for file in _differing(then["code"], now["code"]):
        old, new = (_definitions(made["code"].get(file, "")) for made in (then, now))
        # Cells that changed may reach other definitions, which are what they were.
        names = old.keys() & new.keys() if edited else old.keys() | new.keys()
        if changed := sorted(name for name in names if old.get(name) != new.get(name)):
            chapter.definitions[file] = changed
            say(f"{file} changed")
    # What no code reaches any longer is no reason of its own, nor what was not there yet.
    for name, there in then["versions"].items():
        if (here := now["versions"].get(name, there)) != there:
            say(f"{name} {there} there, {here} here")
    for name, old in then["inputs"].items():
        if old and (new := now["inputs"].get(name, old)) != old:
            say(f"{name} changed") if new else chapter.unchecked.append(name)
    for name in _differing(then["parameters"], now["parameters"]):
        say(f"the parameter {name} changed in parameters.yaml")
    profile, said, says = now["profile"]["name"], then["profile"]["says"], now["profile"]["says"]
    if said and not says:
        chapter.unchecked.append(f"the profile {profile}")
    changed = [n for n in _differing(said, says or said) if n not in (*then["profile"]["set"], *_NO_RESULT)]
    if changed:
        lines = (f"{name} {_shown(says, name)} (was {_shown(said, name)})" for name in changed)
        say(f"the profile {profile} has changed since this run was made: {', '.join(lines)}")
    if then["cells"] != cells and not chapter.reasons:
        say(PROSE)
    return chapter


def _reached(code: str) -> dict[str, str]:
    return _kept(reached, code, PACKAGE, _look([PACKAGE])[0])


@lru_cache(maxsize=16)  # all runs have the same pages
def _kept(
    read: Callable[[str, Path], dict[str, str]], code: str, package: Path, looks: str
) -> dict[str, str]:
    return read(code, package)


def _shown(values: Mapping[str, Any], name: str) -> str:
    return json.dumps(values.get(name, "nothing")).replace('"', "")


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({**then, **now}) if then.get(name) != now.get(name)]


def made_from(project: Path, run: Path, page: str, then: Mapping[str, Any]) -> dict[str, Any]:
    """What a page would be made from now.

    Args:
        project: the clone.
        run: the run's folder; of what it lacks, or names and is not there, the digest is "".
        page: the page's name.
        then: what this returned when the page was made, of which a database whose files have the same names,
            sizes and times is taken; at least ``given``, the names of the notebook's parameters that the run
            sets: what the others are counts as code.

    Returns:
        ``cells``: a digest of each (c... code, m... prose). ``code``: by file, those of the definitions that
        the cells reach. ``versions`` of libraries. ``inputs`` and ``parameters``: a digest of each by name.
        ``profile``: its name, what it ``says``, and which parameters were ``set`` otherwise. ``kept``: the
        calls of ``Publication.kept``.
    """
    cells, code = _read_cells(project / "notebooks" / f"{page}.md", then["given"])
    found = _reached(code)
    parameters, weights = _read(run / "parameters.yaml"), str(_read(run / "weights.json").get("used", ""))
    read = [name for name, reader in _READ_BY.items() if reader in found]
    inputs = {name: _digest(_read(project / name, (dict, list))) for name in read}
    inputs |= {CARD: _file(run / CARD)} if "hep2lib.data.report.read_card" in found else {}
    inputs["folds.csv"] = _file(run / "folds.csv")
    inputs[WEIGHTS] = _file(Path(weights)) if Path(weights).suffix else weights
    inputs[DATABASE], looks = _digest(_by_file(_reached(_SIMULATOR))), ""
    if places := [Path(parameters[name]) for name in ("data", "sheet", "images") if parameters.get(name)]:
        looks, files = _look(places)
        same = then.get("looks") == looks
        inputs[DATABASE] = then["inputs"][DATABASE] if same else _contents(files, looks)
    name = str(parameters.get("profile", ""))
    own = name.lower().endswith((".yaml", ".yml"))
    says = _read(Path(name) if own else project / "notebooks" / "profiles" / f"{name}.yaml")
    return {
        "given": then["given"],
        "cells": cells,
        "code": _by_file(found),
        # What follows a plus says for which processor it was built.
        "versions": {name: found[name].partition("+")[0] for name in LIBRARIES.values() if name in found},
        "inputs": inputs,
        "parameters": {key: _digest(parameters[key]) for key in parameters if key not in _NO_RESULT},
        "profile": {"name": Path(name).stem, "says": says, "set": []},
        "looks": looks,
        "kept": _calls_of_kept(code),
    }


def record(project: Path, run: Path, page: str, given: Collection[str]) -> dict[str, Any]:
    """What a page is about to be made from, to be kept with it.

    Raises:
        InputError: if it keeps what the records that the run was made from do not hold.
    """
    made = made_from(project, run, page, {"given": sorted(given)})
    if recorded(run):
        made = _made_from_records(project, page, made, page_content(run, page)["from"])
    others = [page_content(run, file.stem).get("from") for file in sorted((run / "published").glob("*.json"))]
    if known := next(filter(None, others), None):
        return made | {"profile": known["profile"]}  # as it was when the run was made
    from hep2lib.runs.parameters import make_parameters, read_parameters  # imports torch

    with suppress(InputError):
        own = read_parameters(run / "parameters.yaml")
        made["profile"]["set"] = _differing(own.model_dump(), make_parameters(own.profile).model_dump())
    return made


def recorded(run: Path) -> bool:
    """Whether a run's records are sealed: it is the published run, or was made from its records."""
    return (run / RECORDS / SEAL).is_file()


def _calls_of_kept(code: str) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if getattr(call.func, "attr", "") == "kept"]


def _made_from_records(
    project: Path, page: str, made: dict[str, Any], then: Mapping[str, Any]
) -> dict[str, Any]:
    """What a page is made from whose records were made before, from ``then``: those follow from its code."""
    if other := [call for call in made["kept"] if call not in then.get("kept", ())]:
        raise InputError(
            f"{page}: the records that this run was made from do not hold {other[0]}; a run of its own "
            "computes it (`hep2 run`, without --from-published)"
        )
    _, code = _read_cells(project / "notebooks" / f"{page}.md", then["given"])
    calls, tree = "\n".join(made["kept"]), ast.parse(code)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in imports:  # what is imported by name counts as reached
        node.names = [one for one in node.names if re.search(rf"\b{one.asname or one.name}\b", calls)]
    computing = "\n".join([_RECORDED, *(ast.unparse(node) for node in imports if node.names), calls])
    for file, texts in _by_file(reached(computing, PACKAGE)).items():
        before, now = (_definitions(one["code"].get(file, "")) for one in (then, made))
        before = {name: before[name] for name in _definitions(texts) if name in before}
        if now:
            made["code"][file] = " ".join(f"{name}:{digest}" for name, digest in (now | before).items())
    made["inputs"] |= {name: then["inputs"][name] for name in (DATABASE, WEIGHTS)}
    return made | {"versions": made["versions"] | then["versions"], "looks": then["looks"]}


def _definitions(texts: str) -> dict[str, str]:
    """Digests by definition, from the text that ``_by_file`` writes."""
    return dict(text.split(":") for text in texts.split())


def page_content(run: Path, page: str) -> dict[str, Any]:
    """What ``published/PAGE.json`` holds; empty where there is none, or none that can be read."""
    return _read(run / "published" / f"{page}.json")


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a page publishes, with a checksum over all of it."""
    bare = {key: value for key, value in content.items() if key != "sha256"}
    return bare | {"sha256": _digest(bare)}


def kept_notebook(run: Path, page: str) -> Path:
    """An executed notebook, in a run or in the published one."""
    file = run / "notebooks" / f"{page}.ipynb"
    return file if file.is_file() else run / file.name


def removable(run: Path) -> dict[Path, str]:
    """What of a run is computed again when it is needed, and what it is; records of results never are.

    Raises:
        InputError: if there is no such run.
    """
    run = known_run(run)
    found = {run / name: what for name, what in _REMOVABLE.items() if (run / name).exists()}
    aside = sorted(file for file in run.rglob("*.damaged") if not set(file.parents) & set(found))
    return found | dict.fromkeys(aside, "set aside: not what was written")


def known_runs(*, project: Path | None = None) -> list[dict[str, str]]:
    """Say what each run of the clone is: the published one, those in ``runs``, files that name runs to come.

    By column: ``date`` is when it was last executed here; ``fine-tuning`` and ``SVM`` are test AUCs.
    """
    project = project or project_root()
    found = [one for one in (project / "runs").glob("[!.]*") if one.suffix == ".yaml" or one.is_dir()]
    runs = sorted({run if run.is_dir() else run.with_suffix("") for run in found})
    return [_in_brief(project, run) for run in (published_run(project), *runs)]


def _in_brief(project: Path, run: Path) -> dict[str, str]:
    asked, about = _read(run / "parameters.yaml") or _read(Path(f"{run}.yaml")), _read(run / "run.json")
    used = (_read(run / "weights.json") or _read(run / RECORDS / "weights.json")).get("used")
    database = about.get("database", {}).get("name") or Path(asked.get("data") or "simulated").name
    values, last = page_content(run, "05-results").get("values", {}), run / "run.json"
    auc = {way: values.get(f"{way.lower()}.auc", {}).get("value") for way in ("fine-tuning", "SVM")}
    own = run == published_run(project)
    date = time.localtime(last.stat().st_mtime) if last.is_file() and not own else None
    return {
        "run": RUN if own else run.name,
        "profile": Path(asked.get("profile") or run.name).stem,
        "database": database.replace("simulated database", "simulated"),
        "weights": Path(used or asked.get("weights") or "auto").name,
        "date": time.strftime("%Y-%m-%d %H:%M", date) if date else "",
        **{way: "" if value is None else f"{value:.3f}" for way, value in auc.items()},
        "size": f"{sum(file.stat().st_size for file in run.rglob('*') if file.is_file()) / 1e6:,.0f} MB",
        "state": _state(project, run),
    }


def _state(project: Path, run: Path) -> str:
    """Whether a run is fresh; if not, which of its pages are missing, broken or stale."""
    if not run.is_dir():
        return "not run yet"
    if not _read(run / "parameters.yaml"):
        return "broken: no parameters.yaml that can be read"
    found: dict[str, list[str]] = {} if (run / "run.json").is_file() else {"unfinished": []}
    for page in (page for page, chapter in check(run, project=project).items() if chapter.reasons):
        there = (run / "published" / f"{page}.json").is_file()
        begun = "by hand, or not to its end" if page_content(run / "staged" / page, page) else "unfinished"
        kind = "stale" if not damages(run, page) else "broken" if there else begun
        found.setdefault(kind, []).append(page[:2])
    return (
        "; ".join(f"{kind}: {', '.join(own)}".rstrip(": ") for kind, own in sorted(found.items())) or "fresh"
    )


def damages(run: Path, page: str) -> list[str]:
    """What of a page is not what it published, in words; a page of an earlier version is taken as it is."""
    content = page_content(run, page)
    if not content:
        return [f"published/{page}.json is not there or cannot be read"]
    if not {"from", "files", "sha256"} & set(content):
        return []
    files = content.get("files", {})
    places = {name: run / name for name in files} | {f"notebooks/{page}.ipynb": kept_notebook(run, page)}
    wrong = [name for name, place in places.items() if _file(place) != files.get(name)]
    wrong += [f"published/{page}.json"] if content != sealed(content) else []
    return [f"{name} is not what the page published" for name in wrong]


def mixture(run: Path, pages: Iterable[str]) -> str:
    """Say which pages were made with other parameters, another database or weights than others; or ""."""
    made = {page: then for page in pages if (then := page_content(run, page).get("from"))}
    for what in ("the parameters", DATABASE, WEIGHTS):
        groups: dict[str, list[str]] = {}
        for page, then in made.items():
            if value := then["inputs"].get(what, then["parameters"]):
                groups.setdefault(_digest(value), []).append(page)
        if len(groups) > 1:
            some, others = (", ".join(group) for group in list(groups.values())[:2])
            return f"{what} that page {some} was made with are not those of {others}"
    return ""


def _read_cells(source: Path, given: Collection[str]) -> tuple[list[str], str]:
    """A digest of each cell of a notebook, and its code; of its parameters, those that are not given."""
    cells, code = [], [_ALWAYS]
    for cell in jupytext.read(source, fmt="md:myst").cells if source.is_file() else ():
        text = cell.source.strip()
        if given and "parameters" in cell.metadata.get("tags", ()):
            text = re.sub(rf"^({'|'.join(given)})\b.*", "", text, flags=re.MULTILINE)
        if cell.cell_type == "code":
            with suppress(SyntaxError):  # is said when it is executed
                code.append(ast.unparse(ast.parse(re.sub(r"(?m)^\s*[%!].*", "pass", text))))  # IPython's own
        cells.append(f"{cell.cell_type[0]}{_digest([text, cell.metadata])[:8]}")
    return cells, "\n".join(code)


def _by_file(found: Mapping[str, str]) -> dict[str, str]:
    """Digests by file of the package, each as a text of ``definition:digest``."""
    files: dict[str, str] = {}
    modules = {}
    for path in PACKAGE.rglob("*.py"):
        file = f"hep2lib/{path.relative_to(PACKAGE).as_posix()}"
        modules[file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = file
    for name, digest in sorted(item for item in found.items() if item[0].startswith("hep2lib")):
        module = name
        while module not in modules:
            module = module.rpartition(".")[0]
        part = f"{name[len(module) + 1 :] or 'top-level'}:{digest[:8]}"
        files[modules[module]] = f"{files.get(modules[module], '')} {part}".strip()
    return files


def _look(places: Iterable[Path]) -> tuple[str, tuple[tuple[str, Path], ...]]:
    """The files of a database, by name, and a digest of their names, sizes and times of modification.

    One that changed in the last two seconds could do so again within the clock's step: its digest comes once.
    """
    found = {
        file: (file.relative_to(place).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
        for place in places
        for file in ([place] if place.is_file() else sorted(place.rglob("*")))
        if file.is_file() and not re.search(r"(^|/)\.(?!$)", file.relative_to(place).as_posix())
    }
    settled = all(changed < time.time_ns() - _SETTLED for *_, changed in found.values())
    looks = _digest([*found.values(), 0 if settled else time.time_ns()])
    return looks, tuple((name, file) for file, (name, *_) in found.items())


@lru_cache(maxsize=1)  # all pages of a run have one database
def _contents(files: tuple[tuple[str, Path], ...], looks: str) -> str:
    return _digest(sorted((name, _file(file)) for name, file in files)) if files else ""


def _file(file: Path) -> str:
    """16 digits of a file's checksum; "" where there is none."""
    return file_digest(file)[:16] if file.is_file() else ""


def _read(file: Path, kind: Any = dict) -> Any:
    """What a JSON or YAML file holds, YAML's words as they are written; empty unless it is of that kind."""
    content = None
    with suppress(OSError, ValueError, yaml.YAMLError):
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else yaml.load(text, yaml.BaseLoader)
    return content if isinstance(content, kind) else {}


def _digest(content: object) -> str:
    """16 hexadecimal digits of something that JSON can write."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
