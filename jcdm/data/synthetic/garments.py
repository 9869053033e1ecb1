"""What a person wears: cuts, fabrics and prints, drawn once per identity."""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from jcdm.data.synthetic.fabrics import (
    PRINTS,
    Fabric,
    Print,
    contrast,
    draw_back,
    draw_fabric,
    draw_print,
    vivid,
)
from jcdm.data.synthetic.vectors import Floats


class Region(IntEnum):
    """Labels of a view's region map."""

    BACKGROUND = 0
    SKIN = 1
    HAIR = 2
    TOP = 3
    BOTTOM = 4
    DRESS = 5
    SHOES = 6
    PROP = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """A garment of the trunk, also the upper half of a dress.

    `hem` is its lowest edge above the hips in metres, `sleeve` its length as a share of the arm
    (0 = sleeveless), `ease` the room between cloth and body in metres. `neck_drop` (front, back)
    lowers the neckline by metres and `neck_width` is half its width.
    """

    region: Region
    front: Fabric
    back: Fabric
    front_print: Print
    back_print: Print
    trim: Floats
    sleeve_fabric: Fabric
    hem: float
    sleeve: float
    ease: float
    neck_drop: tuple[float, float]
    neck_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottom:
    """Trousers, shorts or a skirt, also the lower half of a dress.

    `length` is the hem as a share of the leg below the hip; `flare` widens it towards the hem in
    metres; `folds` counts a skirt's folds.
    """

    region: Region
    skirt: bool
    front: Fabric
    back: Fabric
    trim: Floats
    pocket: Floats
    length: float
    flare: float
    folds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shoes:
    """A pair of shoes; `shaft` is the height of a boot above the ankle in metres (0 = none)."""

    color: Floats
    sole: Floats
    shaft: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """Everything a person wears; `category` is the DeepFashion word for the main garment."""

    top: Top
    bottom: Bottom
    shoes: Shoes
    category: str


def _draw_top(rng: np.random.Generator, region: Region, male: bool) -> Top:
    hue = rng.random()
    front = draw_fabric(rng, hue, plain=0.50)
    back = draw_back(rng, front, hue, plain=0.60)
    order = rng.permutation(len(PRINTS))
    half = len(PRINTS) // 2
    shapes = [tuple(PRINTS[i] for i in order[:half]), tuple(PRINTS[i] for i in order[half:])]
    sleeve = float(rng.choice([0.0, 0.26, 0.34, 0.98], p=[0.20, 0.25, 0.20, 0.35]))
    hems = [-0.07, -0.02, 0.06] if male else [-0.07, 0.02, 0.14]
    deep = rng.uniform(0.0, 0.10)
    raglan = rng.random() < 0.3
    return Top(
        region=region,
        front=front,
        back=back,
        front_print=draw_print(rng, shapes[0], hue, front, rng.uniform(0.28, 0.34)),
        back_print=draw_print(rng, shapes[1], hue, back, rng.uniform(0.24, 0.34)),
        trim=contrast(rng, hue, front.ground),
        sleeve_fabric=draw_fabric(rng, hue + 0.5, plain=0.8) if raglan else front,
        hem=float(rng.choice(hems)) + rng.uniform(-0.02, 0.02),
        sleeve=sleeve,
        ease=rng.uniform(0.010, 0.026),
        neck_drop=(0.02 if male else 0.025 + deep, rng.uniform(0.0, 0.03)),
        neck_width=rng.uniform(0.068, 0.095),
    )


def _draw_bottom(rng: np.random.Generator, region: Region, *, skirt: bool) -> Bottom:
    hue = rng.random()
    front = draw_fabric(rng, hue, plain=0.55 if skirt else 0.72)
    same = rng.random() < 0.6
    if skirt:
        length = float(rng.choice([0.36, 0.52, 0.72, 0.90])) + rng.uniform(-0.04, 0.04)
        flare = rng.uniform(0.0, 0.16)
    else:
        length = float(rng.choice([0.28, 0.46, 0.74, 0.97], p=[0.15, 0.15, 0.08, 0.62]))
        flare = float(rng.choice([0.0, 0.015, 0.045], p=[0.45, 0.35, 0.20]))
    return Bottom(
        region=region,
        skirt=skirt,
        front=front,
        back=front if same else draw_back(rng, front, hue, plain=0.7),
        trim=contrast(rng, hue, front.ground),
        pocket=contrast(rng, hue + 0.3, front.ground),
        length=length,
        flare=flare,
        folds=int(rng.integers(5, 10)),
    )


def draw_outfit(rng: np.random.Generator, *, male: bool) -> Outfit:
    """Draw one outfit: a dress, or a top with trousers, shorts or a skirt; always shoes."""
    dress = not male and rng.random() < 0.40
    region = Region.DRESS if dress else Region.TOP
    top = _draw_top(rng, region, male)
    skirt = dress or (not male and rng.random() < 0.35)
    bottom = _draw_bottom(rng, Region.DRESS if dress else Region.BOTTOM, skirt=skirt)
    if dress:
        top, bottom = _as_dress(rng, top, bottom)
    hue = rng.random()
    shoes = Shoes(
        color=vivid(rng, hue) if rng.random() < 0.7 else np.full(3, 0.12),
        sole=np.array([0.95, 0.95, 0.93]) if rng.random() < 0.6 else np.full(3, 0.15),
        shaft=rng.uniform(0.10, 0.24) if rng.random() < 0.25 else 0.0,
    )
    return Outfit(top=top, bottom=bottom, shoes=shoes, category=_category(top, bottom, male))


def without_prints(outfit: Outfit) -> Outfit:
    """The same clothes, plain on chest and back: prints too small to be seen."""
    top = outfit.top
    front, back = (replace(p, radius=1e-9) for p in (top.front_print, top.back_print))
    return replace(outfit, top=replace(top, front_print=front, back_print=back))


def _as_dress(rng: np.random.Generator, top: Top, bottom: Bottom) -> tuple[Top, Bottom]:
    """Cut skirt and top from one cloth, half of the time with a skirt of its own colour."""
    cloth = (top.front, top.back) if rng.random() < 0.65 else (bottom.front, bottom.back)
    bottom = Bottom(
        region=Region.DRESS,
        skirt=True,
        front=cloth[0],
        back=cloth[1],
        trim=top.trim,
        pocket=bottom.pocket,
        length=bottom.length,
        flare=bottom.flare,
        folds=bottom.folds,
    )
    return top, bottom


def _category(top: Top, bottom: Bottom, male: bool) -> str:
    if top.region is Region.DRESS:
        return "Dresses"
    if bottom.skirt:
        return "Skirts"
    if bottom.length < 0.5:
        return "Shorts"
    if top.sleeve > 0.5:
        return "Shirts_Polos" if male else "Blouses_Shirts"
    return "Pants" if top.sleeve > 0.3 else "Tees_Tanks"
