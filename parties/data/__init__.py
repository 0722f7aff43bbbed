"""Reading and checking what a party brings to a job, before anything starts."""

from parties.data.check import DataError, Finding
from parties.data.folder import load_folder
from parties.data.load import load_table
from parties.data.source import ColumnSource

__all__ = ["ColumnSource", "DataError", "Finding", "load_folder", "load_table"]
