"""Facts about the ledger."""

from stream.session.ledger import Ledger, balances


def test_every_state_is_counted_once_and_the_ledger_balances():
    ledger = Ledger()
    for state in (
        "ok",
        "ok",
        "no_signal",
        "uniform",
        "not_ultrasound",
        "damaged",
        "failed_infer",
        "skipped",
    ):
        ledger.add(state)
    totals = ledger.totals()
    assert totals["grabbed"] == 8 and balances(totals)
    assert (totals["analysed"], totals["invalid_frame"], totals["skipped_by_policy"]) == (2, 4, 1)


def test_a_lost_frame_breaks_the_balance():
    totals = Ledger().totals() | {"grabbed": 1}
    assert not balances(totals)
