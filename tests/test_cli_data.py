"""``hep2 data`` and ``hep2 simulate``: what is printed where, and the exit code."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import hep2lib.data.database as reading
import hep2lib.data.report as looking
from hep2lib.cli import _DATABASE_OPTIONS, main
from hep2lib.data.database import read_database
from hep2lib.errors import DatabaseError
from hep2lib.runs.parameters import ParameterError, make_parameters

from .data.handmade import HEADER, aida_rows, draw, write_aida, write_csv, write_png16
from .data.spoiling import IMAGES, SHEET, truncated


@pytest.fixture
def database(tmp_path):
    return write_aida(tmp_path / "data")


def spoil_three_rows(database):
    rows = aida_rows()
    rows[0][2], rows[1][1], rows[2][0] = "maybe", "", "../elsewhere.png"
    write_csv(database / SHEET, [HEADER, *rows])


def test_a_sound_database_is_described(database, capsys):
    assert main(["data", str(database)]) == 0
    printed = capsys.readouterr()
    assert "This database can be used." in printed.out
    assert printed.err == ""
    assert main(["data", str(database), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["usable"], report["counts"]["images"], report["published"]["images"]) == (True, 20, 2080)


def test_options_stand_in_the_report_as_they_are_typed(database, capsys):
    assert main(["data", str(database), "--bits", "12", "--specimen-pattern", r"^(\d+)_"]) == 0
    printed = capsys.readouterr().out
    assert "--bits 12 changes nothing: no image has 16 bits a channel" in printed
    assert (
        r"specimens: '01' for '01_0.png' (--specimen-pattern '^(\d+)_' in file names), 10 in all" in printed
    )


def test_every_problem_is_said_at_once(database, capsys):
    spoil_three_rows(database)
    truncated(database / IMAGES / "06_1.png")
    assert main(["data", str(database)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"hep2: {database} cannot be used, for 4 reasons:\n")
    for row in (2, 3, 4, 13):
        assert f"{SHEET}, row {row}: " in printed.err
    assert "Traceback" not in printed.err


def test_problems_as_json(database, capsys):
    spoil_three_rows(database)
    assert main(["data", str(database), "--json"]) == 2
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert answer["usable"] is False
    assert len(answer["problems"]) == 3
    assert "for 3 reasons" in printed.err


def test_an_image_that_breaks_off_is_a_problem_and_the_rest_is_reported(database, capsys):
    truncated(database / IMAGES / "02_1.png")
    assert main(["data", str(database)]) == 2
    printed = capsys.readouterr()
    assert "Problems (1): this database cannot be used" in printed.out
    assert printed.err.startswith(f"hep2: {SHEET}, row 5: ")
    assert "02_1.png: the image cannot be read" in printed.err


def test_columns_are_given_as_options(database, capsys):
    write_csv(database / SHEET, [("file", "who", "verdict", "x"), *aida_rows()])
    assert main(["data", str(database)]) == 2
    message = capsys.readouterr().err
    assert "the sheet has 'file', 'who', 'verdict', 'x': say which with --label-column ..." in message
    assert "say which with --specimen-column ..." in message
    assert main(["data", str(database), "--label-column", "verdict", "--specimen-column", "who"]) == 0


OPTIONS = {
    "--images ...": lambda root: shutil.rmtree(root / IMAGES),
    "--sheet ...": lambda root: write_csv(root / f"copy of {SHEET}", [HEADER, *aida_rows(5)]),
    "--image-column ...": lambda root: write_csv(root / SHEET, [("a", *HEADER[1:]), *aida_rows()]),
    "--label-column ...": lambda root: write_csv(root / SHEET, [(*HEADER[:2], "b", "c"), *aida_rows()]),
    "--specimen-column ...": lambda root: write_csv(
        root / SHEET, [(HEADER[0], "a", *HEADER[2:]), *aida_rows()]
    ),
    "--specimen-pattern ...": lambda root: write_csv(
        root / SHEET, [(HEADER[0], "a", *HEADER[2:]), *aida_rows()]
    ),
    "say --layout 'mivia' or --layout 'i3a'": lambda root: (root / SHEET).rename(root / "gt_training.csv"),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_messages_name_an_option_as_it_is_typed_here_and_as_a_keyword_in_python(option, database, capsys):
    OPTIONS[option](database)
    if "layout" in option:
        (database / IMAGES).rename(database / "fields")
    with pytest.raises(DatabaseError) as caught:
        read_database(database)
    assert re.sub(r"--([a-z-]+) ", lambda found: f"{found[1].replace('-', '_')}=", option) in str(
        caught.value
    )
    assert "--" not in str(caught.value)
    assert main(["data", str(database), "--json"]) == 2
    printed = capsys.readouterr()
    assert option in printed.err
    assert option in json.loads(printed.out)["problems"][-1]


@pytest.mark.parametrize("command", [["data"], ["run", "--profile", "smoke", "--out", "run", "--data"]])
@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--layout", "dicom"], "--layout 'dicom' is unknown; it may be aida"),
        (["--specimen-pattern", "["], "--specimen-pattern '[' is no regular expression"),
        (["--specimen-pattern", "X(.)"], "row 2: --specimen-pattern 'X(.)' finds no specimen in '01_0.png'"),
    ],
)
def test_an_option_that_does_not_fit_is_named_as_it_was_typed(
    command, option, said, database, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main([*command, str(database), *option]) == 2
    assert said in capsys.readouterr().err


def test_a_database_is_simulated_with_every_option(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--specimens", "20", "--seed", "2", "--laboratories", "3", "--shortcut", "--scale", "0.15"]
    assert main(["simulate", str(out), *options, "--label-noise", "0.2", "--masks"]) == 0
    assert capsys.readouterr().out == f"{out}: 42 images of 20 specimens\n"
    record = json.loads((out / "simulation.json").read_text(encoding="utf-8"))
    written = {"specimens": 20, "seed": 2, "laboratories": 3, "shortcut": True, "label_noise": 0.2}
    assert {**written, "scale": 0.15, "masks": True}.items() <= record.items()
    assert (out / "masks" / "cells.csv").is_file()
    assert main(["data", str(out)]) == 0
    assert "size shortcut" in capsys.readouterr().out
    assert main(["simulate", str(out)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


def test_what_no_folds_can_be_made_of_is_not_usable(tmp_path, capsys):
    few = write_aida(tmp_path / "few", aida_rows(8))
    assert main(["data", str(few), "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["usable"] is False
    assert "3 specimens with negative images" in printed.err
    assert main(["run", "--profile", "smoke", "--out", str(tmp_path / "run"), "--data", str(few)]) == 2
    assert "3 specimens with negative images" in capsys.readouterr().err


def test_the_sheet_of_two_columns(tmp_path, capsys):
    rows = [(row[0], "Negative" if row[2] == "negative" else "Nucleolar, weak") for row in aida_rows()]
    root = write_aida(tmp_path / "AIDA", rows, ("ImageFileName", "StainingPatterns"))
    given = ["--label-column", "StainingPatterns", "--specimen-pattern", r"^(\d+)_"]
    assert main(["data", str(root)]) == 2
    message = capsys.readouterr().err
    assert '--label-column "StainingPatterns" reads it, with --negative "VALUE,VALUE"' in message
    assert "--specimen-pattern ... finds it in file names" in message
    assert main(["data", str(root), *given]) == 0
    assert re.search(r"negative images +8 +582\nspecimens +10 ", capsys.readouterr().out)
    assert main(["data", str(root), *given, "--negative", '"Nucleolar, weak",Negative']) == 2
    assert "all 20 listed images are negative; positive ones are needed too" in capsys.readouterr().err


@pytest.mark.parametrize("bits", ["7", "17", "0"])
def test_bits_out_of_range_are_named_as_typed(bits, database, capsys):
    assert main(["data", str(database), "--bits", bits]) == 2
    assert f"--bits {bits}: 16-bit images use " in capsys.readouterr().err
    assert main(["data", str(database), "--bits", "12"]) == 0


def test_the_options_are_those_of_reading_and_of_a_run():
    keywords = [*inspect.signature(read_database).parameters][1:]
    assert sorted(_DATABASE_OPTIONS) == sorted(keywords)
    given = {name: 12 if name == "bits" else "/x" for name in keywords}
    assert make_parameters("smoke", given).database_options == given
    assert make_parameters("smoke").database_options == {}
    with pytest.raises(ParameterError, match="parameter bits = 20: "):
        make_parameters("smoke", {"bits": 20})


def settle(database):
    """Make all files look as if nobody had written to them for an hour."""
    for path in database.rglob("*.*"):
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)


def of_16_bits(database):
    for number, path in enumerate(sorted((database / IMAGES).iterdir())):
        write_png16(path, np.random.default_rng(number).integers(0, 4095, (20, 20)))


def spoil_pixels(database):
    truncated(database / IMAGES / "06_1.png")
    truncated(database / IMAGES / "03_0.png")


def copy_some(database):
    for copy in ("02_0.png", "02_1.png", "07_0.png"):
        shutil.copyfile(database / IMAGES / "01_0.png", database / IMAGES / copy)


@pytest.mark.parametrize("spoil", [settle, of_16_bits, spoil_pixels, spoil_three_rows, copy_some])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_it_says_the_same_again_without_looking_at_the_images(database, capsys, monkeypatch, spoil, options):
    spoil(database)
    settle(database)
    looked = []
    decode, wide = looking.decode, reading.wide_pixels
    monkeypatch.setattr(
        looking, "decode", lambda path, *more: (looked.append(path.name), decode(path, *more))[1]
    )
    monkeypatch.setattr(reading, "wide_pixels", lambda path: (looked.append(path.name), wide(path))[1])
    calls = []
    for _ in range(2):
        looked.clear()
        code = main(["data", str(database), *options])
        calls.append((code, *capsys.readouterr()))
        assert calls[1:] or len(looked) == {spoil_three_rows: 0, of_16_bits: 40}.get(spoil, 20)
    assert calls[0] == calls[1]
    assert sorted(looked) == (["03_0.png", "06_1.png"] if spoil is spoil_pixels else [])
    assert calls[0][0] == (2 if spoil in (spoil_pixels, spoil_three_rows) else 0)


def test_an_image_that_changed_is_looked_at_again(database, capsys):
    settle(database)
    main(["data", str(database)])
    before = capsys.readouterr().out
    assert "same pixels     0 within a specimen,    0 across specimens" in before
    path, times = database / IMAGES / "07_0.png", (database / IMAGES / "07_0.png").stat()
    copy = (database / IMAGES / "01_0.png").read_bytes()
    path.write_bytes(copy.ljust(times.st_size, b"\0"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1000))
    main(["data", str(database)])
    assert "same pixels     0 within a specimen,    1 across specimens" in capsys.readouterr().out


def test_another_bit_depth_is_another_look(database, capsys):
    of_16_bits(database)
    settle(database)
    assert main(["data", str(database), "--bits", "16"]) == 0
    assert main(["data", str(database), "--bits", "8"]) == 2
    assert ", and 8 bits end at 255" in capsys.readouterr().err
    assert main(["data", str(database), "--bits", "16"]) == 0


def file_in_the_way(tmp_path):
    (tmp_path / "kept").write_bytes(b"")


def folders_in_the_way(tmp_path):
    for file in list((tmp_path / "kept").iterdir()):
        file.unlink()
        (file / "folder").mkdir(parents=True)


def damaged(tmp_path):
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(file.read_bytes().replace(b"false", b"true "))


@pytest.mark.parametrize("spoil", [file_in_the_way, folders_in_the_way, damaged])
def test_a_cache_that_cannot_be_used_is_not_needed(database, tmp_path, capsys, monkeypatch, spoil):
    settle(database)
    main(["data", str(database)])
    expected = capsys.readouterr()
    monkeypatch.setenv("HEP2_CACHE", str(tmp_path / "kept"))
    if spoil is not file_in_the_way:
        main(["data", str(database)])
        capsys.readouterr()
        assert len(list((tmp_path / "kept").iterdir())) == 1
    spoil(tmp_path)
    for _ in range(2):
        assert main(["data", str(database)]) == 0
        assert capsys.readouterr() == expected


def test_no_large_library_is_imported_to_say_it_again(database):
    instruments = [[*row, "AB"[number % 2]] for number, row in enumerate(aida_rows())]
    write_csv(database / SHEET, [[*HEADER, "Instrument"], *instruments])
    draw(database / IMAGES / "01_0.png", size=(50, 50))
    settle(database)
    assert main(["data", str(database)]) == 0
    code = (
        f"import sys; from hep2lib.cli import main; main(['data', {str(database)!r}]); "
        "print({'torch', 'torchvision', 'scipy', 'sklearn', 'matplotlib', 'openpyxl'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "all together" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"
