"""A browser on this machine: where it is, and how it is started so that it talks to nobody else."""

from __future__ import annotations

import os
import shutil

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # root, as in a container, has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-GB",
)


def find_browser() -> str:
    """
    Return the path of a browser: ``CHROMIUM`` of the environment, or what is installed.

    :raises FileNotFoundError: when there is none
    """
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise FileNotFoundError(
            "No chromium was found, and the page is tested in one.\nDebian: apt-get install chromium; or name one in"
            " the environment variable CHROMIUM."
        )
    return found
