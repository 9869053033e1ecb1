"""The report of a scored folder: one page with tables, plots and pictures, without network."""

from jcdm.evaluation.score_report.write import write_score_report

__all__ = ["write_score_report"]
