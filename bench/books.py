"""Makes a snapshot and books whose true pairs are known: the same ones every time."""

from __future__ import annotations

from pathlib import Path

LABELS = {
    "exact": 600,
    "format": 150,
    "rounding": 60,
    "date": 50,
    "format, rounding and date": 30,
    "amended, by the original's number": 10,
    "wrong digit": 20,
    "wrong amount": 20,
    "wrong GSTIN": 10,
    "booked twice": 10,
    "not in the books": 20,
    "not in IMS": 20,
}
"""What happened to a document on its way into the books, in how many of a thousand."""

PER_SUPPLIER = 250
"""Documents of a supplier, numbered one after another: four a day, or one a day and always for the same amount."""

# Three of ten suppliers bill the same amount each time; one of fifty numbers so that A1/12 and A11/2 are two documents.
_EVENTS = """
CREATE OR REPLACE MACRO chance(i, k) AS (hash(i * 1000 + k) % 1000003) / 1000003.0;
CREATE TABLE event AS
WITH placed AS (
  SELECT i, i % {suppliers} AS s, i // {suppliers} AS seq,
    list_filter({labels}, lambda x: x.upto > chance(i, 1) * 1000)[1].label AS label,
  FROM range({count}) t(i)
), suppliers AS (
  SELECT *, s % 40 AS own, 27 + s % 5 AS state, chance(s, 2) < 0.3 AS recurring,
    DATE '2026-04-10'
      + CASE WHEN chance(s, 2) < 0.3 THEN seq ELSE 120 + seq * 60 // {per_supplier} END::INTEGER AS date,
    'AA' || chr((65 + s % 26)::INTEGER) || chr((65 + s // 26 % 26)::INTEGER) || chr((65 + s // 676 % 26)::INTEGER)
      || lpad((s % 10000)::VARCHAR, 4, '0') || chr((65 + s // 17576 % 26)::INTEGER) AS pan
  FROM placed
), kinds AS (
  SELECT *, CASE WHEN label = 'amended, by the original''s number' OR chance(i, 3) < 0.02 THEN 'b2ba'
    WHEN chance(i, 3) < 0.88 THEN 'b2b' WHEN chance(i, 3) < 0.97 THEN 'b2bcn' ELSE 'b2bdn' END AS section,
    state::VARCHAR || pan || '1Z5' AS stin,
    '27OWNED' || lpad((own + 1000)::VARCHAR, 4, '0') || 'A1Z' || (own % 10) AS rtin,
    CASE WHEN s % 50 = 7 AND seq % 2 = 0 THEN 'A' || (seq // 2 // 10) || '/' || (seq // 2 % 10)
      WHEN s % 50 = 7 THEN 'A' || (seq // 200) || '/' || lpad((seq // 2 % 100)::VARCHAR, 2, '0')
      WHEN s % 5 = 0 THEN 'INV/26-27/' || lpad((seq + 40)::VARCHAR, 4, '0')
      WHEN s % 5 = 1 THEN 'S' || lpad((seq + 900)::VARCHAR, 6, '0')
      WHEN s % 5 = 2 THEN '2026-27/' || (seq + 1000)
      WHEN s % 5 = 3 THEN 'GST/2627/' || lpad((seq + 5)::VARCHAR, 5, '0')
      ELSE (seq + 10000)::VARCHAR END AS number,
    CASE WHEN recurring THEN s ELSE i END AS base
  FROM suppliers
), amounts AS (
  SELECT *, (10000 + hash(base * 7 + 1) % 20000000)::BIGINT AS paise,
    [5, 12, 18, 28][(1 + hash(base) % 4)::INTEGER] AS rate,
    state = 27 AS inside
  FROM kinds
)
SELECT *, (paise / 100)::DECIMAL(15,2) AS txval,
  CASE WHEN inside THEN 0 ELSE round(paise * rate / 10000, 2) END::DECIMAL(15,2) AS iamt,
  CASE WHEN inside THEN round(paise * rate / 20000, 2) ELSE 0 END::DECIMAL(15,2) AS camt,
  0::DECIMAL(15,2) AS cess, 'OLD/' || (i % 1000000) AS original_number
FROM amounts
"""

_DOCUMENTS = """
COPY (
  SELECT rtin, section, stin, 'Supplier ' || s AS trade_name, number, date,
    CASE WHEN section = 'b2ba' THEN original_number END AS original_number,
    CASE WHEN section = 'b2ba' THEN date - 20 END AS original_date,
    'R' AS inv_typ, '27' AS pos, (txval + iamt + 2 * camt)::DECIMAL(15,2) AS val, txval, iamt, camt, camt AS samt, cess,
    'R1' AS srcform, strftime(date, '%m%Y') AS rtnprd, ['A', 'R', 'P', 'N'][(1 + hash(i) % 4)::INTEGER] AS action,
    chance(i, 9) > 0.02 AS filed, false AS pending_blocked, i::VARCHAR AS hash,
    '{{"stin":"' || stin || '","inum":"' || number || '","idt":"' || strftime(date, '%d-%m-%Y') || '","val":' || txval
      || ',"txval":' || txval || ',"iamt":' || iamt || ',"camt":' || camt || ',"srcfilstatus":"Filed","pos":"27",'
      || '"hash":"' || md5(i::VARCHAR) || '","inv_typ":"R","srcform":"R1","action":"R"}}' AS raw,
    TIMESTAMPTZ '2026-11-16 09:00:00+05:30' AS taken_at, 's1' AS snapshot
  FROM event WHERE label <> 'not in IMS' ORDER BY hash(i)
) TO '{documents}' (FORMAT parquet)
"""

