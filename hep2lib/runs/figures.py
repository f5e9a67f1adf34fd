"""A figure of results as two files: SVG for print, and a compact PNG that the book and the notebook show."""

import io

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

RESOLUTIONS = (200, 160, 130, 110)  # dots per inch, tried in turn until the file is small enough
LARGEST = 150_000  # bytes of a PNG, where the lowest resolution allows it
MARGIN = 0.05  # inches around everything drawn


def figure_png(figure: Figure) -> tuple[bytes, int]:
    """Draw a figure as a PNG of at most 256 colours, and of `LARGEST` bytes where a lower resolution allows.

    Args:
        figure: what to draw; its background is made white.

    Returns:
        The file's bytes, and the width in CSS pixels (96 to the inch) at which its text has the size it was
        drawn for.
    """
    content, width, before = b"", 0, RESOLUTIONS[0]
    for resolution in RESOLUTIONS:
        at_best = len(content) * (resolution / before) ** 2
        if at_best > LARGEST and resolution > RESOLUTIONS[-1]:
            continue  # too large still: a file shrinks no faster than its pixels
        content, pixels = _compact_png(figure, resolution)
        width, before = round(pixels / resolution * 96), resolution
        if len(content) <= LARGEST:
            break
    return content, width


def figure_svg(figure: Figure, name: str) -> bytes:
    """Draw a figure as SVG with its letters as outlines: the same figure and name give the same bytes.

    Args:
        figure: what to draw.
        name: makes the ids inside the file, which would otherwise be random.
    """
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(
            buffer,
            format="svg",
            bbox_inches="tight",
            pad_inches=MARGIN,
            facecolor="white",
            metadata={"Date": None, "Creator": None},
        )
    return buffer.getvalue()


def _compact_png(figure: Figure, resolution: int) -> tuple[bytes, int]:
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        dpi=resolution,
        bbox_inches="tight",
        pad_inches=MARGIN,
        facecolor="white",
        pil_kwargs={"compress_level": 1},  # read again at once: speed matters, size does not
    )
    with Image.open(buffer) as drawn:
        colours = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    compact = io.BytesIO()
    colours.save(compact, format="PNG", optimize=True)
    return compact.getvalue(), colours.width
