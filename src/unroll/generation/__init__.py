"""Answers of sequence-to-sequence models and continuations of language models."""
