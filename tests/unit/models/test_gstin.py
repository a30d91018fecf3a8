from __future__ import annotations

import pytest

from airflow_provider_ims.models.gstin import check_digit, check_digit_fits

REAL = ["27AAPFU0939F1ZV", "27AHQPA7588L1ZJ", "32TAAOA2947A1Z7", "24AAQCA8719H1ZC"]


@pytest.mark.parametrize("gstin", REAL)
def test_the_check_digit_of_a_real_gstin_fits(gstin: str):
    assert check_digit(gstin) == gstin[14]
    assert check_digit_fits(gstin)


@pytest.mark.parametrize(("gstin", "due"), [("20MAYAS0100J1ZX", "E"), ("24MAYAS0100J1JD", "2")])
def test_the_gstins_of_vayanas_own_samples_fail_the_check(gstin: str, due: str):
    assert not check_digit_fits(gstin)
    assert check_digit(gstin) == due


@pytest.mark.parametrize("gstin", REAL)
def test_any_single_mistyped_character_is_caught(gstin: str):
    for position in range(14):
        for typed in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            mistyped = gstin[:position] + typed + gstin[position + 1 :]
            assert check_digit_fits(mistyped) is (mistyped == gstin)


def test_letter_case_does_not_matter_to_the_check():
    assert check_digit_fits("27AAPFU0939F1zv")
