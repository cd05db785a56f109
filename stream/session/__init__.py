"""The session folder: journal, manifest and ledger."""
