"""Writes what is to be expected of a transcript, beside it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.recorded.reading import found_in

for name in sys.argv[1:]:
    path = Path(name)
    path.with_suffix(".expected.json").write_text(json.dumps(found_in(path), indent=1) + "\n")
