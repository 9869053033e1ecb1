"""Freed memory that serves the next step: counted in pages that the kernel had to clear."""

import resource
import subprocess
import sys

import torch

from jcdm.host_memory import keep_freed_memory

PAGES = """
import resource, sys, torch
from jcdm.host_memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory(torch.device("cpu"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    torch.ones(16 * 2**20)  # 64 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(how: str) -> int:
    words = [sys.executable, "-c", PAGES, how]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def test_blocks_that_were_freed_are_used_again_and_cleared_once() -> None:
    pages = 16 * 2**20 * 4 // resource.getpagesize()
    plain, kept = new_pages("plain"), new_pages("kept")
    assert plain > 35 * pages
    assert kept < plain / 3  # the first ones; how many depends on their places


def test_nothing_is_set_for_a_gpu() -> None:
    assert not keep_freed_memory(torch.device("cuda"))
