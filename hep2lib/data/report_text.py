"""The report on a database as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hep2lib.data.problems import counted, some

if TYPE_CHECKING:
    from hep2lib.data.report import DatabaseReport

_MOST_VALUES = 15


def report_lines(report: DatabaseReport) -> Iterator[str]:
    """Write the report, line by line.

    Args:
        report: what was found.

    Yields:
        Lines without line breaks.
    """
    yield report.name
    yield f"  {report.layout} layout, images in {report.folder}"
    yield ""
    yield from _counts(report)
    yield ""
    yield from _images_per_specimen(report)
    for name, values in report.values.items():
        yield ""
        yield from _values(name, values)
    if report.age:
        age = report.age
        yield ""
        years = f"{age['youngest']:.0f} to {age['oldest']:.0f} years, median {age['median']:.0f}"
        yield f"Age: {years} (known for {counted(int(age['known']), 'image')})"
    yield ""
    yield from _duplicates(report)
    yield ""
    yield from _shortcuts(report)
    if report.warnings:
        yield ""
        yield f"Warnings ({len(report.warnings)})"
        yield from (f"  - {warning}" for warning in report.warnings)
    yield ""
    if report.problems:
        yield f"Problems ({len(report.problems)}): this database cannot be used"
        yield from (f"  - {problem}" for problem in report.problems)
    else:
        yield "This database can be used."


def _counts(report: DatabaseReport) -> Iterator[str]:
    published = report.published
    yield f"{'':<18}{'found':>8}" + (f"{'AIDA':>8}" if published else "")
    for name, number in report.counts.items():
        yield f"{name:<18}{number:>8,}" + (f"{published[name]:>8,}" if published else "")
    if published:
        yield "AIDA: the public database's counts as published; a copy may have fewer images."


def _images_per_specimen(report: DatabaseReport) -> Iterator[str]:
    yield "Images per specimen"
    for name, sizes in report.images_per_specimen.items():
        specimens = sum(sizes.values())
        if specimens:
            mean = sum(images * number for images, number in sizes.items()) / specimens
            parts = ", ".join(f"{number:,} with {images}" for images, number in sizes.items())
            yield f"  {name:<10}{counted(specimens, 'specimen')}, mean {mean:.2f} images: {parts}"


def _values(name: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"Images by {name}"
    shown = list(values.items())[:_MOST_VALUES]
    width = max(len(value) for value, _ in shown) + 2
    for value, number in shown:
        yield f"  {value:<{width}}{number:>6,}"
    if len(values) > len(shown):
        rest = sum(list(values.values())[_MOST_VALUES:])
        yield f"  {f'{len(values) - len(shown)} others':<{width}}{rest:>6,}"


def _duplicates(report: DatabaseReport) -> Iterator[str]:
    yield "Duplicates"
    for exact, name in ((True, "same pixels"), (False, "look alike")):
        groups = [group for group in report.duplicates if group.exact == exact]
        across = [group for group in groups if group.across]
        within = len(groups) - len(across)
        yield f"  {name:<13}{within:>4} within a specimen, {len(across):>4} across specimens"
        if groups:
            yield f"    {some((' = '.join(group.images) for group in [*across, *groups][:10]), 3)}"
    mixed = report.mixed_specimens
    yield f"Specimens with both labels: {len(mixed)}" + (f" ({some(mixed)})" if mixed else "")


def _shortcuts(report: DatabaseReport) -> Iterator[str]:
    yield "What the files alone tell of the label (AUC on unseen specimens; 0.5 or less is nothing)"
    if not report.shortcuts:
        yield "  nothing: all files are of one size and format" if report.usable else "  not measured"
    names = [name for name in report.images_per_specimen if name != "both"]
    for shortcut in report.shortcuts:
        judged = f"AUC {shortcut.auc:.2f}  (chance: up to {shortcut.chance:.2f})"
        yield f"  {shortcut.attribute:<14}{judged}" + ("  <- suspicious" if shortcut.suspicious else "")
        for value, (negative, positive) in shortcut.table.items():
            yield f"    {value:<24}{negative:>6,} {names[0]} {positive:>6,} {names[1]}"
