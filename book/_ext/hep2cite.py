"""Labels in the list of references that read as the citations in the text do: "Taormina et al., 2020a"."""

from collections.abc import Iterable, Iterator

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.alpha import Style
from pybtex.style.labels import BaseLabelStyle


class AuthorYearLabels(BaseLabelStyle):
    """Author and year; letters that tell years apart stand in the year itself (``year = {2020a}``)."""

    def format_labels(self, entries: Iterable[Entry]) -> Iterator[str]:
        """Yield one label an entry; Sphinx warns of two that are equal."""
        for entry in entries:
            names = [
                " ".join(map(str, one.rich_prelast_names + one.rich_last_names))
                for one in entry.persons["author"]
            ]
            who = " and ".join(names) if len(names) < 3 and "others" not in names else f"{names[0]} et al."
            yield f"{who}, {entry.fields['year']}"


class AuthorYearStyle(Style):
    """Pybtex's "alpha", with these labels."""

    default_label_style = AuthorYearLabels


def setup() -> None:
    """Make the style known under the name that ``bibtex_default_style`` has in ``_config.yml``."""
    register_plugin("pybtex.style.formatting", "hep2", AuthorYearStyle)
