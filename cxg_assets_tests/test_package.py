"""What is installed with the package."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_all_package_data_is_there_and_says_that_the_package_is_typed() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["cxg_assets"].split()
    assert "py.typed" in patterns
    assert [pattern for pattern in patterns if not any((ROOT / "cxg_assets").glob(pattern))] == []
