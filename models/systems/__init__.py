"""Efficiency and evaluation systems of modern transformers, each a subclass or a configuration of the network.

Each is a command or a module of its own, measured by bench/systems. Nothing outside this room but tests and bench
imports it.
"""
