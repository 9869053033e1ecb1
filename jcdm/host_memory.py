"""How the C library treats memory that a computation on the CPU gives back."""

import ctypes

import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # names of mallopt(3), from <malloc.h>
_LARGEST = 2**31 - 1


def keep_freed_memory(device: torch.device) -> bool:
    """On a CPU: let freed blocks serve the next step instead of going back to the system.

    glibc returns every block above 32 MB at once and maps it again at the next request, whose pages
    the kernel then has to clear: 15 to 20 % of a training step with activations that large
    (`python -m jcdm bench denoiser --size mid`, 2 cores), at the same peak memory. Returns whether
    there was something to set: not on a GPU, nor where the C library is another.
    """
    if device.type != "cpu":
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return False
    options = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _LARGEST), (_TOP_PAD, 64 * 2**20))
    return all([bool(set_option(name, value)) for name, value in options])
