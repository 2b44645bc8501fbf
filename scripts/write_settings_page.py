"""Write docs/settings.md from the settings themselves: python scripts/write_settings_page.py [FILE]."""

from __future__ import annotations

import sys
from pathlib import Path

from framewatch.settings import Settings, environment_name, option_name

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
INTRODUCTION = """# Settings

Made by `scripts/write_settings_page.py` from `src/settings.py`. An option wins over its variable. A command takes the
options that concern it (`framewatch COMMAND --help`); a variable holds for all. Passwords have no option, since
anybody on the machine can read the options of a running program.

| variable | option | what | default |
| --- | --- | --- | --- |
"""
AWS = {"aws_endpoint_url", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_region"}
WITHOUT_OPTION = frozenset(
    {*AWS, "cache", "kafka_bootstrap_servers", "kafka_options", "mongodb_uri", "password", "user", "webhook"}
)
MADE = {
    "home": "the user's data folder",
    "cache": "the user's cache folder",
    "classifier_threads": "the cores there are",
    "models": "`models` of the checkout, else of the user's data folder",
    "kafka_options": "none",
    "hosts": "none",
    "origins": "none",
    "trusted_proxies": "none",
}


def settings_page() -> str:
    """The page's text."""
    rows = []
    for field, about in Settings.model_fields.items():
        option = "" if field in WITHOUT_OPTION else f"`{option_name(field)}`"
        default = MADE.get(field) or ("" if about.default is None else f"`{about.default}`".lower())
        text = (about.description or "").replace("|", "\\|")
        rows.append(f"| `{environment_name(field)}` | {option} | {text} | {default} |")
    return INTRODUCTION + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else PAGE).write_text(settings_page())
