"""Drawn people: photographs with known joints, many views of each person, made from a seed."""

from jcdm.data.synthetic.garments import Region
from jcdm.data.synthetic.layout import write_dataset
from jcdm.data.synthetic.people import GENERATOR_VERSION, DrawnView, render_view
from jcdm.data.synthetic.sequence import render_frame
from jcdm.data.synthetic.sheets import contact_sheet

__all__ = [
    "GENERATOR_VERSION",
    "DrawnView",
    "Region",
    "contact_sheet",
    "render_frame",
    "render_view",
    "write_dataset",
]
