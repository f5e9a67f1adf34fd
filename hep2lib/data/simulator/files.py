"""How pictures, masks and the sheet are stored: the same contents always give the same bytes."""

import io
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl import Workbook
from PIL import Image

_LONG_AGO = datetime(2020, 1, 1)


def save_picture(picture: NDArray[np.uint8], path: Path, quality: int) -> None:
    """Store a picture in the format that the extension names.

    Args:
        picture: H x W x 3 uint8.
        path: the file, ``.jpg``, ``.bmp`` or ``.png``.
        quality: of a JPEG file.
    """
    options: dict[str, Any] = {}
    if path.suffix == ".jpg":
        options = {"quality": quality}
    elif path.suffix == ".png":
        options = {"compress_level": 1}  # noise hardly compresses; higher levels only take longer
    Image.fromarray(picture).save(path, **options)


def save_mask(owner: NDArray[np.int16], path: Path, size: tuple[int, int]) -> None:
    """Store a mask as 16-bit PNG: 0 is background, 1, 2, ... the nuclei and dividing cells.

    Args:
        owner: H x W, number of the cell, -1 for none.
        path: the file.
        size: width and height of the picture that it belongs to.
    """
    mask = Image.fromarray((owner + 1).astype(np.uint16))
    mask.resize(size, Image.Resampling.NEAREST).save(path)


def save_sheet(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Store rows as the first sheet of an xlsx file.

    Spreadsheet files carry the time of writing in several places; it is set to a fixed one.

    Args:
        rows: at least one, all with the same keys, which become the header.
        path: the file.
    """
    book = Workbook()
    page = book.active
    page.title = "GroundTruth"
    page.append(list(rows[0]))
    for row in rows:
        page.append(list(row.values()))
    page.freeze_panes = "A2"
    book.properties.creator = "hep2lib"
    book.properties.created = _LONG_AGO
    raw = io.BytesIO()
    book.save(raw)
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                modified = book.properties.modified.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
                content = content.replace(modified, _LONG_AGO.strftime("%Y-%m-%dT%H:%M:%SZ").encode())
            target.writestr(zipfile.ZipInfo(name, _LONG_AGO.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)
