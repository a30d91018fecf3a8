"""
Take the pictures of summary.xlsx again: a sample run, LibreOffice, no Airflow.

    apt-get install libreoffice-calc-nogui poppler-utils
    pip install pillow
    python -m docs.pictures.workbook

Run it from the checkout. It plans a sample company's rows, tells of them as a bulk run would, writes the workbooks in a
temporary directory and converts them: workbook-totals.png and workbook-refused.png beside this file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import openpyxl
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.bulk.outcomes import ChunkOutcome, Outcomes
from airflow_provider_ims.bulk.plan_entry import GstinPlan
from airflow_provider_ims.bulk.summary import GstinResult, read_run
from airflow_provider_ims.models import ResetResult
from airflow_provider_ims.planning.output import Output
from airflow_provider_ims.planning.planner import Rules, make_plan
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.files import file_source
from airflow_provider_ims.results.report import Report

HERE = Path(__file__).parent
GSTINS = ("27AAPFU0939F1ZV", "29AAPFU0939F1ZR")
SUPPLIERS = (("24AAACB1234C1Z9", "Bharat Castings"), ("29AABCX9876D1Z3", "Xylem Traders"))
PICTURES = {"Totals": "workbook-totals.png", "Refused": "workbook-refused.png"}
SECONDS = 180
WIDTH = 2000
LEFT_OUT = ("Your GSTIN", "Section", "Supplier's return", "Document value", "Central", "State", "Cess", "Reference")


def main() -> None:
    """Take them."""
    for program in ("soffice", "pdftoppm"):
        if not shutil.which(program):
            sys.exit(f"{program} is not installed; see the top of this file")
    with tempfile.TemporaryDirectory(prefix="ims-pictures-") as name:
        folder = Path(name)
        read_run([_result(plan) for plan in _plans(folder)], folder / "summary.xlsx")
        for sheet, picture in PICTURES.items():
            _take(folder, sheet, HERE / picture)


def _plans(folder: Path) -> list[GstinPlan]:
    """Plan twelve invoices of two GSTINs, two a request."""
    source = folder / "erp.csv"
    header = (
        "Our GSTIN,Doc Type,trade_name,stin,Bill No,Bill Date,rtnprd,pos,val,txval,iamt,camt,samt,cess,Status,Voucher"
    )
    lines = [header]
    for number in range(12):
        stin, supplier = SUPPLIERS[number % 2]
        taxable = 48_000 + number * 12_345
        tax = taxable * 18 / 100
        lines.append(
            f"{GSTINS[number // 8]},Tax Invoice,{supplier},{stin},INV/{number:04},0{number % 9 + 1}-10-2026,102026,27,"
            f"{taxable + tax:.2f},{taxable}.00,{tax:.2f},0.00,0.00,0.00,Rejected,0051{number:05}"
        )
    source.write_text("\n".join(lines) + "\n")
    columns = Columns(
        {
            **{"Our GSTIN": "rtin", "Bill No": "number", "Bill Date": "date"},
            **{"Doc Type": {"section": {"Tax Invoice": "b2b"}}, "Status": {"prev_status": {"Rejected": "R"}}},
            **{"srcform": {"value": "R1"}, "inv_typ": {"value": "R"}},
        },
        carry=["trade_name", "Voucher"],
    )
    sources = [file_source(ObjectStoragePath(str(source)), columns)]
    plan = make_plan(sources, Output(ObjectStoragePath(str(folder / "plan"))), Rules(max_documents=4))
    return [GstinPlan.of(entry) for entry in plan.gstins]


def _result(plan: GstinPlan) -> GstinResult:
    """Tell of a GSTIN: its first request has a refused document, of the second the reply was lost."""
    outcomes = Outcomes(plan, workbooks=True)
    first = plan.chunks[0].load(plan.rtin)
    [(key, _), *_] = first.documents()
    inv = [{"inum": key.number, "rtnprd": key.rtnprd}]
    refusal = {
        **{"stin": key.stin, "error_cd": "IMSSAV0010", "inv": inv},
        "error_msg": "Either previous action is incorrect or the document was changed",
    }
    result: dict[str, Any] = {"status_cd": "PE", "proc_cnt": "3", "err_cnt": "1", "error_report": {"b2b": [refusal]}}
    report = Report("6f9d7c1e", ResetResult.parse(result), first)
    outcomes.keep(plan.chunks[0], report)
    done = [ChunkOutcome(plan.chunks[0], "ended", "6f9d7c1e", {"outcome": "partial", **report.counts()})]
    done += [ChunkOutcome(chunk, "unknown", failure="The reply was lost.") for chunk in plan.chunks[1:]]
    told = outcomes.gather(done)
    return GstinResult(plan, told, Path(told["csv_path"]))


def _take(folder: Path, sheet: str, picture: Path) -> None:
    """Convert one sheet: on one page, as wide as it is."""
    book = openpyxl.load_workbook(folder / "summary.xlsx")
    for other in book.sheetnames:
        if other != sheet:
            del book[other]
    page = book[sheet]
    for cell in page[1]:
        if str(cell.value).startswith(LEFT_OUT) and sheet != "Totals":
            page.column_dimensions[cell.column_letter].hidden = True
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr = openpyxl.worksheet.properties.PageSetupProperties(fitToPage=True)
    page.print_options.gridLines = page.print_options.headings = True
    book.save(folder / f"{sheet}.xlsx")
    profile = f"-env:UserInstallation=file://{folder / 'profile'}"
    _run(
        "soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", str(folder), str(folder / f"{sheet}.xlsx")
    )
    _run(
        "pdftoppm",
        "-png",
        "-singlefile",
        "-scale-to-x",
        str(WIDTH),
        "-scale-to-y",
        "-1",
        f"{folder}/{sheet}.pdf",
        f"{folder}/{sheet}",
    )
    _crop(folder / f"{sheet}.png", picture)


def _crop(source: Path, target: Path) -> None:
    """Cut off the empty part of the page."""
    from PIL import Image, ImageChops

    image = Image.open(source).convert("RGB")
    box = ImageChops.difference(image, Image.new("RGB", image.size, "white")).getbbox()
    image.crop(box).save(target, optimize=True) if box else shutil.copy(source, target)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)  # noqa: S603


if __name__ == "__main__":
    main()
