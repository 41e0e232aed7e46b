from pathlib import Path

import pytest

from exitway.cli.daemon import Background
from exitway.resources.problem import Problems
from exitway.settings import Settings


@pytest.mark.parametrize("directory", ["/dev/null", "/dev/null/x", "/proc/x"])
def test_a_runtime_directory_that_cannot_be_made_is_a_problem(directory, tmp_path):
    with pytest.raises(Problems, match="EXW0904 the server cannot be started: "):
        Background(Settings(Path(directory), tmp_path))
