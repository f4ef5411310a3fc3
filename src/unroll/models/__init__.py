"""Layers, encoder, decoders, sequence-to-sequence and language models."""
