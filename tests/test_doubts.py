"""What is known of a call in doubt without asking the tracker."""

from __future__ import annotations

import pytest

from runner.catalogue import Catalogue
from runner.doubts import natural_key
from runner.masking import MASK
from runner.model import Json

_CREATE = Catalogue().operation("affiliateNetwork", "create")


def test_a_natural_key() -> None:
    assert _CREATE is not None
    assert natural_key(_CREATE, {"name": "N", "notes": "-"}) == {"name": "N"}
    assert natural_key(_CREATE, {"name": 0}) == {"name": 0}


@pytest.mark.parametrize("value", [None, "", MASK, [], ["N"], {}, {"N": 1}])
def test_what_tells_nothing_is_no_natural_key(value: Json) -> None:
    assert _CREATE is not None
    assert natural_key(_CREATE, {"name": value}) is None
