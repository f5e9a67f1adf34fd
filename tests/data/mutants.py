"""Good databases in memory, whose truth is known, and how they are written to disk.

A database is a list of fields (what a viewer shows, whom it belongs to, what it may be called) and, but for
class folders, a sheet of rows. What mutates one (``mutations.py``) changes what is written, and the truth
only where a careful person would come to another one.
"""

import csv
import io
import struct
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet
from PIL import Image

from tests.data.handmade import write_png16, write_xls

Picture = NDArray[np.uint8]  # H x W x 3, as a viewer shows it
SPECIMENS, IMAGES, SIZE = 12, 2, (24, 32)
SHEET = "the sheet's name"  # among the marks, until it is written
SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp", "GIF": ".gif"}
SUFFIX["JPEG2000"] = ".jp2"


@dataclass(eq=False)
class Field:
    """One image: its file, and what may truly be said of it.

    ``labels`` are those that it may be given; none where only a person can say. ``pictures`` are those that
    its file may be decoded to; none where it cannot be read. ``content`` is None where there is no file.
    """

    file: str  # below the image folder, with "/"
    specimen: str
    labels: frozenset[int]
    pattern: str
    pictures: list[Picture]
    content: bytes | None
    deep: bool = False  # 16 bits a channel
    touched: bool = False


@dataclass(eq=False)
class Row:
    """One row of the sheet; ``touched`` if a mutation has changed it, so that others keep off.

    It is ``blamed`` if that may be refused: an error may name the row then.
    """

    field: Field | None
    cells: dict[str, Any]
    touched: bool = False
    blamed: bool = False


@dataclass
class Database:
    """A database in memory, what it is written as, and what a reader may make of it."""

    layout: str
    folder: str  # of the images, below the root
    fields: list[Field]
    headers: dict[str, Any] = field(default_factory=dict)  # column to header, in the sheet's order
    rows: list[Row] = field(default_factory=list)
    sheet: str = ""  # without its ending
    form: str = ""  # "csv", "xls" or "xlsx"
    fixed: bool = False  # the form is part of a mutation
    suffix: str = ""  # "" for the form's own
    above: list[list[Any]] = field(default_factory=list)
    below: list[list[Any]] = field(default_factory=list)
    pages: dict[str, list[Row]] = field(default_factory=dict)  # of one header; empty: one page
    other_pages: dict[str, list[list[Any]]] = field(default_factory=dict)
    finish: list[Callable[[Worksheet], None]] = field(default_factory=list)  # of an xlsx's first page
    text: dict[str, Any] = field(default_factory=dict)
    copies: dict[str, Callable[[list[list[Any]]], list[list[Any]]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)  # others, below the root
    extras: list[str] = field(default_factory=list)  # of these, images that a user would miss (names)
    options: dict[str, Any] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)  # of which an error has to name one
    says: list[str] = field(default_factory=list)  # regular expressions that a report has to match
    explains: list[str] = field(
        default_factory=list
    )  # that an error has to match, where it is the only fault
    never: list[str] = field(default_factory=list)  # that no error may match
    blamed: int = 0  # mutations after which a refusal is right

    @property
    def keeps(self) -> bool:
        """Whether the meaning is plain, so that no refusal will do."""
        return self.blamed == 0

    def number(self, row: Row) -> int:
        """Number a row as a spreadsheet program does, on its page."""
        page = next((rows for rows in self.pages.values() if row in rows), self.rows)
        return len(self.above) + 2 + page.index(row)

    def column(self, name: str) -> int:
        """Number a column as a spreadsheet program does."""
        return 1 + list(self.headers).index(name)

    def table(self, rows: Sequence[Row]) -> list[list[Any]]:
        head = [*self.above, list(self.headers.values())]
        return [*head, *([row.cells.get(c) for c in self.headers] for row in rows), *self.below]

    def row(self, one: Field) -> Row | None:
        return next((row for row in self.rows if row.field is one), None)

    def listed(self, one: Field) -> bool:
        return not self.headers or self.row(one) is not None

    def write(self, root: Path) -> None:
        images = root / self.folder
        images.mkdir(parents=True)
        for one in self.fields:
            if one.content is not None:
                path = images / one.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(one.content)
        for name, content in self.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        if not self.headers:
            return
        path = root / f"{self.sheet}{self.suffix or '.' + self.form}"
        self.marks |= {f"row {self.number(row)}" for row in self.rows if row.blamed}
        self.marks = {path.name if mark == SHEET else mark for mark in self.marks}
        if self.form == "xlsx":
            path.write_bytes(self._workbook())
        elif self.form == "xls":
            write_xls(path, self.table(self.rows))
        else:
            path.write_bytes(as_text(self.table(self.rows), **self.text))
        for name, change in self.copies.items():
            table = change(self.table(self.rows))
            if name.endswith(".xls"):
                write_xls(root / name, table)
            else:
                book = Workbook()
                for cells in table:
                    book.active.append(cells)
                content = io.BytesIO()
                book.save(content)
                (root / name).write_bytes(as_text(table) if name.endswith(".csv") else content.getvalue())

    def _workbook(self) -> bytes:
        book = Workbook()
        book.remove(book.active)
        for title, rows in (self.pages or {"Sheet1": self.rows}).items():
            page = book.create_sheet(title)
            for cells in self.table(rows):
                page.append(cells)
        for finish in self.finish:
            finish(book.worksheets[0])
        for title, table in self.other_pages.items():
            page = book.create_sheet(title)
            for cells in table:
                page.append(cells)
        content = io.BytesIO()
        book.save(content)
        return content.getvalue()


