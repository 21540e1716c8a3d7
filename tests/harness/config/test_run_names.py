"""Names of runs that would be read as numbers."""

import pytest

from winnow.harness.config.run_names import named


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("reducer.like=531e48820113", "reducer.like='531e48820113'"),
        ("reducer.like=12345678", "reducer.like='12345678'"),
        ("+reducer.like=1,ab,2e3", "+reducer.like='1',ab,'2e3'"),
        ("reducer.first.like=1", "reducer.first.like='1'"),
        ("reducer.like=ab12", "reducer.like=ab12"),
        ("reducer.like=1ab", "reducer.like=1ab"),
        ("reducer.ratio=1", "reducer.ratio=1"),
        ("reducer.likes=1", "reducer.likes=1"),
        ("seed=1", "seed=1"),
    ],
)
def test_only_what_is_a_runs_name_and_a_number_is_quoted(word: str, said: str) -> None:
    assert named([word, "x=1"]) == [said, "x=1"]