_BOOKS = """
COPY (
  WITH written AS (
    SELECT *, CASE
      WHEN label = 'amended, by the original''s number' THEN original_number
      WHEN label IN ('format', 'format, rounding and date') THEN
        CASE (hash(i + 3) % 4)::INTEGER
          WHEN 0 THEN replace(lower(number), '/', '-')
          WHEN 1 THEN regexp_replace(
            replace(replace(number, '/26-27/', '/2026-27/'), '/2627/', '/26-27/'), '(^|[^0-9])0+([0-9])', '\\1\\2')
          WHEN 2 THEN replace(replace(replace(replace(number, '2026-27/', ''), '26-27/', ''), '/2627', ''), '/', ' ')
          ELSE ' ' || replace(number, '/', ' / ') END
      WHEN label = 'wrong digit' THEN
        overlay_digit(number, length(number) - CASE WHEN hash(i + 4) % 2 = 1 AND number[-2:-2] <> '/' THEN 1 ELSE 0 END,
          (1 + hash(i + 5) % 9)::INTEGER)
      ELSE number END AS book_number,
    CASE WHEN label IN ('date', 'format, rounding and date') THEN (1 + hash(i + 6) % 40)::INTEGER ELSE 0 END AS later,
    label IN ('rounding', 'format, rounding and date') AS rounded,
    CASE WHEN label = 'wrong amount' THEN 1.1 ELSE 1 END AS factor,
    CASE WHEN section = 'b2bcn' THEN -1 ELSE 1 END AS sign
    FROM event WHERE label <> 'not in the books'
  )
  SELECT rtin AS "Our GSTIN",
    CASE WHEN label = 'wrong GSTIN' THEN '24' || pan || '1Z9' ELSE stin END AS "Vendor GSTIN",
    CASE section WHEN 'b2bcn' THEN 'Credit Note' WHEN 'b2bdn' THEN 'Debit Note' ELSE 'Invoice' END AS "Doc Type",
    book_number AS "Bill No", strftime(date + later, '%d/%m/%Y') AS "Bill Date",
    sign * (CASE WHEN rounded THEN round(txval) ELSE txval * factor END)::DECIMAL(15,2) AS "Taxable",
    sign * (CASE WHEN rounded THEN round(iamt) ELSE iamt END)::DECIMAL(15,2) AS "IGST",
    sign * (CASE WHEN rounded THEN round(camt) ELSE camt END)::DECIMAL(15,2) AS "CGST",
    sign * (CASE WHEN rounded THEN round(camt) ELSE camt END)::DECIMAL(15,2) AS "SGST",
    NULL AS "Cess", i::VARCHAR AS "Voucher", label AS "Label"
  FROM written, range(CASE WHEN label = 'booked twice' THEN 2 ELSE 1 END)
  ORDER BY hash(i + 9)
) TO '{books}' {format}
"""

_OVERLAY = """
CREATE OR REPLACE MACRO overlay_digit(n, place, more) AS
  n[1:place - 1] || ((n[place:place]::INTEGER + more) % 10)::VARCHAR || n[place + 1:]
"""

COLUMNS = {
    "Our GSTIN": "rtin",
    "Vendor GSTIN": "stin",
    "Doc Type": "kind",
    "Bill No": "number",
    "Bill Date": "date",
    "Taxable": "txval",
    "IGST": "iamt",
    "CGST": "camt",
    "SGST": "samt",
    "Cess": "cess",
    "Voucher": "id",
}


def write_files(folder: Path, count: int, books: str) -> tuple[Path, Path]:
    """
    Write ``documents.parquet`` and books.

    Each document has its number in ``hash``, each row of the books the number of its document in ``Voucher``, and what
    happened on the way in ``Label``.

    :param folder: where
    :param count: number of documents, more or less
    :param books: the books' file name, ending in ``.csv`` or ``.parquet``
    """
    import duckdb

    upto, labels = 0, []
    for label, share in LABELS.items():
        upto += share
        labels.append({"label": label, "upto": upto})
    shown = str(labels).replace('"', "'").replace("original's", "original''s")
    shown = shown.replace("'label'", "label").replace("'upto'", "upto")
    documents = folder / "documents.parquet"
    with duckdb.connect() as database:
        events = _EVENTS.format(
            suppliers=max(1, count // PER_SUPPLIER), labels=shown, count=count, per_supplier=PER_SUPPLIER
        )
        database.execute(events)
        database.execute(_OVERLAY)
        database.execute(_DOCUMENTS.format(documents=documents))
        form = "(FORMAT csv, HEADER)" if books.endswith(".csv") else "(FORMAT parquet)"
        database.execute(_BOOKS.format(books=folder / books, format=form))
    return documents, folder / books
