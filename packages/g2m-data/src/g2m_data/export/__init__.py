"""A section of a dataset in the formats that other libraries open."""

from g2m_data.export.sample import FORMATS, export_sample

__all__ = ["FORMATS", "export_sample"]
