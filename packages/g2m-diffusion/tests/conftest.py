"""Shape checks for the whole package."""

from jaxtyping import install_import_hook

install_import_hook("g2m_diffusion", "beartype.beartype")
