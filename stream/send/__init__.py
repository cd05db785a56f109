"""Sends the DICOM objects of a session to an archive, through an outbox that survives failure."""
