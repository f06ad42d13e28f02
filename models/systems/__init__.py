"""Efficiency systems of modern transformers, each a subclass or a configuration of the network, each working and measured."""
