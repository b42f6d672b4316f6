"""Was it done as told? Judged, relabelled, mended."""
