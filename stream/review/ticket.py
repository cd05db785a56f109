"""The ticket that lets the browser in which `stream review` opens, once.

Whoever may see the list of processes sees what a browser is started with. So the browser is given
the name of a local page that only this user can read, and that page goes on to the address.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from stream.closing import Closing
from stream.report.files import cannot_write

_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Review</title>
<meta http-equiv="refresh" content="0; url={address}">
"""


class Ticket(Closing):
    """A word that opens the page once, and the local page that holds it."""

    def __init__(self) -> None:
        self._word, self._page, self._used = secrets.token_urlsafe(32), Path(), False

    def write(self, folder: Path, base: str) -> str:
        """Write the local page, of mode 0600, and return its address.

        Parameters
        ----------
        folder : where; a browser that is held in a box of its own may not see others
        base : what comes before the ticket in the address of the review

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        try:
            handle, name = tempfile.mkstemp(".html", "open-", folder.resolve())
            self._page = Path(name)
            with os.fdopen(handle, "w") as file:
                file.write(_PAGE.format(address=f"{base}{self._word}"))
        except OSError as error:
            raise cannot_write(folder, error) from error
        return self._page.as_uri()

    def opens(self, given: str) -> bool:
        """Say whether this is the ticket, for the first time; the local page is then gone."""
        if self._used or not secrets.compare_digest(given.encode(), self._word.encode()):
            return False
        self._used = True
        self.close()
        return True

    def close(self) -> None:
        """Delete the local page; may be called twice."""
        if self._page.name:
            self._page.unlink(missing_ok=True)
