"""Fixtures. Tests that use `stack` need the local AWS to be up, and are skipped with a word where it is not."""

from typing import Any

import pytest

from launcher import layout, services, stackfile


@pytest.fixture(scope="session")
def here() -> layout.Layout:
    return layout.default()


@pytest.fixture(scope="session")
def stack(here: layout.Layout) -> dict[str, Any]:
    if not all(services.up(here, service) for service in services.services(here)):
        pytest.skip("the local AWS is down: make up")
    return stackfile.read(here)
