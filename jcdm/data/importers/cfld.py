"""The layout of CFLD: the protocol's lists, pictures in train_highres/ and test_highres/."""

from jcdm.data.importers.base import Source, ViewRow
from jcdm.data.importers.protocol_lists import in_folders, read_protocol

FOLDERS = {
    "train": ("train_highres", "train_lst_256_png", "train_lst_512_png", ""),
    "test": ("test_highres", "test_lst_256_png", "test_lst_512_png", ""),
}


def read(source: Source) -> list[ViewRow]:
    """Read train.lst, test.lst, the keypoint tables and the pair tables of the root."""
    return read_protocol(source, in_folders(source, FOLDERS))
