"""What several packages need and none may import from another: one file, copied to the byte."""

from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[1] / "packages"


@pytest.mark.parametrize("name", ["compiling.py", "frozen_features.py", "keyed_random.py", "replaced_folder.py"])
def test_copies_are_identical(name):
    copies = sorted(PACKAGES.glob(f"*/src/*/{name}"))
    assert len(copies) > 1
    for copy in copies[1:]:
        assert copy.read_bytes() == copies[0].read_bytes(), f"{copy} is not {copies[0]}: change both"
