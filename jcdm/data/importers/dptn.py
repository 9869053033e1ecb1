"""The layout of the PATN and DPTN line: pictures of 256x176 in train/ and test/."""

from jcdm.data.importers.base import Source, ViewRow
from jcdm.data.importers.protocol_lists import in_folders, read_protocol

FOLDERS = {
    "train": ("train", "train_256", ""),
    "test": ("test", "test_256", ""),
}


def read(source: Source) -> list[ViewRow]:
    """Read train.lst, test.lst, the keypoint tables and the pair tables of the root."""
    return read_protocol(source, in_folders(source, FOLDERS))
