"""A mock CUDA device: tensors of the CPU that report to be on a GPU, and refuse what a GPU's tensors refuse.

It tests everything but the arithmetic of a real GPU: which code path is taken, and that no operation mixes tensors of
the host and the device. Kernels run in Triton's interpreter, captured steps are run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda", 0)
MIXED = ("to", "copy_", "expand_as", "view_as")  # operands may be of host and device
OF_THE_FIRST = MIXED[1:]  # the result is where the first operand is
NAMES = ("cpu", "cuda")
NESTED = (tuple, list, dict)
ATTRIBUTES = {"is_cuda": True, "device": CUDA}  # of a tensor on the device


class DeviceTensor(Tensor):
    """A tensor on the device. twin: the CPU tensor that computes for it; autograd knows tensors by identity."""

    twin: Tensor

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function; the result stays on the device."""
        return call(function, args, kwargs or {})


class Device(TorchFunctionMode):
    """Within this context tensors can be created on the device."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function on the host or the device, wherever its arguments are."""
        return call(function, args, kwargs or {})


def moved(x: Any, to: type[Tensor]) -> Any:
    """Return a tensor as one of the device, or of the host, in the same memory; anything else unchanged."""
    if not isinstance(x, Tensor) or isinstance(x, DeviceTensor) == (to is DeviceTensor):
        return x
    if to is Tensor:
        return x.twin
    with torch._C.DisableTorchFunction(), torch.no_grad():
        result = x.detach().as_subclass(DeviceTensor)
    result.twin = x
    return result


def call(function: Any, args: Any, kwargs: Any) -> Any:
    """Call a function of torch as a device would: no operand is a tensor of the host, except single numbers."""
    name, values = getattr(function, "__name__", ""), (*args, *kwargs.values())
    leaves = tree_leaves(values) if any(isinstance(x, NESTED) for x in values) else values
    tensors = [x for x in leaves if isinstance(x, Tensor)]
    on_device = [x for x in tensors if isinstance(x, DeviceTensor)]
    named = [torch.device(x) for x in leaves if isinstance(x, torch.device) or (isinstance(x, str) and x in NAMES)]
    if on_device and name == "__get__" and (value := ATTRIBUTES.get(function.__self__.__name__)):
        return value
    if on_device and name == "numpy":
        raise TypeError("can't convert a tensor of the device to numpy")
    if on_device and name not in MIXED and any(not isinstance(x, DeviceTensor) and x.ndim for x in tensors):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device")
    with torch._C.DisableTorchFunction():
        function = Tensor.cpu if name == "cuda" else function
        options = {key: _mapped(_local, x) for key, x in kwargs.items()}
        result = function(*[_mapped(_local, x) for x in args], **options)
    first = tensors[0] if tensors else None
    stays = isinstance(first, DeviceTensor) if name in OF_THE_FIRST else bool(on_device)
    to_device = named[0].type == "cuda" if named else name == "cuda" or (stays and name != "cpu")
    return _mapped(lambda x: moved(x, DeviceTensor if to_device else Tensor), result)


def _mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to a value, or to every leaf of a tuple, list or dict; pytree is slow for single values."""
    return tree_map(function, tree) if isinstance(tree, NESTED) else function(tree)


def _local(x: Any) -> Any:
    if isinstance(x, torch.device) and x.type == "cuda":
        return torch.device("cpu")
    return "cpu" if isinstance(x, str) and x == "cuda" else moved(x, Tensor)


def quicken_interpreter() -> None:
    """Let Triton's interpreter patch its language once per launch, not at every call of a device function."""
    from triton import language
    from triton.runtime import interpreter

    patch_language = interpreter._patch_lang

    def patch_once(function: Callable[..., Any]) -> Any:
        used = [x for x in (language, language.core) if any(x is value for value in function.__globals__.values())]
        patched = not any(language.core.is_builtin(x.load) for x in used)
        return interpreter._LangPatchScope() if patched else patch_language(function)

    interpreter._patch_lang = patch_once


@contextmanager
def mock_device() -> Iterator[None]:
    """Mock a CUDA device: kernels run in Triton's interpreter, and captured steps are run again."""
    from featlearn import law, linalg
    from featlearn.engines.gpu.engine import Launch
    from featlearn.loop import graphs

    start = Launch.__call__

    def launch(self: Launch) -> None:
        assert all(isinstance(x, DeviceTensor) for x in self.tensors.values())
        start(replace(self, tensors={name: moved(x, Tensor) for name, x in self.tensors.items()}))

    def capture(body: Callable[[], object]) -> Callable[[], object]:
        for _ in range(3):  # as often as a CUDA graph is warmed up and captured
            body()
        return body

    vectorize = torch.func.vmap

    def vmap(function: Callable[..., Any]) -> Callable[..., Any]:
        """Vectorize on the device: within, the function computes with plain CPU tensors."""

        def vectorized(*args: Any) -> Any:
            sides = {isinstance(x, DeviceTensor) for x in tree_leaves(args)}
            assert len(sides) == 1, "expected all tensors to be on the same device"
            with torch._C.DisableTorchFunction():
                result = vectorize(function)(*tree_map(lambda x: moved(x, Tensor), args))
            return tree_map(lambda x: moved(x, DeviceTensor), result) if sides == {True} else result

        return vectorized

    def product(left: Tensor, right: Tensor) -> Tensor:
        """Multiply as a device does, all matrices of a batch in the same way; the BLAS of a CPU may not."""
        with torch._C.DisableTorchFunction():
            result = linalg._host_product(moved(left, Tensor), moved(right, Tensor))
        return moved(result, DeviceTensor)

    few = patch.object(law, "_at_once", lambda shape, device: 8)  # a device's share takes a CPU long
    with (
        few,
        patch.object(linalg, "_device_product", product),
        patch.object(linalg, "_parts", lambda matrices: matrices.split(1)),  # LAPACK likewise
        patch.object(torch.func, "vmap", vmap),
        patch.object(Launch, "__call__", launch),
        patch.object(graphs, "cuda_graph", capture),
        Device(),
    ):
        yield
