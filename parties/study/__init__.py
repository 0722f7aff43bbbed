"""`sepc study`: questions about data before anybody buys it, answered without showing any."""

from parties.study.run import run_study

__all__ = ["run_study"]
