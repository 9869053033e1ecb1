"""A pickle reader that builds tensors and plain containers, and calls nothing else a file names.

`torch.load` takes this module as its `pickle_module`. Whatever else a file asks for (optimisers,
options, `os.system`) becomes an inert `Placeholder`: the weights beside it can still be read.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, ClassVar

import torch
from torch import Tensor


class Placeholder:
    """Stands for an object that was not built: takes every call and state, and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Accept what the file would have given to the real constructor."""

    def __call__(self, *args: Any, **kwargs: Any) -> "Placeholder":
        """Return another placeholder: what is not built has no results."""
        return Placeholder()

    def __setstate__(self, state: Any) -> None:
        """Drop the state."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Drop an entry, as for a subclass of dict."""

    def extend(self, values: Any) -> None:
        """Drop entries, as for a subclass of list."""

    def append(self, value: Any) -> None:
        """Drop an entry, as for a subclass of list."""

    def add(self, value: Any) -> None:
        """Drop an entry, as for a subclass of set."""


def rebuild_tensor(
    storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    """View a part of a storage as a tensor; UnpicklingError where it would reach beyond it."""
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    wrong = min((offset, *size, *stride)) < 0 or (0 not in size and last >= storage._size())
    if wrong:
        raise pickle.UnpicklingError("a tensor reaches beyond its data")
    return torch.empty(0, dtype=storage.dtype).set_(
        storage._untyped_storage, offset, tuple(size), tuple(stride)
    )


def rebuild_parameter(data: Tensor, *_: Any) -> Tensor:
    """Return the tensor of a parameter; gradients and hooks are dropped."""
    return data


_BUILDERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
}


class Unpickler(pickle._Unpickler):  # type: ignore[name-defined]
    """Reads a pickle with the builders above and placeholders for everything else.

    It is the standard library's own in Python: the one in C fills gigabytes for five bytes that
    name a high place in its memo. Weight files have few thousand steps to take.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[assignment]

    def find_class(self, module: str, name: str) -> Any:
        """Return the builder of a name; nothing is imported."""
        if module == "torch" and isinstance(found := getattr(torch, name, None), torch.dtype):
            return found
        return _BUILDERS.get((module, name), Placeholder)

    def load_build(self) -> None:
        """Drop the state of an object: no attribute of ours is set to what a file holds."""
        self.stack.pop()  # type: ignore[attr-defined]

    dispatch[pickle.BUILD[0]] = load_build


def load(file: IO[bytes], **options: Any) -> Any:
    """Read one pickle from a file, as `pickle.load` does."""
    return Unpickler(file, **options).load()
