import pytest

from tracelet.config import find_root


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "repo" / "package" / "scripts"
    folder.mkdir(parents=True)
    return folder


def test_nearest_tracelet_toml(tree):
    (tree.parent / "tracelet.toml").touch()
    (tree.parents[1] / "tracelet.toml").touch()
    assert find_root(tree) == tree.parent


def test_a_script_stands_for_its_folder(tree):
    script = tree / "train.py"
    script.touch()
    (tree.parent / "tracelet.toml").touch()
    assert find_root(script) == find_root(str(script)) == tree.parent


def test_own_configuration_farther_up_beats_a_plain_pyproject(tree):
    (tree / "pyproject.toml").write_text("[project]\nname = 'inner'\n")
    (tree.parents[1] / "tracelet.toml").touch()
    assert find_root(tree) == tree.parents[1]


def test_pyproject_with_table_counts_as_own_configuration(tree):
    (tree / "pyproject.toml").write_text("[project]\nname = 'tracelet-examples'\n")
    (tree.parent / "pyproject.toml").write_text("[tool.tracelet]\n")
    (tree.parents[1] / "tracelet.toml").touch()
    assert find_root(tree) == tree.parent


def test_a_broken_pyproject_counts_where_it_has_the_table(tree):
    (tree.parent / "pyproject.toml").write_text("[tool.tracelet]\nproject = \n")
    (tree / "pyproject.toml").write_text("[project]\nname = tracelet\n")
    assert find_root(tree) == tree.parent


def test_plain_pyproject_before_git(tree):
    (tree.parents[1] / "pyproject.toml").write_text("[project]\nname = 'plain'\n")
    (tree / ".git").mkdir()
    assert find_root(tree) == tree.parents[1]


def test_git_may_be_a_file_as_in_a_worktree(tree):
    (tree.parent / ".git").write_text("gitdir: elsewhere\n")
    assert find_root(tree) == tree.parent


def test_the_folder_itself_where_nothing_marks_a_root(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert find_root() == find_root(".") == tree
