"""The archive: a folder tree of recordings, analysed by many workers, resumable, one table."""
