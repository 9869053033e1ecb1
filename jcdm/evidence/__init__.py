"""The method's claims, measured on drawn people: tasks, scores with exact truth, rows, tables."""
