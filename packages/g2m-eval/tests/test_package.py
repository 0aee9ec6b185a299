import subprocess
import sys


def test_reading_the_package_its_settings_and_errors_imports_neither_torch_nor_matplotlib():
    code = (
        "import sys, g2m_eval; from g2m_eval import InputError, EvaluationSettings, PRESETS; "
        "print([m for m in ('torch', 'matplotlib', 'sklearn', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_exists():
    import g2m_eval

    missing = [name for name in g2m_eval.__all__ if getattr(g2m_eval, name, None) is None]
    assert missing == []
