import base64
import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from hep2lib.figures.style import data_uri, panels, style, thumbnails, typeset
from hep2lib.runs.publish import Publication

HOSTILE = {
    "axes.facecolor": "black",
    "axes.labelcolor": "white",
    "axes.unicode_minus": False,
    "figure.facecolor": "black",
    "figure.constrained_layout.h_pad": 1.0,
    "font.family": "monospace",
    "font.size": 30,
    "image.cmap": "hot",
    "lines.linewidth": 9,
    "path.sketch": (1, 100, 2),
    "savefig.bbox": "standard",
    "savefig.transparent": True,
    "svg.image_inline": False,
    "text.color": "white",
    "text.usetex": True,
    "xtick.color": "white",
    "xtick.minor.visible": True,
}


def test_a_thumbnail_is_small_grey_and_bright_enough():
    field = np.zeros((1, 3, 96, 96), np.uint8)
    field[0, 1, :48] = 25  # dim green
    field[0, 0] = 200  # red is not looked at
    (small,) = thumbnails(field)
    assert small.shape == (48, 48)
    assert small[:24].tolist() == [[255] * 48] * 24
    assert small[24:].max() == 0
    address = data_uri(small, "png")
    assert address.startswith("data:image/png;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert np.array_equal(np.asarray(picture), small)


@style()
def drawn():
    figure, grid = panels(1, 2, 4, 2)
    grid[0, 0].plot([-1, 2], [1, 3], label="a line")
    grid[0, 0].set(xlabel="$x^2$", title="Lines")
    grid[0, 0].legend()
    grid[0, 1].imshow([[1, 2], [3, 4]])
    return figure


def published(folder):
    alt = "A line that rises, beside a picture of two by two pixels."
    Publication(folder, "01-dataset").figure("lines", drawn(), alt=alt, caption="Lines and pixels.")
    return [
        (folder / "staged" / "01-dataset" / "figures" / f"lines.{ending}").read_bytes()
        for ending in ("png", "svg")
    ]


def test_a_persons_own_matplotlibrc_changes_no_figure(tmp_path):
    plain = published(tmp_path / "plain")
    with mpl.rc_context(HOSTILE):
        assert published(tmp_path / "hostile") == plain
        assert mpl.rcParams["font.size"] == 30  # theirs again
    assert published(tmp_path / "again") == plain


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_the_look_starts_from_the_defaults(name):
    with mpl.rc_context({name: HOSTILE[name]}), style():
        own = {"figure.facecolor": "white", "font.size": 10}
        assert mpl.rcParams[name] == own.get(name, mpl.rcParamsDefault[name])
    plt.close("all")


@pytest.mark.parametrize(
    ("number", "form", "text"),
    [
        (-0.05, "+.2f", "−0.05"),
        (0.934, ".1%", "93.4\xa0%"),
        (14400, ",", "14,400"),
        (8.4e-11, ".0e", "8 × 10⁻¹¹"),
        (-2.5e20, ".2g", "−2.5 × 10²⁰"),
        (1e-6, ".4g", "1 × 10⁻⁶"),
        (float("nan"), ".3f", "nan"),
    ],
)
def test_a_number_is_set_as_a_reader_meets_it(number, form, text):
    assert typeset(number, form) == text


@pytest.mark.parametrize("before", [False, True])
def test_a_figure_of_ones_own_is_shown_after_one_of_the_books(before):
    """A notebook's backend is loaded with the first figure, and turns the showing of figures on."""
    with mpl.rc_context():
        plt.interactive(before)
        with style():
            pass
        assert plt.isinteractive() == before
        with style():
            plt.interactive(True)
        assert plt.isinteractive()
