"""What netCDF packs, marks and fills: as xarray decodes it, or refused."""

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray

from mpipar.base.errors import BadInput
from mpipar.inputs.dataset import check_readable, open_dataset
from mpipar.inputs.numbers import read_numbers
from mpipar.inputs.table import read_table

I1, I2, I4, I8 = np.int8, np.int16, np.int32, np.int64
U1, U2, F2, F4, F8 = np.uint8, np.uint16, np.float16, np.float32, np.float64

DECODED = {
    "scale": ([1, -2, 300], I2, {"scale_factor": F4(0.1)}),
    "scale of 64 bits": ([1, -2, 300], I2, {"scale_factor": 0.1}),
    "offset": ([1, -2, 300], I2, {"add_offset": F4(273.15)}),
    "scale and offset of 32 bits": (
        [1, -2, 300],
        I2,
        {"scale_factor": F4(0.01), "add_offset": F4(273.15)},
    ),
    "scale and offset of 64 bits": ([1, -2, 300], I2, {"scale_factor": 0.01, "add_offset": 273.15}),
    "scale and offset of different types": (
        [1, -2, 300],
        I2,
        {"scale_factor": F4(0.01), "add_offset": 273.15},
    ),
    "int32 packed with 32 bits": (
        [1, 2**30 + 1],
        I4,
        {"scale_factor": F4(0.5), "add_offset": F4(1)},
    ),
    "a whole scale": ([1, -2, 300], I2, {"scale_factor": I4(10)}),
    "floats with a scale": ([1.5, 2.5], F4, {"scale_factor": F4(3)}),
    "fill in int16": ([1, -999, 3], I2, {"_FillValue": I2(-999)}),
    "fill in int32": ([1, -999, 2**31 - 1], I4, {"_FillValue": I4(-999)}),
    "fill in int64": ([1, -999, 3], I8, {"_FillValue": I8(-999)}),
    "fill in float32": ([1.5, -999, np.nan], F4, {"_FillValue": F4(-999)}),
    "fill in float64": ([1.5, 1e20], F8, {"_FillValue": 1e20}),
    "fill of nan": ([1.5, np.nan], F8, {"_FillValue": np.nan}),
    "fill of nan and a scale": ([1.5, np.nan], F4, {"_FillValue": F4(np.nan), "scale_factor": 0.1}),
    "missing_value": ([1, -1, 3], I2, {"missing_value": I2(-1)}),
    "missing_value of another type": ([1, -9999, 3], I2, {"missing_value": -9999.0}),
    "several missing values": ([1, -1, -2, 3], I2, {"missing_value": np.array([-1, -2], I2)}),
    "fill and missing_value": ([1, -1, -2, 3], I2, {"_FillValue": I2(-2), "missing_value": I2(-1)}),
    "packed, with a fill": (
        [1, -999, 3],
        I2,
        {"_FillValue": I2(-999), "scale_factor": 0.1, "add_offset": 5.0},
    ),
    "a fill that isn't there": ([1, 2, 3], I4, {"_FillValue": I4(-999)}),
    "unsigned": ([1, -1, -128], I1, {"_Unsigned": "true"}),
    "unsigned, with a fill": ([1, -1, -2], I1, {"_Unsigned": "true", "_FillValue": I1(-1)}),
    "unsigned and packed": (
        [1, -1, -2],
        I2,
        {"_Unsigned": "true", "_FillValue": I2(-1), "scale_factor": F4(0.1)},
    ),
    "signed": ([1, 255], U1, {"_Unsigned": "false"}),
    "within its range": ([1, 2, 3], I2, {"valid_range": np.array([0, 10], I2)}),
    "a fill outside of the range": ([1, -9, 3], I2, {"valid_min": I2(0), "_FillValue": I2(-9)}),
    "true and false": ([1, 0, 1], I1, {"dtype": "bool"}),
    "a unit": ([1, 2, 3], I4, {"units": "m s-1"}),
    "a duration": ([1, 2, 3], I4, {"units": "days"}),
    "without attributes": ([1.5, 2.5], F8, {}),
    "big-endian": ([1, -999, 3], ">i2", {"_FillValue": I2(-999), "scale_factor": 0.5}),
}

REFUSED = {
    "days since": (
        [1, 2],
        I4,
        {"units": "days since 2000-01-01"},
        "times ('days since 2000-01-01')",
    ),
    "time deltas": ([1, 2], I8, {"units": "ns", "dtype": "timedelta64[ns]"}, "times"),
    "outside of valid_range": (
        [1, 11],
        I2,
        {"valid_range": np.array([0, 10], I2)},
        "11 isn't in its valid range",
    ),
    "below valid_min": ([1, -1], I2, {"valid_min": I2(0)}, "-1 isn't in its valid range"),
    "above valid_max": ([1.5, 99.0], F4, {"valid_max": F4(10)}, "99.0 isn't in its valid range"),
    "never written": ([1.5, 9.969209968386869e36], F4, {}, "netCDF fills what was never written"),
    "a scale of text": ([1, 2], I2, {"scale_factor": "0.1"}, "'scale_factor' should be a number"),
    "two scales": (
        [1, 2],
        I2,
        {"scale_factor": np.array([1.0, 2.0])},
        "'scale_factor' should be a number",
    ),
    "a missing value of text": ([1, 2], I2, {"missing_value": "NA"}, "'missing_value' is NA"),
    "64 bits and a fill": ([2**53 + 1, -1], I8, {"_FillValue": I8(-1)}, "beyond 2**53"),
    "a product beyond its type": (
        [100, 1],
        I1,
        {"scale_factor": I1(3)},
        "100 times 'scale_factor' is 300, beyond int8",
    ),
    "a product below its type": ([-20000, 1], I2, {"scale_factor": I2(2)}, "is -40000"),
    "packed true and false": (
        [1, 0],
        I1,
        {"dtype": "bool", "_FillValue": I1(-1)},
        "true and false can't be packed",
    ),
}


