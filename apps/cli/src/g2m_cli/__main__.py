"""``python -m g2m_cli``, for launchers: ``accelerate launch --num_processes 2 -m g2m_cli gan train …``."""

from g2m_cli.main import main

main()
