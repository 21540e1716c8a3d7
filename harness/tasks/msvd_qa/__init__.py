"""MSVD-QA: open questions about short clips, judged by a language model."""
