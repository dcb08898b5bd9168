"""Small matrix products for the compiled loops, one tile of the result at a time in vector registers (numba).

The tile uses LLVM vectors directly: numba does not vectorize loops this short, and torch's batched product may round a
run differently at different places of its batch. Here every entry is one chain of multiplications and additions, in the
order of the columns of ``left``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit
from numba.core import cgutils, types
from numba.core.types.containers import BaseTuple
from numba.extending import intrinsic
from numpy.typing import NDArray

Array = NDArray[Any]

WIDE = get_host_cpu_features().get("avx512f", False)  # 64-byte registers: last bits may differ between machines
DOUBLES, SINGLES = 8 if WIDE else 4, 8  # numbers in a vector; sixteen singles would need more padding
ALIGNMENT = 64
ROWS, VECTORS = 4, 3  # of a tile: sixteen registers, with a row of ``right`` and an entry of ``left``


def padded(n_columns: int, item_size: int) -> int:
    """Return the smallest number of columns >= ``n_columns`` that ``multiply`` accepts."""
    lanes = DOUBLES if item_size == 8 else SINGLES
    return -(-n_columns // lanes) * lanes


def pad_columns(matrices: Array, least: int = 0) -> Array:
    """Return matrices [..., n] as ``multiply`` requires: C-ordered, zero-padded to at least ``least`` columns.

    They start at a cache line, so that no vector of a row straddles two.
    """
    n = matrices.shape[-1]
    shape = *matrices.shape[:-1], padded(max(n, least), matrices.itemsize)
    size = math.prod(shape) * matrices.itemsize
    buffer = np.zeros(size + ALIGNMENT, np.uint8)
    out = buffer[-buffer.ctypes.data % ALIGNMENT :][:size].view(matrices.dtype).reshape(shape)
    out[..., :n] = matrices
    return out


@intrinsic
def without_reference_counts(typing: Any, arrays: Any) -> tuple[Any, Any]:
    """Return arrays, or tuples of them, without reference counts; the caller must keep them alive.

    Counting takes an atomic operation per slice, a fifth of the time of a gradient.
    """

    def strip(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        if isinstance(kind, BaseTuple):
            parts = zip(kind, cgutils.unpack_tuple(builder, value), strict=True)
            return context.make_tuple(builder, kind, [strip(context, builder, *part) for part in parts])
        view = context.make_array(kind)(context, builder, value)
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        return view._getvalue()

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return strip(context, builder, arrays, values[0])

    return arrays(arrays), codegen


@intrinsic(prefer_literal=True)
def _tile(
    typing: Any, left: Any, right: Any, out: Any, row: Any, column: Any, n_rows: Any, n_vectors: Any
) -> tuple[Any, Any]:
    """Write ``n_rows`` rows and ``n_vectors`` vectors of columns of left @ right, from ``row`` and ``column`` on."""
    height, width = n_rows.literal_value, n_vectors.literal_value
    item = left.dtype.bitwidth // 8
    index = ir.IntType(64)
    lanes = DOUBLES if item == 8 else SINGLES

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vector = ir.VectorType(context.get_data_type(left.dtype), lanes)
        arrays = [context.make_array(t)(context, builder, v) for t, v in zip(signature.args[:3], values, strict=False)]
        (a, _, strides_a), (b, depth, strides_b), (c, _, strides_c) = (
            (x.data, *cgutils.unpack_tuple(builder, x.shape)) for x in arrays
        )
        rows = [builder.add(values[3], index(r)) for r in range(height)]
        columns = [builder.add(values[4], index(v * vector.count)) for v in range(width)]

        def address(data: Any, stride: Any, i: Any, j: Any) -> Any:
            return builder.bitcast(builder.gep(data, [builder.add(builder.mul(i, stride), j)]), vector.as_pointer())

        zero = ir.Constant(vector, [0.0] * vector.count)
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in columns] for _ in rows]
        with cgutils.for_range(builder, depth, intp=index) as loop:
            j = loop.index
            factors = [builder.load(address(b, strides_b, j, column), align=item) for column in columns]
            for r, total in zip(rows, sums, strict=True):
                entry = builder.load(builder.gep(a, [builder.add(builder.mul(r, strides_a), j)]))
                same = _spread(builder, entry, vector)
                for place, factor in zip(total, factors, strict=True):
                    product = builder.fmul(same, factor, flags=["contract"])
                    builder.store(builder.fadd(builder.load(place), product, flags=["contract"]), place)
        for r, total in zip(rows, sums, strict=True):
            for column, place in zip(columns, total, strict=True):
                builder.store(builder.load(place), address(c, strides_c, r, column), align=item)
        return context.get_dummy_value()

    return types.void(left, right, out, row, column, n_rows, n_vectors), codegen


def _spread(builder: Any, entry: Any, vector: Any) -> Any:
    """Return a vector with the same entry everywhere."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, entry, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, zeros)


@njit(error_model="numpy")
def multiply(left: Array, right: Array, out: Array) -> None:
    """Write left @ right, [f, s] @ [s, n], into ``out``: C-ordered arrays of one precision, n as from ``padded``.

    Columns of ``left`` beyond the s rows of ``right`` are ignored.
    """
    f, n = out.shape
    lanes = DOUBLES if out.itemsize == 8 else SINGLES
    tall = f - f % ROWS
    rest = n // lanes % VECTORS
    wide = n - rest * lanes
    for r in range(0, tall, ROWS):
        for i in range(0, wide, VECTORS * lanes):
            _tile(left, right, out, r, i, ROWS, VECTORS)
        if rest == 1:
            _tile(left, right, out, r, wide, ROWS, 1)
        elif rest == 2:
            _tile(left, right, out, r, wide, ROWS, 2)
    for r in range(tall, f):
        for i in range(0, wide, VECTORS * lanes):
            _tile(left, right, out, r, i, 1, VECTORS)
        for i in range(wide, n, lanes):
            _tile(left, right, out, r, i, 1, 1)


@njit(cache=True, error_model="numpy")
def multiply_all(left: Array, right: Array, out: Array) -> None:
    """Write left @ right, [b, m, s] @ [b, s, n], into ``out``: C-ordered arrays of one precision and of any n."""
    b, m, n = out.shape
    lanes = DOUBLES if out.itemsize == 8 else SINGLES
    width = (n + lanes - 1) // lanes * lanes
    columns, found = np.zeros((right.shape[1], width), out.dtype), np.empty((m, width), out.dtype)
    for lane in range(b):
        _copy(right[lane], columns)
        multiply(left[lane], columns, found)
        _copy(found, out[lane])


@njit(error_model="numpy")
def _copy(x: Array, out: Array) -> None:
    """Write the columns that x and ``out`` both have; an assignment would also compile the error for other shapes."""
    for i in range(len(out)):
        for j in range(min(x.shape[1], out.shape[1])):
            out[i, j] = x[i, j]
