"""Which code made a thing, where there is no git to ask."""

import re

from expectations import version


def test_an_image_is_told_from_others_by_its_files(monkeypatch, tmp_path):
    monkeypatch.setattr(version, "REPOSITORY", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    file = tmp_path / "jobs" / "sources" / "shop.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("name: shop\n")
    first = version.code_version()
    assert re.fullmatch(r"1\.2\.3\+[0-9a-f]{12}", first)
    (file.parent / "__pycache__").mkdir()
    (file.parent / "__pycache__" / "shop.pyc").write_bytes(b"made by whoever ran it")
    assert version.code_version() == first
    file.write_text("name: another\n")
    assert version.code_version() != first
