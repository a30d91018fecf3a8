"""Every transcript reads as it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.recorded.reading import found_in

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.jsonl"))


def test_there_are_transcripts():
    assert {path.stem for path in TRANSCRIPTS} >= {"simulator", "simulator_other_shapes"}


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript_reads_as_it_did(path: Path):
    assert found_in(path) == json.loads(path.with_suffix(".expected.json").read_text())