def made(path, values, dtype, attributes):
    """Write a file with the variable ``x`` along a dimension without values."""
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"n": len(values)}
        variable = file.create_variable("x", ("n",), np.dtype(dtype), data=np.array(values, dtype))
        for name, value in attributes.items():
            variable.attrs[name] = value
    return str(path)


@pytest.fixture
def refused(tmp_path):
    def refusal(read, *arguments):
        with pytest.raises(BadInput) as caught:
            read(*arguments)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refusal


@pytest.mark.filterwarnings("ignore::xarray.SerializationWarning")
@pytest.mark.parametrize("case", DECODED)
def test_values_are_those_of_xarray(case, tmp_path):
    where = made(tmp_path / "a.nc", *DECODED[case])
    with xarray.open_dataset(where, engine="h5netcdf", decode_timedelta=False) as file:
        truth = file["x"].values
    table, dataset = read_table(where), open_dataset(where)
    check_readable(dataset)
    assert table.columns == ("x",)
    np.testing.assert_array_equal(
        table.column("x"), truth.astype(truth.dtype.newbyteorder("=")).tolist()
    )
    np.testing.assert_array_equal(dataset[:], truth, strict=dataset.dtype.isnative)
    assert dataset.dtype.newbyteorder("=") == truth.dtype.newbyteorder("=")
    np.testing.assert_array_equal([table.row(i)["x"] for i in range(len(table))], truth.tolist())
    if truth.dtype.kind == "f":
        np.testing.assert_array_equal(read_numbers(where, float), truth.astype(F8))


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_decoded_is_refused(case, tmp_path, refused):
    *content, message = REFUSED[case]
    where = made(tmp_path / "a.nc", *content)
    assert message in refused(read_table, where)
    assert message in refused(lambda: check_readable(open_dataset(where)))
    assert message in refused(read_numbers, where, float)


def test_coordinates_are_columns(tmp_path):
    path = tmp_path / "a.nc"
    xarray.Dataset({"y": ("x", [1.5, 2.5])}, coords={"x": [10, 20]}).to_netcdf(
        path, engine="h5netcdf"
    )
    assert read_table(path).row(1) == {"x": 20, "y": 2.5}


def test_a_variable_with_the_name_of_a_dimension_that_is_not_its_own_keeps_its_name(tmp_path):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file["_nc4_non_coord_y"] = [1.5, 2.5]  # as netCDF's library writes it
    assert read_table(path).columns == ("y",)


def test_columns_along_different_dimensions_are_refused(tmp_path, refused):
    path = tmp_path / "a.nc"
    xarray.Dataset(coords={"lat": [1.0, 2.0], "lon": [3.0, 4.0]}).to_netcdf(path, engine="h5netcdf")
    assert "'lat' is along the dimension '/lat', 'lon' along '/lon'" in refused(read_table, path)


def test_a_dimension_is_not_a_dataset(tmp_path, refused):
    where = made(tmp_path / "a.nc", [1, 2], I4, {})
    assert "a dimension of netCDF without values" in refused(open_dataset, f"{where}:/n")


def test_a_list_that_is_shorter_than_its_dimension_is_refused(tmp_path, refused):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file["n"], file["x"] = [1, 2, 3], [1.5, 2.5]
        file["n"].make_scale()
        file["x"].dims[0].attach_scale(file["n"])
    assert "2 values were written of the 3 of its dimension '/n'" in refused(
        open_dataset, f"{path}:/x"
    )


def test_an_unlimited_dimension_is_as_long_as_the_longest_list_along_it(tmp_path, refused):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("n", (0,), "f4", maxshape=(None,)).make_scale(
            "This is a netCDF dimension but not a netCDF variable.         0"
        )
        file["x"], file["y"] = [1.5, 2.5, 3.5], [1.5, 2.5]
        for name in "xy":
            file[name].dims[0].attach_scale(file["n"])
    assert len(open_dataset(f"{path}:/x")) == 3
    assert "2 values were written of the 3 of its dimension '/n'" in refused(
        open_dataset, f"{path}:/y"
    )


@pytest.mark.parametrize("version", [1, 2, 5])
def test_the_classic_formats_are_named(version, tmp_path, refused):
    path = tmp_path / "a.nc"
    path.write_bytes(b"CDF" + bytes([version]) + bytes(100))
    assert f"netCDF of the classic format (version {version}), not HDF5" in refused(
        read_table, path
    )


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"MATLAB_class": b"char"}, "text of MATLAB"),
        ({"MATLAB_class": b"double", "MATLAB_empty": 1}, "an empty array of MATLAB"),
        ({"_Encoding": "latin-1"}, "its text is in latin-1"),
    ],
)
def test_what_matlab_and_others_mark_is_refused(attributes, message, tmp_path, refused):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.array([104, 105], U2)
        file["x"].attrs.update(attributes)
    assert message in refused(read_table, path)
    assert message in refused(open_dataset, f"{path}:/x")


def test_records_with_attributes_for_packing_are_refused(tmp_path, refused):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.array([(1, 2.0)], [("a", I4), ("b", F8)])
        file["x"].attrs["scale_factor"] = 0.1
    assert "scale_factor" in refused(read_table, f"{path}:/x")


def test_plain_hdf5_is_read_as_it_is(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.array([9.969209968386869e36, -999], F4)
        file["x"].attrs["description"] = "as measured"
    assert isinstance(open_dataset(str(path)), h5py.Dataset)
    assert read_table(path).column("x") == [float(F4(9.969209968386869e36)), -999.0]
