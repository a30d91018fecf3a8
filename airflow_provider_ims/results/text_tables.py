"""Small tables as text, for the end of a task's log."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[object]], header: Sequence[str] = ()) -> str:
    """
    Return rows under each other, text to the left and counts to the right.

    :param rows: of equal length
    :param header: the names of the columns
    """
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    shown = [[name.replace("_", " ") for name in header], *cells] if header else cells
    if not shown:
        return ""
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    numbers = [bool(rows) and all(isinstance(row[place], int) for row in rows) for place in range(len(widths))]
    return "\n".join(
        "  "
        + "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in shown
    )
