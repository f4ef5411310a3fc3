"""Recurrent language models and sequence-to-sequence models, compared."""
