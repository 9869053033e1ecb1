"""File names in the manner of DeepFashion, and the words they are made of."""

from collections.abc import Sequence

from jcdm.data.synthetic.people import DrawnView, draw_looks

_GARMENT = 1


def subject_name(seed: int, identity: int) -> str:
    """The name all images of a person begin with, such as fashionWOMENDressesid0000000101."""
    looks = draw_looks(seed, identity)
    gender = "MEN" if looks.body.male else "WOMEN"
    return f"fashion{gender}{looks.outfit.category}id{identity:08d}{_GARMENT:02d}"


def view_words(views: Sequence[DrawnView]) -> list[str]:
    """The word of each view, as DeepFashion counts them.

    The first view of each side is called by its side, then the first that shows the whole body
    is "full", and all others are "additional".
    """
    used: set[str] = set()
    words = []
    for view in views:
        word = view.side
        if word in used:
            word = "full" if view.framing == "full" and "full" not in used else "additional"
        used.add(word)
        words.append(word)
    return words


def view_names(subject: str, views: Sequence[DrawnView]) -> list[str]:
    """Unique file names of a person's views, in order."""
    words = view_words(views)
    return [f"{subject}_{number}{word}.jpg" for number, word in enumerate(words, 1)]
