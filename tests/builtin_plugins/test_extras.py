"""Optional packages: what is said when one is missing, too old or broken."""

from __future__ import annotations

import pytest

from tracelet_builtin_plugins.extras import MissingExtraError, import_extra


def test_a_module_that_is_there():
    assert import_extra("pluggy", plugin="mlflow", distribution="pluggy", minimum="1.0").__name__ == "pluggy"


def test_a_missing_distribution_names_the_extra():
    with pytest.raises(
        MissingExtraError, match=r"'mlflow' needs no-such-dist, .*pip install 'tracelet\[mlflow\]'"
    ):
        import_extra("no_such_module", plugin="mlflow", distribution="no-such-dist")


def test_an_old_version_is_named_with_the_one_that_is_needed():
    with pytest.raises(MissingExtraError, match=r"needs pluggy 999\.1 or newer, found \d"):
        import_extra("pluggy", plugin="mlflow", distribution="pluggy", minimum="999.1")


def test_a_broken_module_is_reported_with_its_error():
    with pytest.raises(MissingExtraError, match=r"cannot import pluggy\.nothing of pluggy"):
        import_extra("pluggy.nothing", plugin="mlflow", distribution="pluggy")
