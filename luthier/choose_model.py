"""Which model a study uses when nobody names one."""

from __future__ import annotations

import importlib.util

DEFAULT_FILE = "qwen2.5-coder-1.5b"


def default_model() -> tuple[str, str | None]:
    """The model string, and what to tell the user once when there is no model to use."""
    from .models.files import present

    if importlib.util.find_spec("xllamacpp") is None:
        return "none", "no model: the advisors tune alone; `pip install 'luthier[embedded]'` brings the embedded one"
    if not present(DEFAULT_FILE):
        return "none", f"no model: the advisors tune alone; `luthier models pull {DEFAULT_FILE}` fetches one (1.1 GB)"
    return "embedded", None