def as_text(
    table: list[list[Any]],
    delimiter: str = ",",
    encoding: str = "utf-8",
    newline: str = "\n",
    quoting: int = csv.QUOTE_MINIMAL,
    first: str = "",
    final_newline: bool = True,
) -> bytes:
    """Write a table as text, ``first`` standing in a line above it."""
    stream = io.StringIO(newline="")
    if first:
        stream.write(first + newline)
    if any("\n" in str(cell) or "\r" in str(cell) for line in table for cell in line):
        quoting = csv.QUOTE_ALL  # Python quotes only such line ends as it writes itself
    csv.writer(stream, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(table)
    text = stream.getvalue()
    text = text if final_newline else text.removesuffix(newline)
    if encoding == "utf-16-be-sig":
        return b"\xfe\xff" + text.encode("utf-16-be")
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode()


def picture(rng: np.random.Generator, positive: bool, green: bool) -> Picture:
    """Draw discs on dark ground, brighter where positive; no two alike."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    grey = rng.normal(14, 3, SIZE)
    for _ in range(4):
        cy, cx, radius = rng.uniform(3, height - 3), rng.uniform(3, width - 3), rng.uniform(3, 6)
        grey += (110 if positive else 30) * ((y - cy) ** 2 + (x - cx) ** 2 < radius**2) * rng.uniform(0.6, 1)
    grey = np.clip(grey, 0, 230).astype(np.uint8)
    return np.stack([grey // 8, grey, grey // 8] if green else [grey] * 3, axis=-1)


def encoded(pixels: Any, form: str, **options: Any) -> bytes:
    """Encode what Pillow takes for an image, as well as the format can."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if form == "JPEG":
        options = {"quality": 95, "subsampling": 0, **options}
    if form == "WEBP":
        options = {"lossless": True, **options}
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def tiff(
    samples: NDArray[Any],
    *,
    photometric: int = 1,
    order: str = "<",
    planar: bool = False,
    orientation: int = 1,
    extra: int | None = None,
    bits: int | None = None,
    sample_format: int = 1,
    compression: int = 1,
    data: bytes | None = None,
) -> bytes:
    """Write an uncompressed TIFF of one strip (or of one a plane), tag by tag (TIFF 6.0).

    ``samples`` are H x W or H x W x S, of any unsigned or floating type; ``bits`` below the type's own are
    packed. ``data`` replaces the strip, for a compression that is done elsewhere.
    """
    samples = samples[..., None] if samples.ndim == 2 else samples
    height, width, count = samples.shape
    planes = [samples[..., [k]] for k in range(count)] if planar else [samples]
    bits = bits or samples.dtype.itemsize * 8
    strips = [_packed(plane, bits, order) for plane in planes] if data is None else [data]
    tags: dict[int, tuple[int, list[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * count),
        259: (3, [compression]),
        262: (3, [photometric]),
        273: (4, [0] * len(strips)),
        274: (3, [orientation]),
        277: (3, [count]),
        278: (4, [height]),
        279: (4, [len(strip) for strip in strips]),
        284: (3, [2 if planar else 1]),
        339: (3, [sample_format] * count),
    }
    if extra is not None:
        tags[338] = (3, [extra])
    start = 8 + 2 + 12 * len(tags) + 4
    room = sum(
        len(v) * (2 if kind == 3 else 4) for kind, v in tags.values() if len(v) * (2, 4)[kind == 4] > 4
    )
    place = start + room
    for number, strip in enumerate(strips):
        tags[273][1][number] = place
        place += len(strip)
    directory, rest = struct.pack(order + "H", len(tags)), b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            packed, rest = struct.pack(order + "I", start + len(rest)), rest + packed
        directory += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return head + directory + bytes(4) + rest + b"".join(strips)


def _packed(plane: NDArray[Any], bits: int, order: str) -> bytes:
    if bits == plane.dtype.itemsize * 8:
        return plane.astype(plane.dtype.newbyteorder(order)).tobytes()
    lines = plane.reshape(len(plane), -1)
    places = np.arange(bits)[::-1]
    return np.packbits(
        ((lines[..., None] >> places) & 1).reshape(len(lines), -1).astype(np.uint8), axis=1
    ).tobytes()


def rare_tiff(grey: Any, kind: str) -> bytes:
    """Write a grey picture, uint8 H x W, as a TIFF of a kind that few programs write."""
    if kind.startswith("float"):
        return tiff((grey / 255).astype("float64" if kind == "float64" else "float32"), sample_format=3)
    if kind == "uint32":
        return tiff(grey.astype(np.uint32) * 16843009)
    if kind == "12 bits packed":
        return tiff(np.rint(grey / 255 * 4095).astype(np.uint16), bits=12, order=">")
    if kind == "4 bits":
        return tiff(np.rint(grey / 17).astype(np.uint8), bits=4)
    if kind == "two samples":
        return tiff(np.stack([grey, np.full_like(grey, 255)], axis=-1), extra=2)
    if kind == "JPEG 2000":
        return tiff(grey, compression=34712, data=encoded(grey, "JPEG2000", irreversible=False))
    if kind == "signed":
        return tiff(grey.astype(np.uint16) * 128, sample_format=2)
    if kind == "compression unheard-of":
        return tiff(grey, compression=50999)
    if kind == "five samples":
        return tiff(np.stack([grey] * 5, axis=-1), extra=0)
    if kind == "CMYK":
        return tiff(np.stack([255 - grey] * 3 + [np.zeros_like(grey)], axis=-1), photometric=5)
    if kind == "LAB":
        return tiff(np.stack([grey, grey * 0, grey * 0], axis=-1), photometric=8)
    return encoded(Image.fromarray(grey).convert("P"), "TIFF")


def png16(samples: Any) -> bytes:
    """Encode 16 bits a channel as PNG; a file in between, as the writer wants one."""
    with tempfile.TemporaryDirectory() as folder:
        return write_png16(Path(folder) / "a.png", samples).read_bytes()


def bmp(grey: Any, kind: str) -> bytes:
    """Write a BMP: 16 bits a pixel (5-6-5 or 5-5-5), 32 bits, the OS/2 header, or first line first."""
    height, width = grey.shape
    lines = grey if kind == "bmp top-down" else grey[::-1]
    wide_ = lines.astype(np.uint32)
    masks = b""
    compression = 0
    if kind == "bmp 565":
        pixels = ((wide_ >> 3 << 11) | (wide_ >> 2 << 5) | (wide_ >> 3)).astype("<u2").tobytes()
        bits, compression, masks = 16, 3, struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    elif kind == "bmp 555":
        pixels, bits = ((wide_ >> 3 << 10) | (wide_ >> 3 << 5) | (wide_ >> 3)).astype("<u2").tobytes(), 16
    elif kind == "bmp 32":
        pixels, bits = (wide_ | wide_ << 8 | wide_ << 16).astype("<u4").tobytes(), 32
    else:
        pixels, bits = np.repeat(lines[..., None], 3, axis=-1).tobytes(), 24
    if kind == "bmp os2":
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if kind == "bmp top-down" else height
        head = struct.pack("<IiiHHIIiiII", 40, width, signed, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    start = 14 + len(head) + len(masks)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + masks + pixels


def _fields(
    rng: np.random.Generator, name: Callable[[int, int, int], tuple[str, str]], form: str
) -> list[Field]:
    """Draw a database's images; ``name`` gives file and specimen of (specimen, image, label)."""
    fields = []
    patterns = ("homogeneous", "fine speckled", "centromere", "nucleolar")
    for specimen in range(1, SPECIMENS + 1):
        label = specimen % 2
        for number in range(1, IMAGES + 1):
            drawn = picture(rng, bool(label), green=form in ("JPEG", "BMP"))
            file, owner = name(specimen, number, label)
            deep = form == "TIFF"
            content = tiff(drawn[..., 1].astype(np.uint16) * 257) if deep else encoded(drawn, form)
            pattern = patterns[specimen // 2 % 4] if label else "negative"
            fields.append(Field(file, owner, frozenset([label]), pattern, [drawn], content, deep))
    return fields


def word(one: Field, negative: Any = "negative", positive: Any = "positive") -> Any:
    """The word for a field's label as the good database had it."""
    return negative if one.pattern == "negative" else positive


def aida(rng: np.random.Generator) -> Database:
    """AIDA's layout: a workbook beside a flat folder."""
    fields = _fields(rng, lambda s, n, _: (f"P{s:02d}_field{n}.jpg", str(100 + s)), "JPEG")
    columns = {"image": "ImageFileName", "specimen": "PatientID", "label": "Fluorescence"}
    rows = [
        Row(f, {"image": f.file, "specimen": int(f.specimen), "label": word(f), "pattern": f.pattern})
        for f in fields
    ]
    headers = {**columns, "pattern": "StainingPatterns"}
    form = str(rng.choice(["xls", "xlsx"]))
    return Database("aida", "aida_project_database", fields, headers, rows, "AIDA_HEp-2_GroundTruth", form)


def manifest(rng: np.random.Generator) -> Database:
    """A text table with more columns, and the images in sub-folders."""
    sites = ("palermo", "sciacca", "agrigento")
    form = str(rng.choice(["PNG", "BMP"]))
    fields = _fields(rng, lambda s, n, _: (f"{sites[s % 3]}/im{s:02d}-{n}{SUFFIX[form]}", f"P{s:02d}"), form)
    rows = []
    for number, one in enumerate(fields):
        cells = {"image": one.file, "specimen": one.specimen, "label": word(one, "Negative", "Positive")}
        cells |= {
            "pattern": one.pattern,
            "site": one.file.split("/")[0],
            "age": 30 + number // 2,
            "sex": "fm"[number % 4 // 2],
        }
        rows.append(Row(one, cells))
    headers = {"image": "Image", "site": "Site", "specimen": "Patient", "age": "Age", "sex": "Sex"}
    headers |= {"label": "Label", "pattern": "Pattern"}
    return Database("manifest", "", fields, headers, rows, "manifest", "csv")


def folders(rng: np.random.Generator) -> Database:
    """One folder a class, one folder a specimen."""
    form = str(rng.choice(["PNG", "JPEG"]))
    names = ("negative", "positive")
    fields = _fields(rng, lambda s, n, k: (f"{names[k]}/S{s:02d}/field{n}{SUFFIX[form]}", f"S{s:02d}"), form)
    return Database("folders", "", fields)


def deep(rng: np.random.Generator) -> Database:
    """16-bit TIFFs beside a text table."""
    fields = _fields(rng, lambda s, n, _: (f"well{s:02d}_{n}.tif", f"W-{s:02d}"), "TIFF")
    rows = [Row(f, {"image": f.file, "label": word(f, "neg", "pos"), "specimen": f.specimen}) for f in fields]
    headers = {"image": "file name", "label": "class", "specimen": "well"}
    return Database("deep", "", fields, headers, rows, "wells", "csv")


GOOD = {"aida": aida, "manifest": manifest, "folders": folders, "deep": deep}
