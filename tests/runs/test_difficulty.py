"""The stated difficulty: of this simulator, over several seeds, and in the range that it was made for."""

import json

import pytest

from hep2lib.errors import InputError
from hep2lib.evaluation.leak import FIGURES
from hep2lib.runs import paper
from hep2lib.simulator import simulation


def test_the_stated_difficulty_is_that_of_this_simulator():
    stated = paper.stated_difficulty()
    assert list(stated) == list(FIGURES)
    assert stated["intensity"].count >= 5
    assert 0.85 <= stated["intensity"].mean <= 0.95
    assert stated["nearest neighbours, leak"].lowest > 0
    assert stated["metadata"].highest < 0.6


def test_what_is_written_is_stated(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "difficulty_file", lambda: tmp_path / "difficulty.json")
    paper.write_difficulty([dict.fromkeys(FIGURES, 0.25), dict.fromkeys(FIGURES, 0.75)], specimens=10)
    stated = paper.stated_difficulty()
    assert (stated["intensity"].mean, stated["intensity"].highest, stated["metadata"].count) == (0.5, 0.75, 2)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"simulator_version": 0, "seeds": []}'])
def test_figures_of_another_simulator_or_none_are_refused(tmp_path, monkeypatch, content):
    monkeypatch.setattr(paper, "difficulty_file", lambda: tmp_path / "difficulty.json")
    with pytest.raises(InputError, match=r"measure it with `python benchmarks/difficulty.py --write`"):
        paper.stated_difficulty()
    (tmp_path / "difficulty.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"measure it with `python benchmarks/difficulty.py --write`"):
        paper.stated_difficulty()
    now = {"simulator_version": simulation.VERSION, "seeds": [{"intensity": 1}]}
    (tmp_path / "difficulty.json").write_text(json.dumps(now), encoding="utf-8")
    with pytest.raises(InputError, match="no figures of the simulator's difficulty"):
        paper.stated_difficulty()
