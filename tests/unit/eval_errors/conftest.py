"""Failures planted into real data; the tests are left out where the data is not there."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).parent / "planted.py")
_planted = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_planted)


@pytest.fixture(scope="session")
def planted():
    """The module that plants them (tests have no package to import it from)."""
    if not _planted.there():
        pytest.skip("no shared data beside the checkout")
    return _planted
