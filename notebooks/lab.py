"""For `jupyter lab --config notebooks/lab.py`: opening and saving a chapter changes no file."""


def without_language(model, **_):
    """Leave out which version of Python the notebook was opened with."""
    if model["type"] == "notebook":
        model["content"]["metadata"].pop("language_info", None)


c = get_config()  # noqa: F821 (Jupyter, which executes this file, provides it)
c.FileContentsManager.pre_save_hook = without_language
