"""Frame sources: video files, still folders, DICOM and the phantom behind one iterator contract."""
