import subprocess
import sys


def test_reading_the_package_its_settings_and_errors_imports_neither_torch_nor_matplotlib():
    code = (
        "import sys, g2m_interpret; from g2m_interpret import InputError, InterpretationSettings, PRESETS; "
        "print([m for m in ('torch', 'matplotlib', 'captum', 'gseapy', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_exists():
    import g2m_interpret

    missing = [name for name in g2m_interpret.__all__ if getattr(g2m_interpret, name, None) is None]
    assert missing == []
