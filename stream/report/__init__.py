"""Reports written from a session: HTML, PNG panels, CSV and JSON."""
