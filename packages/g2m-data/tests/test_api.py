import subprocess
import sys

import g2m_data


def test_every_public_name_resolves():
    for name in g2m_data.__all__:
        assert getattr(g2m_data, name).__name__ == name


def test_importing_the_package_its_errors_and_manifest_loads_nothing_heavy():
    code = (
        "import sys, g2m_data, g2m_data.errors, g2m_data.manifest; "
        "print([m for m in ('numpy', 'pandas', 'anndata', 'zarr', 'cv2', 'torch') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
