"""An Arrow table of the rows of a store, on the memory of the frame."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
from stores import filled, trajectory

import featlearn as fl
from featlearn.store import Store, failed_rows, load, load_arrow
from featlearn.store.arrow import _array


def test_rows_and_columns_are_those_of_load(tmp_path):
    wide = trajectory(3)
    wide = replace(wide, values={"wide": np.arange(6.0).reshape(3, 2)})
    filled(tmp_path / "s", [trajectory(0)], [trajectory(1, columns=("a", "b"))], [wide])
    table, frame = load_arrow(tmp_path / "s"), load(tmp_path / "s")
    assert table.column_names == [*frame] and table.num_rows == len(frame) == 9
    numbers = frame.select_dtypes("number")
    back = table.select([*numbers]).to_pandas()
    pd.testing.assert_frame_equal(back, numbers, check_exact=True)
    assert table["run_id"].to_pylist() == frame["run_id"].tolist()
    assert table["wide"].to_pylist()[-1] == [4.0, 5.0]
    some = fl.load_arrow(tmp_path / "s", columns=["seed", "step"], where={"seed": [0, 3]})
    assert some.to_pydict() == {"seed": [0] * 3 + [3] * 3, "step": [0, 10, 20] * 2}


def test_nothing_is_copied():
    for frame in (pd.DataFrame({"x": np.arange(5.0)}), pd.DataFrame({"x": [1, 2]})):
        (address,) = {_array(frame["x"]).buffers()[1].address}
        assert address == frame["x"].to_numpy().__array_interface__["data"][0]
    text = pd.Series(["a", "bc"], dtype="str")
    assert _array(text).to_pylist() == ["a", "bc"]


def test_values_of_several_types_are_json():
    mixed = pd.Series(["auto", 0.5, None, True], dtype=object)
    assert _array(mixed).to_pylist() == ['"auto"', "0.5", None, "true"]
    assert _array(pd.Series([1.5, np.ones(2)], dtype=object)).to_pylist() == ["1.5", "[1.0, 1.0]"]
    assert _array(pd.Series([True, None], dtype=object)).type == pa.bool_()


def test_a_store_without_results_is_an_empty_table(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    store.add_part(failed_rows([trajectory(0).run], "no"), {})
    assert load_arrow(store.path).num_rows == 0
