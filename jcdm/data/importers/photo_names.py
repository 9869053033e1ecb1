"""Names of DeepFashion photographs, in every spelling of the lists and of the download."""

import re
from typing import NamedTuple

from jcdm.data.importers.base import RowError
from jcdm.data.importers.text import shown

_CATEGORIES = (
    *("Blouses_Shirts", "Cardigans", "Denim", "Dresses", "Graphic_Tees", "Jackets_Coats"),
    *("Jackets_Vests", "Leggings", "Pants", "Rompers_Jumpsuits", "Shirts_Polos", "Shorts"),
    *("Skirts", "Suiting", "Sweaters", "Sweatshirts_Hoodies", "Tees_Tanks"),
)
_SPELLED = {name.replace("_", ""): name for name in _CATEGORIES}
_FLAT = re.compile(
    r"(?:fashion|fasion)(WOMEN|MEN)([A-Za-z_]{1,40}?)id(\d{8})(\d{2})_(\d{1,3})([a-z]{1,20})"
    r"\.(?:jpg|jpeg|png)",
    re.ASCII,
)
_TREE = re.compile(
    r"(?:.*/)?(WOMEN|MEN)/([A-Za-z_]{1,40})/id_(\d{8})/(\d{2})_(\d{1,3})_([a-z]{1,20})"
    r"\.(?:jpg|jpeg|png)",
    re.ASCII,
)


class PhotoName(NamedTuple):
    """The parts of a name: fashion WOMEN Dresses id 00002629 02 _ 3 back .jpg."""

    gender: str
    category: str
    identity: str
    garment: str
    number: int
    side: str

    @property
    def subject(self) -> str:
        """One person in one outfit: the name up to the view."""
        return f"fashion{self.gender}{self.category}id{self.identity}{self.garment}"

    @property
    def protocol_name(self) -> str:
        """The name as the published lists spell it."""
        return f"{self.subject}_{self.number}{self.side}.jpg"

    @property
    def person(self) -> str:
        """The identity, whatever is worn."""
        return f"{self.gender}-{self.identity}"

    def tags(self) -> dict[str, object]:
        """What the index tells of the view."""
        return {"view": f"{self.number}_{self.side}", "side": self.side, "identity": self.person}


def parse_name(name: str) -> PhotoName | None:
    """Take a name apart; None when it is no DeepFashion name.

    Accepts fashionWOMEN..., fasionWOMEN..., categories with and without the underscore, png for
    jpg, folders in front, and the download's WOMEN/Dresses/id_00002629/02_3_back.jpg.
    """
    found = _FLAT.fullmatch(name.rpartition("/")[2]) or _TREE.fullmatch(name)
    if found is None:
        return None
    gender, category, identity, garment, number, side = found.groups()
    category = _SPELLED.get(category.replace("_", ""), category)
    return PhotoName(gender, category, identity, garment, int(number), side)


def require_name(name: str) -> PhotoName:
    """Take a name apart; RowError when it is no DeepFashion name."""
    photo = parse_name(name)
    if photo is None:
        raise RowError(
            f"found the name {shown(name)}, expected a DeepFashion one such as "
            "fashionWOMENDressesid0000262902_3back.jpg."
        )
    return photo
