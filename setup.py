"""The packages: src/ is framewatch itself. All else stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=["framewatch", *(f"framewatch.{name}" for name in find_packages("src"))])
