import numpy as np
import pytest

from g2m_data.errors import InputError
from g2m_data.spaceranger.positions import read_positions

HEADER = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres\n"
ROWS = "AAA-1,1,0,0,100,20\nCCC-1,0,0,2,100.5,40\nGGG-1,1,1,1,110,30\n"


@pytest.mark.parametrize("name", ["tissue_positions.csv", "tissue_positions_list.csv"])
@pytest.mark.parametrize("header", ["", HEADER])
def test_header_is_sniffed_and_the_first_spot_is_never_lost(tmp_path, name, header):
    path = tmp_path / name
    path.write_text(header + ROWS)
    positions = read_positions(path)
    assert positions.barcodes.to_pylist() == [b"AAA-1", b"CCC-1", b"GGG-1"]
    assert positions.in_tissue.tolist() == [True, False, True]
    np.testing.assert_array_equal(positions.xy, [[20, 100], [40, 100.5], [30, 110]])
    np.testing.assert_array_equal(positions.array, [[0, 0], [0, 2], [1, 1]])


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADER,
        "AAA-1,1,0,0,100\n",
        ROWS.replace("100,20", "x,20"),
        ROWS.replace("CCC", "AAA"),
        HEADER + ROWS.replace("110", ""),
        HEADER.replace("array_row", "row") + ROWS,
        ROWS.replace("CCC-1,0,0,2", "CCC-1,0,0.5,2"),
        ROWS.replace("CCC-1,0,0,2", "CCC-1,0,-1,2"),
        ROWS.replace("CCC-1,0,0,2", "CCC-1,0,0,2000000000"),
        ROWS.replace("CCC-1,0,0,2", "CCC-1,2,0,2"),
        ROWS.replace("110,30", "1e300,30"),
    ],
)
def test_damaged_tables_are_one_clear_line(tmp_path, text):
    path = tmp_path / "tissue_positions.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"tissue_positions\.csv") as caught:
        read_positions(path)
    assert "\n" not in str(caught.value)


def test_truncated_parquet_is_one_clear_line(tmp_path):
    path = tmp_path / "tissue_positions.parquet"
    path.write_bytes(b"PAR1" + b"\0" * 100)
    with pytest.raises(InputError, match=r"tissue_positions\.parquet"):
        read_positions(path)
