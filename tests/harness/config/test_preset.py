"""A published table as a preset, from a configuration made by hand."""

from values import usual

from winnow.harness.config.preset import PaperRow, Preset, parse


def test_what_is_meant_where_nothing_is_said() -> None:
    assert usual(Preset) == {"pivot": None, "machine": "a100_40g"}
    assert usual(PaperRow) == {
        "row": None, "at": {}, "set": (), "label": "", "published": "", "scheduled": (), "smoke": (), "tasks": (),
        "overhead": (),
    }  # fmt: skip


def test_a_preset_is_parsed() -> None:
    node = {
        "title": "T", "set": ["seed=1"], "rows": {"a": {"row": 3, "set": ["reducer=none"], "scheduled": 5}},
        "grid": {"half": {
            "set": ["x=1"], "budgets": {"low": {"n": 4}, "high": {"n": 8}},
            "methods": {"fastv": ["reducer=fastv", "reducer.k={n}"], "none": ["reducer=none"]},
        }},
    }  # fmt: skip
    made = parse("name", node)
    assert (made.name, made.title, made.published, made.set, made.smoke) == ("name", "T", "name", ("seed=1",), ())
    assert (made.pivot, made.machine) == (None, "a100_40g")
    assert [row.key for row in made.rows] == [
        "a",
        *(f"half_{b}_{m}" for b in ("low", "high") for m in ("fastv", "none")),
    ]
    assert made.find("half_high_fastv") == PaperRow(
        "half_high_fastv", set=("x=1", "reducer=fastv", "reducer.k=8"), label="half high: fastv"
    )
    assert made.find("a") == PaperRow("a", 3, set=("reducer=none",), scheduled=5)
    assert made.find("a").base and made.find("half_low_none").base and not made.find("half_low_fastv").base
    more = parse("name", {"title": "T", "published": "", "pivot": "k", "machine": "v100", "notes": ["n"]})
    assert (more.published, more.pivot, more.machine, more.notes, more.rows) == (None, "k", "v100", ("n",), ())
    assert PaperRow("f", set=("model.attn=flash_attention_2",)).fused and not made.find("a").fused
